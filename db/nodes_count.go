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

// nodeCache holds what is dear to compute about the fleet and may be a moment
// old on a page. What acts on a selection counts for itself.
type nodeCache struct {
	writes     atomic.Int64 // raised after every commit: without one nothing is old
	generation atomic.Int64 // raised after nodes came, went or were edited
	counts     countCache
	index      nodeIndex
	facets     staleCache[connexa.Facets]
	fleet      staleCache[connexa.Fleet]
}

// fleetChanged is called after the commit of what added, edited or deleted
// nodes. Probes do not call it: for them a second of age is enough.
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

// snapshot says what a cached value was computed from.
type snapshot struct {
	writes, generation int64
	at                 time.Time
}

// takeSnapshot is taken before the value is read.
func (c *nodeCache) takeSnapshot(now time.Time) snapshot {
	return snapshot{c.writes.Load(), c.generation.Load(), now}
}

// isFresh says whether a value from old is good enough: nothing was written since,
// or only results of probes, and not for longer than most.
func (s snapshot) isFresh(old snapshot, most time.Duration) bool {
	return s.writes == old.writes || s.generation == old.generation && s.at.Sub(old.at) < most
}

// CountNodes says how many nodes s means, as of now.
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

// countCached is CountNodes for a list, at most countAge old while probes go on.
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
