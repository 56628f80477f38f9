package db

import (
	"context"
	"fmt"
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

	closeMu    sync.Mutex
	closed     bool
	cancelRead context.CancelFunc // ends the read in the background; nil before the first one
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
}

// close stops the background reads and waits for them.
func (s *nodeIndex) close() {
	s.closeMu.Lock()
	s.closed = true
	if s.cancelRead != nil {
		s.cancelRead()
	}
	s.closeMu.Unlock()
	s.background.Wait()
}

// beginRead returns the context of a read in the background, which close ends.
func (s *nodeIndex) beginRead() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), indexDeadline)
	s.closeMu.Lock()
	defer s.closeMu.Unlock()
	if s.cancelRead = cancel; s.closed {
		cancel()
	}
	return ctx, cancel
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

// afterCommit records the changes of a committed transaction, with the writer's
// connection. While lists are in use, it starts a catch-up.
func (d *DB) afterCommit() {
	s := &d.nodeCache.index
	s.afterCommit()
	if n, forgotten := s.countChanged(); n > indexCatchUp/2 && !forgotten && time.Now().UnixNano()-s.lastUsed.Load() < int64(indexUse) {
		d.readIndex()
	}
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
