package db

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// binSchema is the SQL that moves nodes to the bin and back. It follows the columns of the
// tables, so that a new column needs no code.
type binSchema struct {
	nodes  string // the columns of nodes, with commas between them
	tables []binTable
}

// binTable is a table whose rows go with their node.
type binTable struct {
	save    string // argument: JSON of nodes
	restore string // argument: JSON of nodes
}

// binTables lists the tables whose rows go with their node, in the order of their
// references, with a condition for restoring a row b. Links to profiles are short-lived
// and stay behind.
var binTables = []struct{ name, where string }{
	{"client_nodes", `EXISTS (SELECT 1 FROM clients WHERE id = b.row->>'client_id')`},
	{"flaps", `TRUE`},
	{"monitored", `TRUE`},
	{"sparks", `TRUE`},
	{"services", `TRUE`},
	{"vpns", `EXISTS (SELECT 1 FROM services WHERE node_id = b.node_id)`},
	{"traffic", `EXISTS (SELECT 1 FROM services WHERE node_id = b.node_id)`},
}

// tableColumn is one column of a table.
type tableColumn struct {
	name, kind string
	fallback   sql.NullString // SQL of its default
}

func tableColumns(ctx context.Context, q querier, table string) ([]tableColumn, error) {
	var list []tableColumn
	for scan := range eachRow(q.QueryContext(ctx, `SELECT name, type, dflt_value FROM pragma_table_info(?)`, table)) {
		var c tableColumn
		if err := scan(&c.name, &c.kind, &c.fallback); err != nil {
			return nil, fmt.Errorf("read the columns of %s: %w", table, err)
		}
		list = append(list, c)
	}
	return list, nil
}

