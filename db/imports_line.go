package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"strings"

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
	var list []storedLine
	for scan := range eachRow(d.read.QueryContext(ctx, `
		SELECT l.id, l.line, l.class, l.choice, l.both, l.password, l.resets, coalesce(l.node_id, 0), l.problem, l.notes, l.sealed, coalesce(t.line, 0), t.sealed, coalesce(g.choice, '')
		FROM import_lines l LEFT JOIN import_lines t ON t.id = l.twin LEFT JOIN import_groups g ON g.id = l.group_id
		WHERE l.import_id = ? AND `+cond, append([]any{id}, args...)...)) {
		l, err := d.scanLine(scan)
		if err != nil {
			return nil, fmt.Errorf("line %d of import %d: %w", l.Line, id, err)
		}
		list = append(list, l)
	}
	if err := d.compareConflicts(ctx, list); err != nil {
		return nil, err
	}
	lines := make([]connexa.ImportLine, len(list))
	for i, l := range list {
		lines[i] = l.ImportLine
	}
	return lines, nil
}

// storedLine is a line of a preview with its opened text.
type storedLine struct {
	connexa.ImportLine
	row  connexa.ImportRow
	twin *connexa.ImportRow // the earlier line that it conflicts with, or nil
	node int64              // the node that it conflicts with, or 0
}

func (d *DB) scanLine(scan func(...any) error) (l storedLine, err error) {
	var (
		password                     string
		problem, notes, sealed, twin []byte
	)
	err = scan(&l.ID, &l.Line, &l.Class, &l.Choice, &l.Both, &password, &l.Resets, &l.node, &problem, &notes, &sealed, &l.Twin, &twin, &l.GroupChoice)
	if err != nil {
		return l, err
	}
	l.PasswordOnly = password == passwordOnly
	if l.row, err = d.ring.openLine(sealed); err != nil {
		return l, err
	}
	if twin != nil {
		r, err := d.ring.openLine(twin)
		if err != nil {
			return l, fmt.Errorf("line %d: %w", l.Twin, err)
		}
		l.twin = &r
	}
	if len(problem) > 0 {
		if err := json.Unmarshal(problem, &l.Problem); err != nil {
			return l, err
		}
	}
	if len(notes) > 0 {
		if err := json.Unmarshal(notes, &l.Notes); err != nil {
			return l, err
		}
	}
	if l.Class == connexa.LineBad {
		l.Raw, l.Columns = l.row.Raw, l.row.Columns
		return l, nil
	}
	n, _, err := parseRow(&l.row)
	l.Address, l.Port, l.Login = n.Address, n.Port, n.Login
	l.City, l.State, l.Country = n.City, n.State, n.Country
	return l, err
}

// compareConflicts sets how each conflicting line differs from its node or its twin.
func (d *DB) compareConflicts(ctx context.Context, list []storedLine) error {
	var nodes []int64
	for _, l := range list {
		if l.Class == connexa.LineConflict && l.twin == nil && l.node != 0 {
			nodes = append(nodes, l.node)
		}
	}
	found, err := d.knownByID(ctx, nodes)
	if err != nil {
		return err
	}
	for i := range list {
		l := &list[i]
		if l.Class != connexa.LineConflict {
			continue
		}
		theirs, err := d.wouldBe(&l.row)
		if err != nil {
			return err
		}
		mine, ok := found[l.node]
		if l.twin != nil {
			if mine, err = d.wouldBe(l.twin); err != nil {
				return err
			}
		} else if !ok {
			continue // the node was deleted meanwhile, so the line will add it
		}
		l.Differs = compareLine(&mine, &theirs, l.row.NoPassword)
	}
	return nil
}

// BadLines yields the bad lines of an import with their text, in the order of the
// file.
func (d *DB) BadLines(ctx context.Context, id int64) iter.Seq2[connexa.ImportRow, error] {
	return func(yield func(connexa.ImportRow, error) bool) {
		fail := func(err error) { yield(connexa.ImportRow{}, fmt.Errorf("bad lines of import %d: %w", id, err)) }
		for scan := range eachRow(d.read.QueryContext(ctx, `SELECT line, problem, sealed FROM import_lines WHERE import_id = ? AND class = 'bad' ORDER BY id`, id)) {
			var (
				line            int
				problem, sealed []byte
			)
			if err := scan(&line, &problem, &sealed); err != nil {
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
	}
}

// parseRow parses a good row. A row without a password gets a placeholder, as its node
// keeps its own password.
func parseRow(r *connexa.ImportRow) (connexa.Node, connexa.Secret, error) {
	in := r.Input
	if r.NoPassword {
		in.Password = "-"
	}
	n, password, err := connexa.ParseNode(in)
	if len(r.AddTags) > 0 && err == nil {
		n.Tags = withTags(n.Tags, r.AddTags)
	}
	return n, password, err
}

// defaultedOf returns which values of a row are not from the file.
func defaultedOf(r *connexa.ImportRow) defaulted {
	return defaulted{columns: r.Defaults, tags: len(r.AddTags) > 0 && strings.TrimSpace(r.Input.Tags) == ""}
}

// known is a node, or the node that a line would become, with the digest of its
// password.
type known struct {
	connexa.Node
	defaulted
	mac []byte
}

func (d *DB) wouldBe(r *connexa.ImportRow) (known, error) {
	n, password, err := parseRow(r)
	if err != nil {
		return known{}, fmt.Errorf("read a stored line: %w", err)
	}
	return known{n, defaultedOf(r), d.ring.passwordMAC(password)}, nil
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
	for scan := range eachRow(q.QueryContext(ctx, `SELECT `+nodeRow+`, password_mac FROM nodes WHERE `+cond, args...)) {
		var k known
		var err error
		if k.Node, err = scanNode(scan, &k.mac); err != nil {
			return fmt.Errorf("find known nodes: %w", err)
		}
		each(k)
	}
	return nil
}

// nullableID returns NULL for zero.
func nullableID(n int64) sql.NullInt64 { return sql.NullInt64{Int64: n, Valid: n != 0} }
