package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Views lists the views that an account may use: its own, then the shared ones of
// others, each by name.
func (d *DB) Views(ctx context.Context, account int64) ([]connexa.View, error) {
	return d.queryViews(ctx, account, ``)
}

// View returns a view that an account may use, or NotFound.
func (d *DB) View(ctx context.Context, account, id int64) (connexa.View, error) {
	return d.oneView(ctx, account, `AND views.id = ?`, id)
}

// StartView returns the start page of an account, or NotFound.
func (d *DB) StartView(ctx context.Context, account int64) (connexa.View, error) {
	return d.oneView(ctx, account, `AND s.view_id IS NOT NULL`)
}

func (d *DB) oneView(ctx context.Context, account int64, where string, args ...any) (connexa.View, error) {
	list, err := d.queryViews(ctx, account, where, args...)
	if err == nil && len(list) == 0 {
		err = translateError(sql.ErrNoRows)
	}
	if err != nil {
		return connexa.View{}, fmt.Errorf("read a view: %w", err)
	}
	return list[0], nil
}

func (d *DB) queryViews(ctx context.Context, account int64, where string, args ...any) ([]connexa.View, error) {
	var list []connexa.View
	for scan := range eachRow(d.read.QueryContext(ctx, `
		SELECT views.id, views.account_id, a.name, views.name, shared, query, sort, columns, density, tile, s.view_id IS NOT NULL
		FROM views JOIN accounts a ON a.id = views.account_id
		LEFT JOIN view_starts s ON s.account_id = ?1 AND s.view_id = views.id
		WHERE (views.account_id = ?1 OR shared = 1) `+where+`
		ORDER BY views.account_id <> ?1, views.name, views.id`, append([]any{account}, args...)...)) {
		var (
			v             connexa.View
			sort, columns string
		)
		if err := scan(&v.ID, &v.AccountID, &v.Owner, &v.Name, &v.Shared, &v.Query, &sort, &columns, &v.Density, &v.Tile, &v.Start); err != nil {
			return nil, fmt.Errorf("list views: %w", err)
		}
		if sort != "" {
			v.Sort = connexa.ParseSort(sort)
		}
		if err := json.Unmarshal([]byte(columns), &v.Columns); err != nil {
			return nil, fmt.Errorf("the columns of view %d: %w", v.ID, err)
		}
		v.Columns = connexa.CheckListColumns(v.Columns)
		list = append(list, v)
	}
	return list, nil
}

// AddView adds a view if its owner has fewer than most. Otherwise, and if the owner has a
// view of that name, it returns Conflict.
func (d *DB) AddView(ctx context.Context, v connexa.View, most int) (id int64, err error) {
	values, err := viewValues(v)
	if err != nil {
		return 0, err
	}
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		if err := checkViewName(ctx, tx, v); err != nil {
			return err
		}
		err := tx.QueryRowContext(ctx, `
			INSERT INTO views (name, shared, query, sort, columns, density, tile, changed_at, account_id)
			SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?9 WHERE (SELECT count(*) FROM views WHERE account_id = ?9) < ?10 RETURNING id`,
			append(values, toMillis(d.now()), v.AccountID, most)...).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return connexa.Errorf(connexa.Conflict, "view.many", most)
		}
		if err != nil {
			return fmt.Errorf("add a view: %w", err)
		}
		return nil
	})
	return id, err
}

// SaveView replaces a view of the account v.AccountID, or returns NotFound. It returns
// Conflict if the account has another view of that name.
func (d *DB) SaveView(ctx context.Context, v connexa.View) error {
	values, err := viewValues(v)
	if err != nil {
		return err
	}
	return d.inTx(ctx, func(tx *sql.Tx) error {
		if err := checkViewName(ctx, tx, v); err != nil {
			return err
		}
		err := oneRow(tx.ExecContext(ctx, `
			UPDATE views SET (name, shared, query, sort, columns, density, tile, changed_at) = (?, ?, ?, ?, ?, ?, ?, ?)
			WHERE id = ? AND account_id = ?`, append(values, toMillis(d.now()), v.ID, v.AccountID)...))
		if err != nil {
			return fmt.Errorf("save view %d: %w", v.ID, translateError(err))
		}
		return nil
	})
}

func viewValues(v connexa.View) ([]any, error) {
	columns, err := json.Marshal(v.Columns)
	if err != nil {
		return nil, fmt.Errorf("encode the columns of a view: %w", err)
	}
	if v.Columns == nil {
		columns = []byte("[]")
	}
	sort := ""
	if v.Sort.Key != "" {
		sort = v.Sort.String()
	}
	return []any{v.Name, v.Shared, v.Query, sort, string(columns), string(v.Density), v.Tile}, nil
}

func checkViewName(ctx context.Context, tx *sql.Tx, v connexa.View) error {
	var taken bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM views WHERE account_id = ? AND name = ? AND id <> ?)`, v.AccountID, v.Name, v.ID).Scan(&taken)
	if err != nil {
		return fmt.Errorf("check the name of a view: %w", err)
	}
	if taken {
		return connexa.Errorf(connexa.Conflict, "view.taken")
	}
	return nil
}

// DeleteView deletes a view of an account, or returns NotFound.
func (d *DB) DeleteView(ctx context.Context, account, id int64) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		if err := oneRow(tx.ExecContext(ctx, `DELETE FROM views WHERE id = ? AND account_id = ?`, id, account)); err != nil {
			return fmt.Errorf("delete view %d: %w", id, translateError(err))
		}
		return nil
	})
}

// SetStartView makes a view the start page of an account, or no longer.
func (d *DB) SetStartView(ctx context.Context, account, id int64, on bool) error {
	query := `DELETE FROM view_starts WHERE account_id = ?1 AND view_id = ?2`
	if on {
		query = `INSERT INTO view_starts (account_id, view_id) VALUES (?1, ?2) ON CONFLICT (account_id) DO UPDATE SET view_id = excluded.view_id`
	}
	return d.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, query, account, id); err != nil {
			return fmt.Errorf("set the start page: %w", err)
		}
		return nil
	})
}
