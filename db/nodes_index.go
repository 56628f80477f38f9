package db

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	minIndexedIDs = 5000                  // range of ids from which on lists use the index
	indexCatchUp  = 1000                  // maximum number of changed nodes that a list reads before it answers
	indexWait     = 30 * time.Millisecond // how long a list waits for a catch-up before it does without the index
	indexResetAt  = 50_000                // number of changed nodes from which on all are read again
	indexChunk    = 5000                  // nodes read in one transaction
	indexMaxAge   = 10 * time.Minute      // then it is read again, in case another program wrote to the database
	indexUse      = 10 * time.Second      // how long after a list it follows each write
	indexDeadline = time.Minute
)

// nodeIndex is an in-memory index of the values by which the nodes of a large fleet
// are filtered and ordered. Finding a page among 100,000 nodes takes a fraction of a
// pass over the SQL index, or over the table for a text. It is filled when the
// database is opened, or at a list of a fleet that has grown. After that, SQLite
// reports each row of nodes that the writer changes, and the changed rows are read
// again before the next list. Lists do not use it while it is filled or far behind.
type nodeIndex struct {
	minIDs  int64   // minIndexedIDs
	pending []int64 // nodes changed by the open transaction; guarded by the writer's connection

	mu          sync.RWMutex
	rows        []indexRow    // in the order of their ids
	deletedRows int           // rows of deleted nodes
	filled      time.Time     // zero: not yet
	catchingUp  bool          // a goroutine reads the changed nodes
	caughtUp    chan struct{} // closed when catchingUp ends
	refilling   bool          // the whole fleet is being read, which is slow

	changedMu  sync.Mutex
	committing []int64            // pending, while its transaction is being committed
	changed    map[int64]struct{} // committed and not yet read again
	stale      bool               // changed was dropped: all nodes must be read again

	lastUsed   atomic.Int64  // time of the last list, in Unix nanoseconds
	filling    chan struct{} // holds a token while a goroutine reads in the background
	background sync.WaitGroup
	stop       context.CancelFunc
	ctx        context.Context
}

// indexRow has the values of a node by which lists filter and order.
type indexRow struct {
	id                                 int64
	address                            string // its key
	login, country, state, city        string
	filters                            []string // of connexa.FilterColumns; rows with equal values share it
	tags, cause, search                string
	port, created                      int64
	status                             int64 // index in connexa.Statuses
	reached                            int64 // index of the step, or missing
	latency, permille, down, checkedAt int64 // missing where there is none
	suspect                            bool
	deleted                            bool // the node was deleted
}

// missing is NULL in an indexRow.
const missing = -1

func (s *nodeIndex) setUp() {
	s.minIDs, s.changed, s.filling, s.stale = minIndexedIDs, map[int64]struct{}{}, make(chan struct{}, 1), true
	s.ctx, s.stop = context.WithCancel(context.Background())
}

// close stops the background reads and waits for them.
func (s *nodeIndex) close() {
	s.stop()
	s.background.Wait()
}

// onRowChange is called by the writer's connection for each row that it inserts,
// updates or deletes. It misses writes to nodes outside DB.inTx and DB.inStmtTx.
func (s *nodeIndex) onRowChange(table string, id int64) {
	if table == "nodes" {
		s.pending = append(s.pending, id)
	}
}

// onBegin is called at the start of a transaction, with the writer's connection. It
// drops the changes of a transaction that was rolled back.
func (s *nodeIndex) onBegin() {
	if len(s.pending) == 0 {
		return
	}
	s.changedMu.Lock()
	s.committing = nil
	s.changedMu.Unlock()
	s.pending = s.pending[:0]
}

// beforeCommit is called before the commit. From then on, readers may see the changes
// of the transaction.
func (s *nodeIndex) beforeCommit() {
	if len(s.pending) > 0 {
		s.changedMu.Lock()
		s.committing = s.pending
		s.changedMu.Unlock()
	}
}

// afterCommit is called after the commit, before the writer's connection is released.
// Any earlier, a reader could read the old values again.
func (s *nodeIndex) afterCommit() {
	if len(s.pending) > 0 {
		s.markChanged(s.pending)
	}
	s.onBegin()
}

