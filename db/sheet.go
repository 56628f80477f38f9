package db

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	worthSheet    = 5000             // how far the ids of a fleet reach from which on its lists use the sheet
	sheetCatchUp  = 2000             // most changed nodes that are read while somebody waits for a list
	sheetForget   = 50_000           // changed nodes from which on all are read again
	sheetChunk    = 5000             // nodes read in one transaction
	sheetAge      = 10 * time.Minute // then it is read again, for what was written past the panel
	sheetDeadline = time.Minute
)

// sheet holds what the nodes of a large fleet are filtered and ordered by: finding
// a page among 100,000 nodes in it takes a fraction of what a pass over the index
// takes, or over the table for a text. It is filled when a list is first asked for. After
// that SQLite tells of each row of nodes that the writer touches, and what was
// touched by a transaction is read again before the next list. Lists do without
// it while it is being filled, and while it lags far behind.
type sheet struct {
	from    int64   // worthSheet
	pending []int64 // nodes touched by the transaction that is open; who has the writer's connection has this

	mu     sync.RWMutex
	rows   []sheetRow // in the order of their ids
	filled time.Time  // zero: not yet

	changedMu  sync.Mutex
	committing []int64            // pending while its transaction is about to be committed
	changed    map[int64]struct{} // committed, and not yet read again
	forgotten  bool               // changed was dropped: all are to be read again

	filling    chan struct{} // has a token while a filling is under way
	background sync.WaitGroup
	stop       context.CancelFunc
	ctx        context.Context
}

// sheetRow is a node as far as lists filter and order it.
type sheetRow struct {
	id                                 int64
	address, login                     string // the key of the address
	country, state, city               string
	provider, tags, cause, search      string
	port, created                      int64
	status                             int64 // index in connexa.Statuses
	reached                            int64 // height, or missing
	latency, permille, down, checkedAt int64 // missing where there is none
	suspect                            bool
}

// missing stands for NULL in a sheetRow.
const missing = -1

func (s *sheet) init() {
	s.from, s.changed, s.filling = worthSheet, map[int64]struct{}{}, make(chan struct{}, 1)
	s.ctx, s.stop = context.WithCancel(context.Background())
}

// close waits for a filling that is under way.
func (s *sheet) close() {
	s.stop()
	s.background.Wait()
}

// touched is called by the writer's connection for each row that it inserts,
// updates or deletes.
func (s *sheet) touched(table string, id int64) {
	if table == "nodes" {
		s.pending = append(s.pending, id)
	}
}

// begun is called at the start of a transaction, with the writer's connection in
// hand: what a transaction touched that was rolled back is as it was.
func (s *sheet) begun() {
	if len(s.pending) == 0 {
		return
	}
	s.changedMu.Lock()
	s.committing = nil
	s.changedMu.Unlock()
	s.pending = s.pending[:0]
}

// ending is called before the commit: from then on readers may see what the
// transaction has written.
func (s *sheet) ending() {
	if len(s.pending) > 0 {
		s.changedMu.Lock()
		s.committing = s.pending
		s.changedMu.Unlock()
	}
}

// committed is called after the commit, before the writer's connection is given
// back. Earlier, a reader could read again what is not there yet.
func (s *sheet) committed() {
	if len(s.pending) > 0 {
		s.note(s.pending)
	}
	s.begun()
}

// note remembers that nodes are to be read again.
func (s *sheet) note(ids []int64) {
	s.changedMu.Lock()
	defer s.changedMu.Unlock()
	if s.forgotten {
		return
	}
	for _, id := range ids {
		s.changed[id] = struct{}{}
	}
	if len(s.changed) > sheetForget {
		clear(s.changed)
		s.forgotten = true
	}
}

// take hands out at most so many of the changed nodes, of which the caller sees
// to it that they are read again. It does not if there are more.
func (s *sheet) take(most int) (ids []int64, ok bool) {
	s.changedMu.Lock()
	defer s.changedMu.Unlock()
	if s.forgotten || len(s.changed) > most {
		return nil, false
	}
	for id := range s.changed {
		ids = append(ids, id)
	}
	clear(s.changed)
	return ids, true
}

