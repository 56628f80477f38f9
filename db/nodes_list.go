package db

import (
	"context"
	"fmt"
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// MaxPage is the maximum number of rows on a page of the node list.
const MaxPage = 200

// ListNodes returns one page. If the cursor is past an end, because nodes were deleted
// meanwhile, it returns the page at that end.
func (d *DB) ListNodes(ctx context.Context, q connexa.ListQuery) (connexa.NodePage, error) {
	q.Size = min(max(q.Size, 1), MaxPage)
	// The page and the total are two concurrent scans on two connections.
	type total struct {
		n   int
		err error
	}
	counted := make(chan total, 1)
	go func() {
		n, err := d.countCached(ctx, q.Filter)
		counted <- total{n, err}
	}()
	page, err := d.listPage(ctx, q)
	t := <-counted
	if err == nil {
		err = t.err
	}
	if err != nil {
		return connexa.NodePage{}, fmt.Errorf("list nodes: %w", err)
	}
	page.Total, page.From = clampQuery(page, t.n)
	return page, nil
}

// clampQuery makes the total and the index of the first row consistent with the page. The
// total may be older than the page, and the index comes from the cursor.
func clampQuery(page connexa.NodePage, counted int) (total, from int) {
	n := len(page.Nodes)
	total = max(counted, n)
	switch {
	case page.Prev == "" && page.Next == "":
		return n, 0
	case page.Prev == "":
		return total, 0
	case page.Next == "":
		return total, total - n
	default:
		return total, min(page.From, total-n)
	}
}

func (d *DB) listPage(ctx context.Context, q connexa.ListQuery) (connexa.NodePage, error) {
	at := parseCursor(q.Cursor, q.Sort)
	s, err := d.readSpan(ctx, q, at)
	switch {
	case err != nil:
	case at == nil:
	case at.Back && len(s.rows) < q.Size:
		s, err = d.readSpan(ctx, q, nil)
	case !at.Back && len(s.rows) == 0:
		s, err = d.lastSpan(ctx, q)
	}
	if err != nil {
		return connexa.NodePage{}, err
	}
	page := connexa.NodePage{From: s.from, Nodes: make([]connexa.Node, len(s.rows))}
	for i, r := range s.rows {
		page.Nodes[i] = r.node
	}
	order := q.Sort.String()
	if n := len(s.rows); n > 0 && s.more {
		next := position{Sort: order, Keys: s.rows[n-1].keys, Index: s.from + n}
		page.Next = next.encodeCursor()
	}
	if s.less {
		prev := position{Sort: order, Back: true, Index: s.from}
		if len(s.rows) > 0 {
			prev.Keys = s.rows[0].keys
		}
		page.Prev = prev.encodeCursor()
	}
	return page, nil
}

// pageRow is a node with its orderKeys.
type pageRow struct {
	keys []any
	node connexa.Node
}

// pageSpan is the rows of a page and the index of the first one.
type pageSpan struct {
	rows       []pageRow
	from       int
	less, more bool // there are rows before, or after
}

// readSpan reads the page after at, or before it with Back.
func (d *DB) readSpan(ctx context.Context, q connexa.ListQuery, at *position) (pageSpan, error) {
	rows, err := d.pageRows(ctx, q, at)
	if err != nil {
		return pageSpan{}, err
	}
	beyond := len(rows) > q.Size
	s := pageSpan{rows: rows[:min(len(rows), q.Size)]}
	switch {
	case at == nil:
		s.more = beyond
	case at.Back:
		slices.Reverse(s.rows)
		s.less, s.more = beyond, true
		if beyond { // otherwise it is the first page
			s.from = max(at.Index-len(s.rows), 1)
		}
	default:
		s.less, s.more, s.from = true, beyond, at.Index
	}
	return s, nil
}

// lastSpan returns the last page of the list.
func (d *DB) lastSpan(ctx context.Context, q connexa.ListQuery) (pageSpan, error) {
	n, err := countRows(ctx, d.read, q.Filter)
	if err != nil || n == 0 {
		return pageSpan{}, err
	}
	s, err := d.readSpan(ctx, q, &position{Back: true, Index: n})
	s.more = false
	return s, err
}

// pageRows finds the rows of one page, and one more to find out whether there are more, in
// their order from at.
func (d *DB) pageRows(ctx context.Context, q connexa.ListQuery, at *position) ([]pageRow, error) {
	if rows, ok, err := d.indexedPage(ctx, q, at); err != nil || ok {
		return rows, err
	}
	return d.indexPage(ctx, q, at)
}

// indexPage is pageRows with the SQL index instead of the node index.
func (d *DB) indexPage(ctx context.Context, q connexa.ListQuery, at *position) ([]pageRow, error) {
	// One snapshot for the order and the rows, so that both agree.
	tx, err := d.read.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	ids, keys, err := findPage(ctx, tx, q, at)
	if err != nil {
		return nil, err
	}
	nodes, err := nodesByID(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	rows := make([]pageRow, len(nodes))
	for i, n := range nodes {
		rows[i] = pageRow{keys[i], n}
	}
	return rows, nil
}

// pageSQL returns the statement that finds the rows of one page, and one more.
func pageSQL(q connexa.ListQuery, at *position) (string, []any) {
	keys := orderKeys(q.Sort)
	cond, args := filterSQL(q.Filter)
	back := at != nil && at.Back
	if at != nil && len(at.Keys) > 0 {
		beyond, more := at.beyondSQL(keys, q.Sort.Desc)
		cond, args = cond+" AND "+beyond, append(args, more...)
	}
	columns := "id"
	for _, k := range keys {
		columns += ", " + k
	}
	return `SELECT ` + columns + ` FROM ` + sourceTable(q.Filter) + ` WHERE ` + cond +
		` ORDER BY ` + orderBy(keys, q.Sort.Desc, back) + ` LIMIT ?`, append(args, q.Size+1)
}

func findPage(ctx context.Context, tx querier, q connexa.ListQuery, at *position) (ids []int64, keys [][]any, err error) {
	query, args := pageSQL(q, at)
	n := len(orderKeys(q.Sort))
	for scan := range eachRow(tx.QueryContext(ctx, query, args...)) {
		var id int64
		of := make([]any, n)
		into := []any{&id}
		for i := range of {
			into = append(into, &of[i])
		}
		if err := scan(into...); err != nil {
			return nil, nil, err
		}
		ids, keys = append(ids, id), append(keys, of)
	}
	return ids, keys, nil
}

func countRows(ctx context.Context, q querier, f connexa.Filter) (int, error) {
	cond, args := filterSQL(f)
	var n int
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM `+sourceTable(f)+` WHERE `+cond, args...).Scan(&n)
	return n, err
}