// markChanged records that nodes must be read again.
func (s *nodeIndex) markChanged(ids []int64) {
	s.changedMu.Lock()
	defer s.changedMu.Unlock()
	if s.stale {
		return
	}
	for _, id := range ids {
		s.changed[id] = struct{}{}
	}
	if len(s.changed) > indexResetAt {
		clear(s.changed)
		s.stale = true
	}
}

// takeChanged removes and returns up to most of the changed nodes. The caller reads
// them again.
func (s *nodeIndex) takeChanged(most int) (ids []int64) {
	s.changedMu.Lock()
	defer s.changedMu.Unlock()
	for id := range s.changed {
		if len(ids) == most {
			break
		}
		ids = append(ids, id)
		delete(s.changed, id)
	}
	return ids
}

// countChanged returns the number of changed nodes that were not yet read again.
func (s *nodeIndex) countChanged() (n int, forgotten bool) {
	s.changedMu.Lock()
	defer s.changedMu.Unlock()
	return len(s.changed), s.stale
}

// isChanged reports whether any of ids may have changed since it was read.
func (s *nodeIndex) isChanged(ids []int64) bool {
	s.changedMu.Lock()
	defer s.changedMu.Unlock()
	return s.stale || slices.ContainsFunc(ids, func(id int64) bool {
		_, ok := s.changed[id]
		return ok
	}) || slices.ContainsFunc(s.committing, func(id int64) bool { return slices.Contains(ids, id) })
}

