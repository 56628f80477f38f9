package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// ImportLines lists up to n lines of one class with ids greater than after.
func (d *DB) ImportLines(ctx context.Context, id int64, class connexa.LineClass, after int64, n int) ([]connexa.ImportLine, error) {
	cond, args := `l.class = ?`, []any{string(class)}
	if class == connexa.LineNoted {
		cond, args = `l.notes <> ''`, nil
	}
	return d.importLines(ctx, id, cond+` AND l.id > ? ORDER BY l.id LIMIT ?`, append(args, after, n)...)
}

// ImportLine returns one line of the preview.
func (d *DB) ImportLine(ctx context.Context, id, line int64) (connexa.ImportLine, error) {
	lines, err := d.importLines(ctx, id, `l.id = ?`, line)
	if err == nil && len(lines) == 0 {
		err = connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	if err != nil {
		return connexa.ImportLine{}, err
	}
	return lines[0], nil
}

func (d *DB) importLines(ctx context.Context, id int64, cond string, args ...any) ([]connexa.ImportLine, error) {
	rows, err := d.read.QueryContext(ctx, `
		SELECT l.id, l.line, l.class, l.choice, l.both, l.password, l.resets, coalesce(l.node_id, 0), l.problem, l.notes, l.sealed, coalesce(t.line, 0), t.sealed
		FROM import_lines l LEFT JOIN import_lines t ON t.id = l.twin
		WHERE l.import_id = ? AND `+cond, append([]any{id}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("lines of import %d: %w", id, err)
	}
	defer rows.Close()
	var (
		lines  []connexa.ImportLine
		typed  []connexa.ImportRow
		twins  []*connexa.ImportRow
		nodes  []int64
		wanted []int64
	)
	for rows.Next() {
		var (
			l                            connexa.ImportLine
			node                         int64
			password                     string
			problem, notes, sealed, twin []byte
		)
		if err := rows.Scan(&l.ID, &l.Line, &l.Class, &l.Choice, &l.Both, &password, &l.Resets, &node, &problem, &notes, &sealed, &l.Twin, &twin); err != nil {
			return nil, fmt.Errorf("lines of import %d: %w", id, err)
		}
		row, err := d.ring.openLine(sealed)
		if err != nil {
			return nil, fmt.Errorf("line %d of import %d: %w", l.Line, id, err)
		}
		l.PasswordOnly = password == passwordOnly
		for _, part := range []struct {
			text []byte
			into any
		}{{problem, &l.Problem}, {notes, &l.Notes}} {
			if len(part.text) == 0 {
				continue
			}
			if err := json.Unmarshal(part.text, part.into); err != nil {
				return nil, fmt.Errorf("line %d of import %d: %w", l.Line, id, err)
			}
		}
		if l.Class == connexa.LineBad {
			l.Raw, l.Columns = row.Raw, row.Columns
		} else {
			n, _, err := parseRow(&row)
			if err != nil {
				return nil, fmt.Errorf("line %d of import %d: %w", l.Line, id, err)
			}
			l.Address, l.Port, l.Login = n.Address, n.Port, n.Login
			l.City, l.State, l.Country = n.City, n.State, n.Country
		}
		var first *connexa.ImportRow
		if twin != nil {
			r, err := d.ring.openLine(twin)
			if err != nil {
				return nil, fmt.Errorf("line %d of import %d: %w", l.Twin, id, err)
			}
			first = &r
		} else if node != 0 && l.Class == connexa.LineConflict {
			wanted = append(wanted, node)
		}
		lines, typed, twins, nodes = append(lines, l), append(typed, row), append(twins, first), append(nodes, node)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("lines of import %d: %w", id, err)
	}
	known, err := d.knownByID(ctx, wanted)
	if err != nil {
		return nil, err
	}
	for i := range lines {
		if lines[i].Class != connexa.LineConflict {
			continue
		}
		theirs, err := d.wouldBe(&typed[i])
		if err != nil {
			return nil, err
		}
		mine, ok := known[nodes[i]]
		if twins[i] != nil {
			if mine, err = d.wouldBe(twins[i]); err != nil {
				return nil, err
			}
		} else if !ok {
			continue // the node was deleted meanwhile, so the line will add it
		}
		lines[i].Differs = compareLine(&mine, &theirs, typed[i].NoPassword)
	}
	return lines, nil
}

// BadLines yields the bad lines of an import with their text, in the order of the
// file.
func (d *DB) BadLines(ctx context.Context, id int64) iter.Seq2[connexa.ImportRow, error] {
	return func(yield func(connexa.ImportRow, error) bool) {
		fail := func(err error) { yield(connexa.ImportRow{}, fmt.Errorf("bad lines of import %d: %w", id, err)) }
		rows, err := d.read.QueryContext(ctx, `SELECT line, problem, sealed FROM import_lines WHERE import_id = ? AND class = 'bad' ORDER BY id`, id)
		if err != nil {
			fail(err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var (
				line            int
				problem, sealed []byte
			)
			if err := rows.Scan(&line, &problem, &sealed); err != nil {
				fail(err)
				return
			}
			r, err := d.ring.openLine(sealed)
			if err == nil {
				err = json.Unmarshal(problem, &r.Problem)
			}
			if err != nil {
				fail(err)
				return
			}
			r.Line = line
			if !yield(r, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			fail(err)
		}
	}
}

// parseRow parses a good row. A row without a password gets a placeholder, as its node
// keeps its own password.
func parseRow(r *connexa.ImportRow) (connexa.Node, connexa.Secret, error) {
	in := r.Input
	if r.NoPassword {
		in.Password = "-"
	}
	return connexa.ParseNode(in)
}

// known is a node, or the node that a line would become, with the digest of its
// password.
type known struct {
	connexa.Node
	mac []byte
}

func (d *DB) wouldBe(r *connexa.ImportRow) (known, error) {
	n, password, err := parseRow(r)
	if err != nil {
		return known{}, fmt.Errorf("read a stored line: %w", err)
	}
	return known{n, d.ring.passwordMAC(password)}, nil
}

func (d *DB) knownByID(ctx context.Context, ids []int64) (map[int64]known, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found := make(map[int64]known, len(ids))
	err := d.eachKnown(ctx, d.read, `id IN (SELECT value FROM json_each(?))`, func(k known) { found[k.ID] = k }, jsonIDs(ids))
	return found, err
}

func (d *DB) eachKnown(ctx context.Context, q querier, cond string, each func(known), args ...any) error {
	rows, err := q.QueryContext(ctx, `SELECT `+nodeRow+`, password_mac FROM nodes WHERE `+cond, args...)
	if err != nil {
		return fmt.Errorf("find known nodes: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var k known
		if k.Node, err = scanNode(rows.Scan, &k.mac); err != nil {
			return fmt.Errorf("find known nodes: %w", err)
		}
		each(k)
	}
	return rows.Err()
}

// nullableID returns NULL for zero.
func nullableID(n int64) sql.NullInt64 { return sql.NullInt64{Int64: n, Valid: n != 0} }