// readBinSchema builds the SQL of the bin from the schema.
func (d *DB) readBinSchema(ctx context.Context) error {
	columns, err := tableColumns(ctx, d.read, "nodes")
	if err != nil {
		return err
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	d.bin.nodes = strings.Join(names, ", ")
	for _, t := range binTables {
		columns, err := tableColumns(ctx, d.read, t.name)
		if err != nil {
			return err
		}
		var names, pairs, values []string
		for _, c := range columns {
			pair, value := c.name, "b.row->>'"+c.name+"'"
			if c.kind == "BLOB" {
				pair, value = "hex("+c.name+")", "unhex("+value+")"
			}
			if c.fallback.Valid { // of a column that is newer than the row
				value = "coalesce(" + value + ", " + c.fallback.String + ")"
			}
			names, pairs, values = append(names, c.name), append(pairs, "'"+c.name+"', "+pair), append(values, value)
		}
		d.bin.tables = append(d.bin.tables, binTable{
			save: `INSERT INTO bin_rows (node_id, tab, row) SELECT node_id, '` + t.name + `', json_object(` + strings.Join(pairs, ", ") + `)
				FROM ` + t.name + ` WHERE node_id` + ofBatch,
			restore: `INSERT OR IGNORE INTO ` + t.name + ` (` + strings.Join(names, ", ") + `) SELECT ` + strings.Join(values, ", ") + `
				FROM bin_rows b WHERE b.tab = '` + t.name + `' AND ` + t.where + ` AND b.node_id` + ofBatch,
		})
	}
	return nil
}

// binNodes moves nodes to the bin. Their live jobs end first, as deleted.
func (w *actWriter) binNodes(list string) error {
	jobs, err := w.t.queryIDs(`SELECT j.id FROM json_each(?) c JOIN jobs j INDEXED BY jobs_one_live ON j.node_id = c.value AND j.finished_at IS NULL`, list)
	if err != nil {
		return err
	}
	if w.runs, err = w.db.endJobs(w.t, jobs, connexa.ResultDeleted); err != nil {
		return err
	}
	if err := w.recordBin(list, "acts.history.deleted"); err != nil {
		return err
	}
	b := &w.db.bin
	if err := w.t.exec(`INSERT INTO bin (`+b.nodes+`, bin_act, bin_account, bin_at) SELECT `+b.nodes+`, nullif(?, 0), ?, ? FROM nodes WHERE id`+ofBatch,
		w.act.ID, w.act.Account, toMillis(w.db.now()), list); err != nil {
		return err
	}
	for _, t := range b.tables {
		if err := w.t.exec(t.save, list); err != nil {
			return err
		}
	}
	if err := w.t.exec(`INSERT INTO bin_rows (node_id, tab, row) SELECT node_id, 'jobs', json_group_array(id) FROM jobs WHERE node_id`+ofBatch+` GROUP BY node_id`, list); err != nil {
		return err
	}
	w.ids, err = w.t.queryIDs(`DELETE FROM nodes WHERE id`+ofBatch+` RETURNING id`, list)
	return err
}

// DeleteNodes moves nodes to the bin in one transaction, for an account and not for a bulk
// act. It returns the number of nodes that existed and the runs whose counts changed.
func (d *DB) DeleteNodes(ctx context.Context, ids []int64, by string) (deleted int, runs []int64, err error) {
	err = d.inStmtTx(ctx, func(t *stmtTx) error {
		w := actWriter{db: d, t: t, act: connexa.BulkAct{Account: by}}
		if err := w.binNodes(jsonIDs(ids)); err != nil {
			return err
		}
		deleted, runs = len(w.ids), w.runs
		return nil
	})
	if err != nil {
		return 0, nil, fmt.Errorf("delete nodes: %w", err)
	}
	return deleted, runs, nil
}

// restoreNodes takes nodes out of the bin. It skips those whose address, port and login
// are taken, and those that are no longer there.
func (w *actWriter) restoreNodes(ids []int64) (skipped int, err error) {
	b := &w.db.bin
	values := strings.Replace(b.nodes, "import_id", "(SELECT id FROM imports WHERE id = bin.import_id)", 1)
	w.ids, err = w.t.queryIDs(`INSERT OR IGNORE INTO nodes (`+b.nodes+`) SELECT `+values+` FROM bin WHERE id`+ofBatch+` ORDER BY id RETURNING id`, jsonIDs(ids))
	if err != nil || len(w.ids) == 0 {
		return len(ids), err
	}
	list := jsonIDs(w.ids)
	for _, t := range b.tables {
		if err := w.t.exec(t.restore, list); err != nil {
			return 0, err
		}
	}
	// A service comes back stopped.
	if err := w.t.exec(`UPDATE services SET wanted = 0, state = 'off', since = ?, reason = '{}', cause = '', failures = 0, retry_at = 0, up_at = 0, open = 0
		WHERE node_id`+ofBatch, toMillis(w.db.now()), list); err != nil {
		return 0, err
	}
	if err := w.t.exec(`UPDATE jobs SET node_id = b.node_id FROM bin_rows b, json_each(b.row) j
		WHERE b.tab = 'jobs' AND b.node_id`+ofBatch+` AND jobs.id = j.value`, list); err != nil {
		return 0, err
	}
	if err := w.recordBin(list, "acts.history.restored"); err != nil {
		return 0, err
	}
	return len(ids) - len(w.ids), w.emptyBin("restored", list)
}

// purgeNodes deletes nodes of the bin for good.
func (w *actWriter) purgeNodes(list string) (err error) {
	if w.ids, err = w.t.queryIDs(`SELECT id FROM bin WHERE id`+ofBatch, list); err != nil {
		return err
	}
	if err := w.t.exec(`INSERT OR IGNORE INTO history_gone SELECT id FROM bin WHERE id`+ofBatch, list); err != nil {
		return err
	}
	return w.emptyBin("kept", list)
}

// emptyBin removes nodes from the bin and counts them in the acts that deleted them.
func (w *actWriter) emptyBin(count, list string) error {
	if err := w.t.exec(`UPDATE acts SET `+count+` = `+count+` + n FROM (SELECT bin_act, count(*) AS n FROM bin WHERE id`+ofBatch+` AND bin_act IS NOT NULL GROUP BY bin_act)
		WHERE id = bin_act`, list); err != nil {
		return err
	}
	return w.t.exec(`DELETE FROM bin WHERE id`+ofBatch, list)
}

// recordBin adds a row to the history of nodes that go to the bin or come out of it.
func (w *actWriter) recordBin(list, key string) error {
	return w.recordNodes(list, connexa.T(key), `n.status`, `n.status`)
}

// Bin returns one page of the bin, the last deleted nodes first. cursor is from the page
// before; empty is the first page.
func (d *DB) Bin(ctx context.Context, cursor string, size int) (connexa.BinPage, error) {
	var page connexa.BinPage
	if err := d.read.QueryRowContext(ctx, `SELECT count(*) FROM bin`).Scan(&page.Total); err != nil {
		return page, fmt.Errorf("count the bin: %w", err)
	}
	at, id := int64(1)<<62, int64(1)<<62
	if before, after, ok := strings.Cut(cursor, "-"); ok {
		var bad [2]error
		at, bad[0] = strconv.ParseInt(before, 10, 64)
		id, bad[1] = strconv.ParseInt(after, 10, 64)
		if bad[0] != nil || bad[1] != nil {
			return page, connexa.Errorf(connexa.NotFound, "error.not_found")
		}
	}
	query := `SELECT ` + strings.Replace(nodeRow, `EXISTS (SELECT 1 FROM flaps WHERE node_id = nodes.id AND until > 0)`, `0`, 1) + `, bin_account, bin_at
		FROM bin WHERE (bin_at, id) < (?, ?) ORDER BY bin_at DESC, id DESC LIMIT ?`
	for scan := range eachRow(d.read.QueryContext(ctx, query, at, id, size+1)) {
		var b connexa.BinNode
		var deleted int64
		var err error
		if b.Node, err = scanNode(scan, &b.DeletedBy, &deleted); err != nil {
			return page, fmt.Errorf("list the bin: %w", err)
		}
		b.DeletedAt = fromMillis(deleted)
		page.Nodes = append(page.Nodes, b)
	}
	if len(page.Nodes) > size {
		page.Nodes = page.Nodes[:size]
		last := page.Nodes[size-1]
		page.Next = strconv.FormatInt(toMillis(last.DeletedAt), 10) + "-" + strconv.FormatInt(last.ID, 10)
	}
	return page, nil
}

// SelectBin returns the nodes of ids that are in the bin, or all for nil.
func (d *DB) SelectBin(ctx context.Context, ids []int64) ([]int64, error) {
	query, args := `SELECT id FROM bin ORDER BY id`, []any(nil)
	if ids != nil {
		query, args = `SELECT id FROM bin WHERE id`+ofBatch+` ORDER BY id`, []any{jsonIDs(ids)}
	}
	found, err := queryIDs(d.read.QueryContext(ctx, query, args...))
	if err != nil {
		return nil, fmt.Errorf("select nodes of the bin: %w", err)
	}
	return found, nil
}

// pruneBin deletes nodes that have been in the bin for connexa.BulkKept.
func (d *DB) pruneBin(ctx context.Context) (int64, error) {
	old := toMillis(d.now().Add(-connexa.BulkKept))
	return d.runThrottled(ctx, func(ctx context.Context, most int) (n int64, done bool, err error) {
		err = d.inTx(ctx, func(tx *sql.Tx) error {
			ids, err := queryIDs(tx.QueryContext(ctx, `SELECT id FROM bin WHERE bin_at < ? ORDER BY bin_at, id LIMIT ?`, old, most))
			if err != nil {
				return err
			}
			n, done = int64(len(ids)), len(ids) < most
			list := jsonIDs(ids)
			if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO history_gone SELECT value FROM json_each(?)`, list); err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `DELETE FROM bin WHERE id`+ofBatch, list)
			return err
		})
		return n, done, err
	})
}