// isChanged says whether any of ids may have changed since it was read.
func (s *sheet) isChanged(ids []int64) bool {
	s.changedMu.Lock()
	defer s.changedMu.Unlock()
	return s.forgotten || slices.ContainsFunc(ids, func(id int64) bool {
		_, ok := s.changed[id]
		return ok
	}) || slices.ContainsFunc(s.committing, func(id int64) bool { return slices.Contains(ids, id) })
}

// useSheet makes the sheet show what is committed. It returns false when a list
// must do without it.
func (d *DB) useSheet(ctx context.Context) (bool, error) {
	s := &d.nodes.sheet
	s.mu.RLock()
	filled := s.filled
	s.mu.RUnlock()
	if filled.IsZero() {
		var reach int64
		if err := d.read.QueryRowContext(ctx, idReach).Scan(&reach); err != nil {
			return false, fmt.Errorf("how far the ids reach: %w", err)
		}
		if reach >= s.from {
			d.fillSheet()
		}
		return false, nil
	}
	if time.Since(filled) > sheetAge {
		d.fillSheet()
		return false, nil
	}
	// Whoever comes meanwhile waits, as the sheet does not show what was taken.
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.filled.IsZero() {
		return false, nil
	}
	ids, ok := s.take(sheetCatchUp)
	if !ok {
		d.fillSheet()
		return false, nil
	}
	if len(ids) == 0 {
		return true, nil
	}
	rows, err := d.sheetRows(ctx, `id IN (SELECT value FROM json_each(?))`, list(ids))
	if err != nil {
		s.note(ids)
		return false, err
	}
	s.replace(ids, rows)
	return true, nil
}

// idReach is how far the ids of the nodes reach.
const idReach = `SELECT coalesce((SELECT max(id) FROM nodes), 0) - coalesce((SELECT min(id) FROM nodes), 0)`

// fillSheet reads all nodes in the background, unless somebody does already.
func (d *DB) fillSheet() {
	s := &d.nodes.sheet
	select {
	case s.filling <- struct{}{}:
	default:
		return
	}
	s.background.Go(func() {
		defer func() { <-s.filling }()
		ctx, cancel := context.WithTimeout(s.ctx, sheetDeadline)
		defer cancel()
		if err := d.refillSheet(ctx); err != nil && s.ctx.Err() == nil {
			d.log.Warn("read what lists are ordered by", "err", err)
		}
	})
}

