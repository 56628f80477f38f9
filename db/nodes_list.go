package db

import (
	"context"
	"fmt"
	"slices"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// MaxPage is the most rows that a page of the node list holds.
const MaxPage = 200

// ListNodes returns one page. A cursor that leads past either end, because nodes
// were deleted meanwhile, gives the page at that end.
func (d *DB) ListNodes(ctx context.Context, q connexa.ListQuery) (connexa.NodePage, error) {
	q.Size = min(max(q.Size, 1), MaxPage)
	// The page and the total are two scans, on two connections side by side.
	type total struct {
		n   int
		err error
	}
	counted := make(chan total, 1)
	go func() {
		n, err := d.countCached(ctx, q.Filter)
		counted <- total{n, err}
	}()
	page, err := d.page(ctx, q)
	t := <-counted
	if err == nil {
		err = t.err
	}
	if err != nil {
		return connexa.NodePage{}, fmt.Errorf("list nodes: %w", err)
	}
	page.Total, page.From = settle(page, t.n)
	return page, nil
}

// settle makes the total, which may be a moment older than the page, and the
// page's place, which a cursor remembers from when it was made, agree with what
// the page shows.
func settle(page connexa.NodePage, counted int) (total, from int) {
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

func (d *DB) page(ctx context.Context, q connexa.ListQuery) (connexa.NodePage, error) {
	// One snapshot for the order and the rows: a row stands where its values say.
	tx, err := d.read.BeginTx(ctx, nil)
	if err != nil {
		return connexa.NodePage{}, err
	}
	defer tx.Rollback()
	at := parseCursor(q.Cursor, q.Sort)
	s, err := slice(ctx, tx, q, at)
	switch {
	case err != nil:
	case at == nil:
	case at.Back && len(s.ids) < q.Size:
		s, err = slice(ctx, tx, q, nil)
	case !at.Back && len(s.ids) == 0:
		s, err = lastSlice(ctx, tx, q)
	}
	if err != nil {
		return connexa.NodePage{}, err
	}
	nodes, err := nodesByID(ctx, tx, s.ids)
	if err != nil {
		return connexa.NodePage{}, err
	}
	page := connexa.NodePage{Nodes: nodes, From: s.from}
	order := q.Sort.String()
	if n := len(s.ids); n > 0 && s.more {
		next := position{Sort: order, Keys: s.last, Index: s.from + n}
		page.Next = next.cursor()
	}
	if s.less {
		prev := position{Sort: order, Keys: s.first, Back: true, Index: s.from}
		page.Prev = prev.cursor()
	}
	return page, nil
}

// span is a page before its rows are read.
type span struct {
	ids         []int64
	first, last []any // orderKeys of the rows at its ends
	from        int
	less, more  bool // there are rows before, after it
}

// pageSQL is the statement that finds the rows of one page, and one row beyond
// to learn whether there are more.
func pageSQL(q connexa.ListQuery, at *position) (string, []any) {
	keys := orderKeys(q.Sort)
	cond, args := where(q.Filter)
	back := at != nil && at.Back
	if at != nil && len(at.Keys) > 0 {
		beyond, more := at.beyond(keys, q.Sort.Desc)
		cond, args = cond+" AND "+beyond, append(args, more...)
	}
	columns := "id"
	for _, k := range keys {
		columns += ", " + k
	}
	return `SELECT ` + columns + ` FROM ` + source(q.Filter) + ` WHERE ` + cond +
		` ORDER BY ` + orderBy(keys, q.Sort.Desc, back) + ` LIMIT ?`, append(args, q.Size+1)
}

func slice(ctx context.Context, tx querier, q connexa.ListQuery, at *position) (span, error) {
	query, args := pageSQL(q, at)
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return span{}, err
	}
	defer rows.Close()
	n := len(orderKeys(q.Sort))
	var (
		s    span
		ends [2][]any // keys of the first and of the last row in the order they come
	)
	beyond := false
	for rows.Next() {
		if len(s.ids) == q.Size {
			beyond = true
			break
		}
		var id int64
		keys := make([]any, n)
		into := []any{&id}
		for i := range keys {
			into = append(into, &keys[i])
		}
		if err := rows.Scan(into...); err != nil {
			return span{}, err
		}
		if len(s.ids) == 0 {
			ends[0] = keys
		}
		ends[1] = keys
		s.ids = append(s.ids, id)
	}
	if err := rows.Err(); err != nil {
		return span{}, err
	}
	s.first, s.last = ends[0], ends[1]
	switch {
	case at == nil:
		s.more = beyond
	case at.Back:
		slices.Reverse(s.ids)
		s.first, s.last = s.last, s.first
		s.less, s.more = beyond, true
		if beyond { // else the page is the first one
			s.from = max(at.Index-len(s.ids), 1)
		}
	default:
		s.less, s.more, s.from = true, beyond, at.Index
	}
	return s, nil
}

// lastSlice is the page at the end of the list.
func lastSlice(ctx context.Context, tx querier, q connexa.ListQuery) (span, error) {
	n, err := count(ctx, tx, q.Filter)
	if err != nil || n == 0 {
		return span{}, err
	}
	s, err := slice(ctx, tx, q, &position{Back: true, Index: n})
	s.more = false
	return s, err
}

func count(ctx context.Context, q querier, f connexa.Filter) (int, error) {
	cond, args := where(f)
	var n int
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM `+source(f)+` WHERE `+cond, args...).Scan(&n)
	return n, err
}
