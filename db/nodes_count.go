package db

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// nodeCache holds values about the fleet that are expensive to compute and may be slightly
// old on a page. Actions on a selection count for themselves.
type nodeCache struct {
	writes     atomic.Int64 // incremented after every commit; if it is unchanged, no value is old
	generation atomic.Int64 // incremented after nodes were added, edited or deleted
	counts     countCache
	index      nodeIndex
	facets     staleCache[connexa.Facets]
	fleet      staleCache[connexa.Fleet]
}

// fleetChanged is called after the commit of added, edited or deleted nodes. Probes do not
// call it: for them, a value may be a second old.
func (d *DB) fleetChanged() { d.nodeCache.generation.Add(1) }

const (
	countAge  = time.Second
	maxCounts = 256
)

type countCache struct {
	mu      sync.Mutex
	entries map[string]countEntry
}

type countEntry struct {
	n   int
	age snapshot
}

// snapshot identifies the state of the database from which a value was computed.
type snapshot struct {
	writes, generation int64
	at                 time.Time
}

// takeSnapshot must be called before the value is read.
func (c *nodeCache) takeSnapshot(now time.Time) snapshot {
	return snapshot{c.writes.Load(), c.generation.Load(), now}
}

// isFresh reports whether a value from old is good enough: nothing was written since, or
// only results of probes, and it is at most most old.
func (s snapshot) isFresh(old snapshot, most time.Duration) bool {
	return s.writes == old.writes || s.generation == old.generation && s.at.Sub(old.at) < most
}

// CountNodes returns the current number of nodes in s.
func (d *DB) CountNodes(ctx context.Context, s connexa.Selection) (int, error) {
	var n int
	var err error
	if s.All {
		n, err = countRows(ctx, d.read, s.Filter)
	} else {
		cond, args := whereSelected(s)
		err = d.read.QueryRowContext(ctx, `SELECT count(*) FROM nodes WHERE `+cond, args...).Scan(&n)
	}
	if err != nil {
		return 0, fmt.Errorf("count nodes: %w", err)
	}
	return n, nil
}

// countCached is CountNodes for a list. It may be countAge old while probes run.
func (d *DB) countCached(ctx context.Context, f connexa.Filter) (int, error) {
	b, err := json.Marshal(f)
	if err != nil {
		return 0, fmt.Errorf("name a filter: %w", err)
	}
	key, c := string(b), &d.nodeCache.counts
	now := d.nodeCache.takeSnapshot(d.now())
	c.mu.Lock()
	e, ok := c.entries[key]
	c.mu.Unlock()
	if ok && now.isFresh(e.age, countAge) {
		return e.n, nil
	}
	n, ok, err := d.indexedCount(ctx, f)
	if err == nil && !ok {
		n, err = countRows(ctx, d.read, f)
	}
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil || len(c.entries) >= maxCounts {
		c.entries = make(map[string]countEntry)
	}
	c.entries[key] = countEntry{n, now}
	return n, nil
}
