package db

import (
	"database/sql"
	"iter"
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