// useIndex brings the index up to date. It returns false if the list must do without
// it.
func (d *DB) useIndex(ctx context.Context) (bool, error) {
	s := &d.nodeCache.index
	s.lastUsed.Store(time.Now().UnixNano())
	for range 3 { // another goroutine may start a catch-up at any time
		if !s.awaitCaughtUp(ctx) {
			return false, ctx.Err()
		}
		s.mu.RLock()
		filled := s.filled
		s.mu.RUnlock()
		n, forgotten := s.countChanged()
		switch {
		case filled.IsZero():
			return false, d.startIndex(ctx)
		case forgotten, n > indexCatchUp, time.Since(filled) > indexMaxAge:
			d.readIndex()
			return false, nil
		}
		if ok, err := d.catchUpNow(ctx); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// catchUpNow reads the changed nodes while lists wait, because the index lacks the
// taken ones. It returns false if another goroutine does so.
func (d *DB) catchUpNow(ctx context.Context) (bool, error) {
	s := &d.nodeCache.index
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.catchingUp {
		return false, nil
	}
	if err := d.readChanged(ctx, s.takeChanged(2*indexCatchUp), s.replaceRows); err != nil {
		return false, err
	}
	return true, nil
}

// awaitCaughtUp waits for a catch-up for at most indexWait. It reports whether no
// catch-up is running.
func (s *nodeIndex) awaitCaughtUp(ctx context.Context) bool {
	var late <-chan time.Time
	for {
		s.mu.RLock()
		behind, whole, caught := s.catchingUp, s.refilling, s.caughtUp
		s.mu.RUnlock()
		if !behind || whole {
			return !behind
		}
		if late == nil {
			late = time.After(indexWait)
		}
		select {
		case <-caught:
		case <-late:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// startIndex starts to fill the index if the fleet is large enough.
func (d *DB) startIndex(ctx context.Context) error {
	var reach int64
	err := d.read.QueryRowContext(ctx, `SELECT coalesce((SELECT max(id) FROM nodes), 0) - coalesce((SELECT min(id) FROM nodes), 0)`).Scan(&reach)
	if err != nil {
		return fmt.Errorf("how far the ids of the nodes reach: %w", err)
	}
	if reach >= d.nodeCache.index.minIDs {
		d.readIndex()
	}
	return nil
}

// readChanged reads the nodes of ids again and passes them to replace.
func (d *DB) readChanged(ctx context.Context, ids []int64, replace func(ids []int64, rows []indexRow)) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := d.readIndexRows(ctx, `id IN (SELECT value FROM json_each(?))`, jsonIDs(ids))
	if err != nil {
		d.nodeCache.index.markChanged(ids)
		return err
	}
	replace(ids, rows)
	return nil
}

// afterCommit records the changes of a committed transaction, with the writer's
// connection. While lists are in use, it starts a catch-up.
func (d *DB) afterCommit() {
	s := &d.nodeCache.index
	s.afterCommit()
	if n, forgotten := s.countChanged(); n > indexCatchUp/2 && !forgotten && time.Now().UnixNano()-s.lastUsed.Load() < int64(indexUse) {
		d.readIndex()
	}
}

// readIndex reads the changed nodes, or all of them, in the background, unless a
// goroutine already does.
func (d *DB) readIndex() {
	s := &d.nodeCache.index
	select {
	case s.filling <- struct{}{}:
	default:
		return
	}
	s.background.Go(func() {
		defer func() { <-s.filling }()
		ctx, cancel := context.WithTimeout(s.ctx, indexDeadline)
		defer cancel()
		if err := d.catchUp(ctx); err != nil && s.ctx.Err() == nil {
			d.log.Warn("read what lists are ordered by", "err", err)
		}
	})
}

// catchUp reads changed nodes until few are left.
func (d *DB) catchUp(ctx context.Context) error {
	s := &d.nodeCache.index
	s.mu.Lock()
	s.catchingUp, s.caughtUp = true, make(chan struct{})
	again := time.Since(s.filled) > indexMaxAge
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.catchingUp, s.refilling = false, false
		close(s.caughtUp)
		s.mu.Unlock()
	}()
	for {
		n, forgotten := s.countChanged()
		switch {
		case forgotten || again:
			s.mu.Lock()
			s.refilling = true
			s.mu.Unlock()
			if err := d.refillIndex(ctx); err != nil {
				return err
			}
			s.mu.Lock()
			s.refilling = false
			s.mu.Unlock()
			again = false
		case n > indexCatchUp/4:
			err := d.readChanged(ctx, s.takeChanged(indexCatchUp), func(ids []int64, rows []indexRow) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.replaceRows(ids, rows)
			})
			if err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// refillIndex reads all nodes, in parts. Nodes that are written meanwhile are recorded
// as changed, so the parts need not be from one snapshot.
func (d *DB) refillIndex(ctx context.Context) (err error) {
	s := &d.nodeCache.index
	s.changedMu.Lock()
	clear(s.changed)
	s.stale = false
	s.changedMu.Unlock()
	defer func() {
		if err != nil {
			s.changedMu.Lock()
			defer s.changedMu.Unlock()
			s.stale = true
		}
	}()
	var all []indexRow
	for last := int64(0); ; {
		rows, err := d.readIndexRows(ctx, `id > ? ORDER BY id LIMIT ?`, last, indexChunk)
		if err != nil {
			return err
		}
		all = append(all, rows...)
		if len(rows) < indexChunk {
			break
		}
		last = rows[len(rows)-1].id
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows, s.deletedRows, s.filled = all, 0, time.Now()
	return nil
}

// replaceRows replaces the rows of ids with rows; a node without a row was deleted. mu
// is held.
func (s *nodeIndex) replaceRows(ids []int64, rows []indexRow) {
	place := func(id int64) (int, bool) {
		return slices.BinarySearchFunc(s.rows, id, func(r indexRow, id int64) int { return cmp.Compare(r.id, id) })
	}
	for _, id := range ids {
		if i, ok := place(id); ok && !s.rows[i].deleted {
			s.rows[i] = indexRow{id: id, deleted: true}
			s.deletedRows++
		}
	}
	slices.SortFunc(rows, func(a, b indexRow) int { return cmp.Compare(a.id, b.id) })
	for _, r := range rows {
		if i, ok := place(r.id); ok {
			s.rows[i] = r
			s.deletedRows--
		} else {
			s.rows = slices.Insert(s.rows, i, r) // at the end: ids grow
		}
	}
	if s.deletedRows > len(s.rows)/4 {
		s.rows = slices.DeleteFunc(s.rows, func(r indexRow) bool { return r.deleted })
		s.deletedRows = 0
	}
}

// readIndexRows reads the rows of the nodes that match a condition.
func (d *DB) readIndexRows(ctx context.Context, cond string, args ...any) ([]indexRow, error) {
	filters := connexa.FilterColumns()
	names := make([]string, len(filters))
	for i, c := range filters {
		names[i] = c.Name
	}
	rows, err := d.read.QueryContext(ctx, `SELECT `+strings.Join(names, ", ")+`, id, address_key, login, country, state, city, tags, basis_cause, search, port, created_at,
		`+statusRank+`, iif(checked_at IS NULL, -1, basis_reached), coalesce(latency, -1), iif(attempts > 0, lost * 1000 / attempts, -1),
		coalesce(down, -1), coalesce(checked_at, -1), silences > 0 OR tunnel_failures > 0 OR refusals > 0
		FROM nodes WHERE `+cond, args...)
	if err != nil {
		return nil, fmt.Errorf("read what lists are ordered by: %w", err)
	}
	defer rows.Close()
	var (
		out                               []indexRow
		r                                 indexRow
		country, state, city, tags, cause sql.RawBytes
		values                            = make([]sql.RawBytes, len(filters))
		into                              []any
	)
	for i := range values {
		into = append(into, &values[i])
	}
	into = append(into, &r.id, &r.address, &r.login, &country, &state, &city, &tags, &cause, &r.search, &r.port, &r.created,
		&r.status, &r.reached, &r.latency, &r.permille, &r.down, &r.checkedAt, &r.suspect)
	words, lists := interner{}, listInterner{}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("read what lists are ordered by: %w", err)
		}
		r.country, r.state, r.city = words.intern(country), words.intern(state), words.intern(city)
		r.tags, r.cause, r.filters = words.intern(tags), words.intern(cause), lists.intern(values)
		out = append(out, r)
	}
	return out, rows.Err()
}

// interner returns one string for equal texts.
type interner map[string]string

func (w interner) intern(b []byte) string {
	if s, ok := w[string(b)]; ok {
		return s
	}
	s := string(b)
	w[s] = s
	return s
}

// listInterner returns one list for equal lists of texts.
type listInterner map[string][]string

func (l listInterner) intern(values []sql.RawBytes) []string {
	var buf [128]byte
	key := buf[:0]
	for _, v := range values {
		key = append(append(key, v...), '\n') // no column has line breaks
	}
	if list, ok := l[string(key)]; ok {
		return list
	}
	list := strings.Split(strings.TrimSuffix(string(key), "\n"), "\n")
	l[string(key)] = list
	return list
}

// indexedPage is pageRows with the index. It returns false if the list must do without
// it.
func (d *DB) indexedPage(ctx context.Context, q connexa.ListQuery, at *position) ([]pageRow, bool, error) {
	// The SQL index has this order and stops when the page is full.
	if q.Sort.Key == connexa.SortAddress && isCovered(q.Filter) {
		return nil, false, nil
	}
	for range 3 { // otherwise the page changes faster than it can be read
		ok, err := d.useIndex(ctx)
		if err != nil || !ok {
			return nil, false, err
		}
		match, err := d.indexFilter(ctx, q.Filter)
		if err != nil {
			return nil, false, err
		}
		rows, err := d.indexedRows(ctx, match, q, at)
		if err != nil || rows != nil {
			return rows, err == nil, err
		}
	}
	return nil, false, nil
}

// indexedRows returns nil if rows of the page changed meanwhile.
func (d *DB) indexedRows(ctx context.Context, match func(*indexRow) bool, q connexa.ListQuery, at *position) ([]pageRow, error) {
	s := &d.nodeCache.index
	s.mu.RLock() // held until the rows are read: rows that are read again are no longer recorded as changed
	defer s.mu.RUnlock()
	if s.catchingUp {
		return nil, nil
	}
	found := s.findRows(match, q.Sort, at, q.Size+1)
	ids := make([]int64, len(found))
	for i := range found {
		ids[i] = found[i].id
	}
	nodes, err := nodesByID(ctx, d.read, ids)
	if err != nil {
		return nil, err
	}
	if len(nodes) < len(ids) || s.isChanged(ids) {
		return nil, nil // a row must be where its values belong
	}
	rows := make([]pageRow, len(nodes))
	for i, n := range nodes {
		rows[i] = pageRow{found[i].sortKeys(q.Sort), n}
	}
	return rows, nil
}

// indexedCount counts the nodes of a filter with the index.
func (d *DB) indexedCount(ctx context.Context, f connexa.Filter) (n int, ok bool, err error) {
	if ok, err = d.useIndex(ctx); err != nil || !ok {
		return 0, false, err
	}
	match, err := d.indexFilter(ctx, f)
	if err != nil {
		return 0, false, err
	}
	s := &d.nodeCache.index
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.catchingUp {
		return 0, false, nil
	}
	for i := range s.rows {
		if !s.rows[i].deleted && match(&s.rows[i]) {
			n++
		}
	}
	return n, true, nil
}
