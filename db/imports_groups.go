package db

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// groupKey is what the conflicts of one group have in common.
type groupKey struct {
	fields   string // those that differ, with commas between them
	twin     bool   // compared with an earlier line of the file, not with a node
	resets   bool
	both     bool
	password string
}

// groupKey returns the key of the group of a conflict.
func (r *filled) groupKey() groupKey {
	return groupKey{fields: r.fields, twin: r.node == 0, resets: r.resets, both: r.both, password: r.password}
}

// fieldList returns the names of the fields that differ.
func fieldList(differs []connexa.Difference) string {
	names := make([]string, len(differs))
	for i, x := range differs {
		names[i] = x.Field
	}
	return strings.Join(names, ",")
}

// addToGroups counts the conflicts among rows in their groups and returns the id of each
// group.
func addToGroups(ctx context.Context, tx *sql.Tx, id int64, rows []filled) (map[groupKey]int64, error) {
	counts := map[groupKey]int{}
	var keys []groupKey // in the order of the rows
	for i := range rows {
		if rows[i].class != connexa.LineConflict {
			continue
		}
		key := rows[i].groupKey()
		if counts[key]++; counts[key] == 1 {
			keys = append(keys, key)
		}
	}
	ids := make(map[groupKey]int64, len(keys))
	for _, key := range keys {
		var group int64
		err := tx.QueryRowContext(ctx, `INSERT INTO import_groups (import_id, fields, twin, resets, both, password, lines) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET lines = lines + excluded.lines RETURNING id`,
			id, key.fields, key.twin, key.resets, key.both, key.password, counts[key]).Scan(&group)
		if err != nil {
			return nil, fmt.Errorf("count conflicts: %w", err)
		}
		ids[key] = group
	}
	return ids, nil
}

// dropGroups deletes the groups of an import.
func (d *DB) dropGroups(ctx context.Context, id int64) error {
	return d.inPieces(ctx, `DELETE FROM import_groups WHERE import_id = ?`, id)
}

// ConflictGroups lists the groups of conflicts of an import, the largest first.
func (d *DB) ConflictGroups(ctx context.Context, id int64) ([]connexa.ConflictGroup, error) {
	var groups []connexa.ConflictGroup
	at := map[int64]int{}
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT id, fields, twin, resets, both, password, lines, choice
		FROM import_groups WHERE import_id = ? ORDER BY lines DESC, id`, id)) {
		var (
			g                connexa.ConflictGroup
			fields, password string
		)
		if err := scan(&g.ID, &fields, &g.Twin, &g.Resets, &g.Both, &password, &g.Lines, &g.Choice); err != nil {
			return nil, fmt.Errorf("conflicts of import %d: %w", id, err)
		}
		if fields != "" {
			g.Fields = strings.Split(fields, ",")
		}
		g.Passwords, g.PasswordOnly = password != "", password == passwordOnly
		at[g.ID] = len(groups)
		groups = append(groups, g)
	}
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT group_id, choice, count(*) FROM import_lines INDEXED BY import_lines_chosen
		WHERE group_id IN (SELECT id FROM import_groups WHERE import_id = ?) AND choice <> '' GROUP BY group_id, choice`, id)) {
		var (
			group  int64
			choice connexa.Choice
			n      int
		)
		if err := scan(&group, &choice, &n); err != nil {
			return nil, fmt.Errorf("choices of import %d: %w", id, err)
		}
		i, ok := at[group]
		if !ok {
			continue // read again between the two queries
		}
		g := &groups[i]
		if g.Own == nil {
			g.Own = map[connexa.Choice]int{}
		}
		g.Own[choice] = n
	}
	return groups, nil
}

// GroupLines lists up to n lines of a group of conflicts with ids greater than after.
func (d *DB) GroupLines(ctx context.Context, id, group, after int64, n int) ([]connexa.ImportLine, error) {
	return d.importLines(ctx, id, `l.group_id = ? AND l.id > ? ORDER BY l.id LIMIT ?`, group, after, n)
}

// SetGroupChoice sets the choice for the conflicts of a group that have none of their own.
func (d *DB) SetGroupChoice(ctx context.Context, id, group int64, choice connexa.Choice) error {
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		if err := changeImport(ctx, tx, id, `state = 'ready'`, `choice = choice`); err != nil {
			return err
		}
		n, err := rowsChanged(tx.ExecContext(ctx, `UPDATE import_groups SET choice = ? WHERE id = ? AND import_id = ? AND (both OR ? <> 'both')`,
			choice, group, id, choice))
		if err == nil && n == 0 {
			err = connexa.Errorf(connexa.Invalid, "import.error.choice")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("choose for group %d: %w", group, err)
	}
	return nil
}

// groupChoices returns the choices for groups of conflicts of an import.
func (d *DB) groupChoices(ctx context.Context, id int64) (map[int64]connexa.Choice, error) {
	choices := map[int64]connexa.Choice{}
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT id, choice FROM import_groups WHERE import_id = ? AND choice <> ''`, id)) {
		var (
			group  int64
			choice connexa.Choice
		)
		if err := scan(&group, &choice); err != nil {
			return nil, fmt.Errorf("choices of import %d: %w", id, err)
		}
		choices[group] = choice
	}
	return choices, nil
}