// refillSheet reads all nodes. What is written meanwhile is noted as changed, so
// it does not matter that the parts are read one after the other. Lists do
// without the sheet until it ends, and for good when it fails, until the next.
func (d *DB) refillSheet(ctx context.Context) error {
	s := &d.nodes.sheet
	s.mu.Lock()
	s.filled = time.Time{}
	s.changedMu.Lock()
	clear(s.changed)
	s.forgotten = false
	s.changedMu.Unlock()
	s.mu.Unlock()
	var all []sheetRow
	for last := int64(0); ; {
		rows, err := d.sheetRows(ctx, `id > ? ORDER BY id LIMIT ?`, last, sheetChunk)
		if err != nil {
			return err
		}
		all = append(all, rows...)
		if len(rows) < sheetChunk {
			break
		}
		last = rows[len(rows)-1].id
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows, s.filled = all, time.Now()
	return nil
}

// replace puts rows in the place of those with ids. mu is held.
func (s *sheet) replace(ids []int64, rows []sheetRow) {
	byID := func(r sheetRow, id int64) int { return int(min(max(r.id-id, -1), 1)) }
	found := make(map[int64]bool, len(rows))
	var more []sheetRow
	for _, r := range rows {
		found[r.id] = true
		if i, ok := slices.BinarySearchFunc(s.rows, r.id, byID); ok {
			s.rows[i] = r
		} else {
			more = append(more, r)
		}
	}
	gone := make(map[int64]bool)
	for _, id := range ids {
		if _, ok := slices.BinarySearchFunc(s.rows, id, byID); ok && !found[id] {
			gone[id] = true
		}
	}
	if len(gone) > 0 {
		s.rows = slices.DeleteFunc(s.rows, func(r sheetRow) bool { return gone[r.id] })
	}
	if len(more) > 0 {
		s.rows = append(s.rows, more...)
		// Ids grow, so this is all but sorted.
		slices.SortFunc(s.rows, func(a, b sheetRow) int { return byID(a, b.id) })
	}
}

// sheetRows reads the nodes of a condition.
func (d *DB) sheetRows(ctx context.Context, cond string, args ...any) ([]sheetRow, error) {
	rows, err := d.read.QueryContext(ctx, `SELECT id, address_key, login, country, state, city, provider, tags, cause, search, port, created_at,
		`+statusRank+`, iif(checked_at IS NULL, -1, reached), coalesce(latency, -1), iif(attempts > 0, lost * 1000 / attempts, -1),
		coalesce(down, -1), coalesce(checked_at, -1), silences > 0 OR tunnel_failures > 0 OR refusals > 0
		FROM nodes WHERE `+cond, args...)
	if err != nil {
		return nil, fmt.Errorf("read what lists are ordered by: %w", err)
	}
	defer rows.Close()
	var out []sheetRow
	words := words{}
	for rows.Next() {
		var r sheetRow
		var country, state, city, provider, tags, cause sql.RawBytes
		err := rows.Scan(&r.id, &r.address, &r.login, &country, &state, &city, &provider, &tags, &cause, &r.search, &r.port, &r.created,
			&r.status, &r.reached, &r.latency, &r.permille, &r.down, &r.checkedAt, &r.suspect)
		if err != nil {
			return nil, fmt.Errorf("read what lists are ordered by: %w", err)
		}
		r.country, r.state, r.city = words.of(country), words.of(state), words.of(city)
		r.provider, r.tags, r.cause = words.of(provider), words.of(tags), words.of(cause)
		out = append(out, r)
	}
	return out, rows.Err()
}

// words gives equal texts one string.
type words map[string]string

func (w words) of(b []byte) string {
	if s, ok := w[string(b)]; ok {
		return s
	}
	s := string(b)
	w[s] = s
	return s
}

// sheetPage finds the rows of a page as pageRows does, by the sheet. It returns
// false when a list must do without it.
func (d *DB) sheetPage(ctx context.Context, q connexa.ListQuery, at *position) ([]pageRow, bool, error) {
	// The index has the order by address, and stops when the page is full.
	if q.Sort.Key == connexa.SortAddress && q.Filter.Text == "" {
		return nil, false, nil
	}
	for range 3 { // else this page changes faster than it can be read
		ok, err := d.useSheet(ctx)
		if err != nil || !ok {
			return nil, false, err
		}
		match, err := d.sheetFilter(ctx, q.Filter)
		if err != nil {
			return nil, false, err
		}
		rows, err := d.sheetRowsOf(ctx, match, q, at)
		if err != nil || rows != nil {
			return rows, err == nil, err
		}
	}
	return nil, false, nil
}

// sheetRowsOf returns nil when rows of the page have changed meanwhile.
func (d *DB) sheetRowsOf(ctx context.Context, match func(*sheetRow) bool, q connexa.ListQuery, at *position) ([]pageRow, error) {
	s := &d.nodes.sheet
	s.mu.RLock() // until the rows are read: what is read again into the sheet is no longer noted as changed
	defer s.mu.RUnlock()
	found := s.find(match, q.Sort, at, q.Size+1)
	ids := make([]int64, len(found))
	for i := range found {
		ids[i] = found[i].id
	}
	nodes, err := nodesByID(ctx, d.read, ids)
	if err != nil {
		return nil, err
	}
	if len(nodes) < len(ids) || s.isChanged(ids) {
		return nil, nil // a row shall stand where its values say
	}
	rows := make([]pageRow, len(nodes))
	for i, n := range nodes {
		rows[i] = pageRow{found[i].keys(q.Sort), n}
	}
	return rows, nil
}

// sheetCount counts the nodes of a filter, by the sheet.
func (d *DB) sheetCount(ctx context.Context, f connexa.Filter) (n int, ok bool, err error) {
	if ok, err = d.useSheet(ctx); err != nil || !ok {
		return 0, false, err
	}
	match, err := d.sheetFilter(ctx, f)
	if err != nil {
		return 0, false, err
	}
	s := &d.nodes.sheet
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i := range s.rows {
		if match(&s.rows[i]) {
			n++
		}
	}
	return n, true, nil
}
