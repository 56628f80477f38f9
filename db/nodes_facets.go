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
	facetAge     = 2 * time.Second
	facetTimeout = 10 * time.Second
	maxFacet     = 300 // values of one facet; who has more finds them with the text
)

// facetCache keeps the last facets. One reader at a time computes new ones.
type facetCache struct {
	mu         sync.Mutex
	value      connexa.Facets
	generation int64
	at         time.Time // zero: none yet
	refreshing bool
	background sync.WaitGroup
}

// Facets returns the values that the filters offer. After an edit of the fleet
// they are new, but for the second after they were last computed; when only
// probes went on, old ones are returned while new ones are made behind.
// Whoever gets them must not change them.
func (d *DB) Facets(ctx context.Context) (connexa.Facets, error) {
	c := &d.nodes.facets
	now, generation := d.now(), d.nodes.generation.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	age := now.Sub(c.at)
	switch {
	case c.at.IsZero(), c.generation != generation && age >= facetAge/2:
		// The lock is held: whoever comes meanwhile wants the same answer.
		value, err := d.computeFacets(ctx)
		if err != nil {
			return connexa.Facets{}, err
		}
		c.value, c.generation, c.at = value, generation, now
	case age >= facetAge && !c.refreshing:
		c.refreshing = true
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), facetTimeout)
		c.background.Go(func() {
			defer cancel()
			d.refreshFacets(ctx, generation)
		})
	}
	return c.value, nil
}

func (d *DB) refreshFacets(ctx context.Context, generation int64) {
	value, err := d.computeFacets(ctx)
	c := &d.nodes.facets
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refreshing = false
	if err != nil {
		d.log.Warn("count the fleet", "err", err)
		return
	}
	c.value, c.generation, c.at = value, generation, d.now()
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
