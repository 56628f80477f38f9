package db

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"iter"
	"reflect"
	"slices"
)

// eachRow yields the Scan method for each row of a query, whose results are its
// parameters. If the query or the step to the next row fails, the last yielded function
// returns that error. The caller must end the loop at the first error.
func eachRow(rows *sql.Rows, err error) iter.Seq[func(...any) error] {
	return func(yield func(func(...any) error) bool) {
		if err != nil {
			yield(func(...any) error { return err })
			return
		}
		defer rows.Close()
		scan := rows.Scan
		for rows.Next() {
			if !yield(scan) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(func(...any) error { return err })
		}
	}
}

// rowsChanged returns how many rows a statement changed. Its parameters are the results
// of the statement.
func rowsChanged(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// oneRow is rowsChanged for a statement on one row. It returns sql.ErrNoRows if the
// statement changed none.
func oneRow(res sql.Result, err error) error {
	n, err := rowsChanged(res, err)
	if err == nil && n == 0 {
		err = sql.ErrNoRows
	}
	return err
}

// distinctIDs sorts ids and removes duplicates.
func distinctIDs(ids []int64) []int64 {
	slices.Sort(ids)
	return slices.Compact(ids)
}

// rowScanner scans a row of the driver as sql.Rows.Scan does, for STRICT tables and
// the types that the panel scans into. It is several times as fast.
type rowScanner struct{ values []driver.Value }

// scan reads the first columns of the row; there may be more.
func (r *rowScanner) scan(into ...any) error {
	if len(into) > len(r.values) {
		return fmt.Errorf("scan %d of %d columns", len(into), len(r.values))
	}
	for i, p := range into {
		v := r.values[i]
		var ok bool
		switch p := p.(type) {
		case *string:
			*p, ok = v.(string)
		case *int64:
			*p, ok = v.(int64)
		case *int:
			var n int64
			n, ok = v.(int64)
			*p = int(n)
		case *bool:
			var n int64
			n, ok = v.(int64)
			*p = n != 0
		case *sql.NullInt64:
			p.Int64, p.Valid = v.(int64)
			ok = p.Valid || v == nil
		case *[]byte:
			*p, ok = v.([]byte)
			ok = ok || v == nil
		default: // a named type
			switch to := reflect.ValueOf(p).Elem(); to.Kind() {
			case reflect.String:
				var s string
				s, ok = v.(string)
				to.SetString(s)
			case reflect.Int, reflect.Int64:
				var n int64
				n, ok = v.(int64)
				to.SetInt(n)
			default:
				ok = false
			}
		}
		if !ok {
			return fmt.Errorf("scan column %d: a %T into a %T", i, v, p)
		}
	}
	return nil
}
