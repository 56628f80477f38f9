package db

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	facetWait    = 15 * time.Millisecond
	facetTimeout = 10 * time.Second
	facetRest    = 10  // times what the last computation took: an import would keep it busy for good
	maxFacet     = 300 // values of one facet; who has more finds them with the text
)

// facetCache keeps the last facets and computes new ones behind.
type facetCache struct {
	mu         sync.Mutex
	value      connexa.Facets
	writes     int64 // seen when value was computed
	known      bool
	rest       time.Time // before it nothing new is computed
	refresh    *refresh  // nil when none is under way
	background sync.WaitGroup
}

// refresh is one computation; done is closed at its end, and then err is set.
type refresh struct {
	done chan struct{}
	err  error
}

// Facets returns the values that the filters offer. Once something was written
// new ones are made, and a page does not wait for those of a large fleet: it
// gets the old ones, marked so. Whoever gets them must not change them.
func (d *DB) Facets(ctx context.Context) (connexa.Facets, error) {
	c := &d.nodes.facets
	c.mu.Lock()
	if c.known && (d.nodes.writes.Load() == c.writes || time.Now().Before(c.rest)) {
		defer c.mu.Unlock()
		return d.lastFacets(), nil
	}
	r, known := c.refresh, c.known
	if r == nil {
		r = &refresh{done: make(chan struct{})}
		c.refresh = r
		c.background.Go(func() { d.refreshFacets(context.WithoutCancel(ctx), r) })
	}
	c.mu.Unlock()

	var enough <-chan time.Time // never, while there is nothing to show
	if known {
		enough = time.After(facetWait)
	}
	select {
	case <-r.done:
		if r.err != nil && !known {
			return connexa.Facets{}, r.err
		}
	case <-enough:
	case <-ctx.Done():
		return connexa.Facets{}, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return d.lastFacets(), nil
}

// lastFacets is called with the lock held.
func (d *DB) lastFacets() connexa.Facets {
	f := d.nodes.facets.value
	f.Old = d.nodes.writes.Load() != d.nodes.facets.writes
	return f
}

func (d *DB) refreshFacets(ctx context.Context, r *refresh) {
	ctx, cancel := context.WithTimeout(ctx, facetTimeout)
	defer cancel()
	writes, start := d.nodes.writes.Load(), time.Now()
	value, err := d.computeFacets(ctx)
	c := &d.nodes.facets
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.err = err; err != nil {
		d.log.Warn("count the fleet", "err", err)
	} else {
		c.value, c.writes, c.known = value, writes, true
	}
	c.rest = time.Now().Add(facetRest * time.Since(start))
	c.refresh = nil
	close(r.done)
}

func (d *DB) computeFacets(ctx context.Context) (f connexa.Facets, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("count the fleet: %w", err)
		}
	}()
	tx, err := d.read.BeginTx(ctx, nil)
	if err != nil {
		return f, err
	}
	defer tx.Rollback()
	statuses, err := countBy(ctx, tx, "status", "TRUE")
	if err != nil {
		return f, err
	}
	f.Statuses = make(map[connexa.Status]int, len(statuses))
	for status, n := range statuses {
		f.Statuses[connexa.Status(status)] = n
		f.Total += n
	}
	if f.Suspect, err = count(ctx, tx, connexa.Filter{Suspect: true}); err != nil {
		return f, err
	}
	for _, part := range []struct {
		column, cond string
		into         *[]connexa.Facet
	}{
		{"country", "TRUE", &f.Countries},
		{"provider", "TRUE", &f.Providers},
		{"cause", "cause <> ''", &f.Causes},
		{"tags", "tags <> ''", &f.Tags},
	} {
		values, err := countBy(ctx, tx, part.column, part.cond)
		if err != nil {
			return f, err
		}
		if part.column == "tags" {
			values = eachTag(values)
		}
		*part.into = mostFrequent(values)
	}
	return f, nil
}

// countBy counts the nodes of each value of a column.
func countBy(ctx context.Context, q querier, column, cond string) (map[string]int, error) {
	rows, err := q.QueryContext(ctx, `SELECT `+column+`, count(*) FROM nodes INDEXED BY nodes_list WHERE `+cond+` GROUP BY 1`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	values := make(map[string]int)
	for rows.Next() {
		var value string
		var n int
		if err := rows.Scan(&value, &n); err != nil {
			return nil, err
		}
		values[value] = n
	}
	return values, rows.Err()
}

// eachTag makes counts of tags out of counts of sets of tags.
func eachTag(sets map[string]int) map[string]int {
	tags := make(map[string]int)
	for set, n := range sets {
		for _, tag := range splitTags(set) {
			tags[tag] += n
		}
	}
	return tags
}

func mostFrequent(values map[string]int) []connexa.Facet {
	facets := make([]connexa.Facet, 0, len(values))
	for value, n := range values {
		if value == "" {
			value = none
		}
		facets = append(facets, connexa.Facet{Value: value, Count: n})
	}
	slices.SortFunc(facets, func(a, b connexa.Facet) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return facets[:min(len(facets), maxFacet)]
}
