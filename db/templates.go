package db

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Templates lists the templates by name.
func (d *DB) Templates(ctx context.Context) ([]connexa.Template, error) {
	var list []connexa.Template
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT `+templateColumns+` FROM templates ORDER BY name, id`)) {
		t, _, err := scanTemplate(scan)
		if err != nil {
			return nil, fmt.Errorf("list templates: %w", err)
		}
		list = append(list, t)
	}
	return list, nil
}

// Template returns a template, or NotFound.
func (d *DB) Template(ctx context.Context, id int64) (connexa.Template, error) {
	t, _, err := d.readTemplate(ctx, id)
	return t, err
}

const templateColumns = `id, name, reading, header, choice, test, changed_at`

func (d *DB) readTemplate(ctx context.Context, id int64) (t connexa.Template, header []byte, err error) {
	t, header, err = scanTemplate(d.read.QueryRowContext(ctx, `SELECT `+templateColumns+` FROM templates WHERE id = ?`, id).Scan)
	if err != nil {
		err = fmt.Errorf("read template %d: %w", id, translateError(err))
	}
	return t, header, err
}

func scanTemplate(scan func(...any) error) (t connexa.Template, header []byte, err error) {
	var reading []byte
	var changed int64
	if err := scan(&t.ID, &t.Name, &reading, &header, &t.Choice, &t.Test, &changed); err != nil {
		return t, nil, err
	}
	t.Headed, t.ChangedAt = header != nil, fromMillis(changed)
	return t, header, json.Unmarshal(reading, &t.Reading)
}

// TemplateMapping returns the mapping of a template if it applies to a file with these
// names of columns or, if header is false, with so many columns. Otherwise, and if the
// template was deleted, it returns nil.
func (d *DB) TemplateMapping(ctx context.Context, id int64, names []string, header bool) ([]string, error) {
	t, digest, err := d.readTemplate(ctx, id)
	switch {
	case connexa.CodeOf(err) == connexa.NotFound:
		return nil, nil
	case err != nil:
		return nil, err
	case header != t.Headed, header && !bytes.Equal(digest, d.ring.headerDigest(names)), !header && len(names) != len(t.Reading.Mapping):
		return nil, nil
	}
	return t.Reading.Mapping, nil
}

// AddTemplate adds a template if there are fewer than most. Its mapping belongs to the
// header of the import from. The error is Conflict if there are too many, or one with
// that name.
func (d *DB) AddTemplate(ctx context.Context, t connexa.Template, from int64, most int) (id int64, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		if err := checkTemplateName(ctx, tx, t); err != nil {
			return err
		}
		header, err := headerOf(ctx, tx, &t, from)
		if err != nil {
			return err
		}
		err = tx.QueryRowContext(ctx, `INSERT INTO templates (name, reading, header, choice, test, changed_at)
			SELECT ?, ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM templates) < ? RETURNING id`,
			t.Name, asJSON(t.Reading), header, t.Choice, t.Test, toMillis(d.now()), most).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return connexa.Errorf(connexa.Conflict, "template.many", most)
		}
		if err != nil {
			return fmt.Errorf("add a template: %w", err)
		}
		return nil
	})
	return id, err
}

// SaveTemplate replaces a template, or returns NotFound. Its mapping belongs to the header
// of the import from or, if from is zero, to that of the template. The error is Conflict if
// there is another template with that name.
func (d *DB) SaveTemplate(ctx context.Context, t connexa.Template, from int64) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		if err := checkTemplateName(ctx, tx, t); err != nil {
			return err
		}
		header, err := headerOf(ctx, tx, &t, from)
		if err != nil {
			return err
		}
		err = oneRow(tx.ExecContext(ctx, `UPDATE templates SET (name, reading, header, choice, test, changed_at) = (?, ?, ?, ?, ?, ?) WHERE id = ?`,
			t.Name, asJSON(t.Reading), header, t.Choice, t.Test, toMillis(d.now()), t.ID))
		if err != nil {
			return fmt.Errorf("save template %d: %w", t.ID, translateError(err))
		}
		return nil
	})
}

// headerOf returns the digest of the header to which the mapping of t belongs, or nil. An
// import of an earlier version has none: its mapping is then left out of t.
func headerOf(ctx context.Context, tx *sql.Tx, t *connexa.Template, from int64) (header []byte, err error) {
	if len(t.Reading.Mapping) == 0 {
		return nil, nil
	}
	if from == 0 {
		err = tx.QueryRowContext(ctx, `SELECT header FROM templates WHERE id = ?`, t.ID).Scan(&header)
	} else {
		var headed bool
		err = tx.QueryRowContext(ctx, `SELECT header, header_digest FROM imports WHERE id = ?`, from).Scan(&headed, &header)
		if headed && header == nil {
			t.Reading.Mapping = nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("find the header of a template: %w", translateError(err))
	}
	return header, nil
}

func checkTemplateName(ctx context.Context, tx *sql.Tx, t connexa.Template) error {
	var taken bool
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM templates WHERE name = ? AND id <> ?)`, t.Name, t.ID).Scan(&taken); err != nil {
		return fmt.Errorf("check the name of a template: %w", err)
	}
	if taken {
		return connexa.Errorf(connexa.Conflict, "template.taken")
	}
	return nil
}

// DeleteTemplate deletes a template, or returns NotFound.
func (d *DB) DeleteTemplate(ctx context.Context, id int64) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		if err := oneRow(tx.ExecContext(ctx, `DELETE FROM templates WHERE id = ?`, id)); err != nil {
			return fmt.Errorf("delete template %d: %w", id, translateError(err))
		}
		return nil
	})
}
