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
	generation atomic.Int64 // raised after nodes came, went or were edited
	counts     countCache
	facets     facetCache
}

// fleetChanged is called after the commit of what added, edited or deleted
// nodes. Probes do not call it: for them a second of age is enough.
func (d *DB) fleetChanged() { d.nodes.generation.Add(1) }

const (
	countAge  = time.Second
	maxCounts = 256
)

type countCache struct {
	mu      sync.Mutex
	entries map[string]countEntry
}

type countEntry struct {
	n          int
	generation int64
	at         time.Time
}

// CountNodes says how many nodes s means, as of now.
func (d *DB) CountNodes(ctx context.Context, s connexa.Selection) (int, error) {
	var n int
	var err error
	if s.All {
		n, err = count(ctx, d.read, s.Filter)
	} else {
		cond, args := whereSelected(s)
		err = d.read.QueryRowContext(ctx, `SELECT count(*) FROM nodes WHERE `+cond, args...).Scan(&n)
	}
	if err != nil {
		return 0, fmt.Errorf("count nodes: %w", err)
	}
	return n, nil
}

// countCached is CountNodes for a list, at most countAge old.
func (d *DB) countCached(ctx context.Context, f connexa.Filter) (int, error) {
	b, err := json.Marshal(f)
	if err != nil {
		return 0, fmt.Errorf("name a filter: %w", err)
	}
	key, c := string(b), &d.nodes.counts
	now, generation := d.now(), d.nodes.generation.Load()
	c.mu.Lock()
	e, ok := c.entries[key]
	c.mu.Unlock()
	if ok && e.generation == generation && now.Sub(e.at) < countAge {
		return e.n, nil
	}
	n, err := count(ctx, d.read, f)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil || len(c.entries) >= maxCounts {
		c.entries = make(map[string]countEntry)
	}
	c.entries[key] = countEntry{n, generation, now}
	return n, nil
}
