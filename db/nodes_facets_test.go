package db

import (
	"slices"
	"sync"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestFacetsOfEmptyFleet(t *testing.T) {
	f, err := openFleet(t).Facets(t.Context())
	if err != nil || f.Total != 0 || len(f.Countries) != 0 {
		t.Fatalf("got %+v, %v; want no nodes and no countries", f, err)
	}
}

// TestFacetsCountTheFleet checks that the count beside a value is the number of
// rows that a click on it shows.
func TestFacetsCountTheFleet(t *testing.T) {
	d := openFleet(t)
	fleet := putFleet(t, d, makeFleet(5, 300))
	f, err := freshFacets(t, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("total and suspect nodes", func(t *testing.T) {
		suspects := 0
		for i := range fleet {
			if fleet[i].Failures.Suspect() {
				suspects++
			}
		}
		if f.Total != len(fleet) || f.Suspect != suspects {
			t.Errorf("got total %d, suspect %d; want %d and %d", f.Total, f.Suspect, len(fleet), suspects)
		}
	})
	t.Run("tags", func(t *testing.T) {
		checkFacets(t, d, f.Tags, func(v string) connexa.Filter { return connexa.Filter{Tags: []string{v}} })
	})
	t.Run("causes", func(t *testing.T) {
		checkFacets(t, d, f.Causes, func(v string) connexa.Filter { return connexa.Filter{Causes: []connexa.Cause{connexa.Cause(v)}} })
	})
	for _, c := range connexa.FilterColumns() {
		t.Run("column "+c.Name, func(t *testing.T) {
			checkFacets(t, d, *c.Filter.Facet(&f), func(v string) (f connexa.Filter) {
				*c.Filter.Chosen(&f) = []string{v}
				return f
			})
		})
	}
	t.Run("steps", func(t *testing.T) {
		probed := 0
		for step, n := range f.Reached {
			checkFacetCount(t, d, string(step), n, connexa.Filter{Reached: []connexa.Step{step}})
			probed += n
		}
		if probed == 0 || probed == len(fleet) {
			t.Errorf("got %d probed nodes, want more than none and fewer than %d", probed, len(fleet))
		}
	})
	t.Run("statuses", func(t *testing.T) {
		for status, n := range f.Statuses {
			checkFacetCount(t, d, string(status), n, connexa.Filter{Statuses: []connexa.Status{status}})
		}
	})
}

// checkFacets checks the order and the counts of the values in list.
func checkFacets(t *testing.T, d *DB, list []connexa.Facet, filter func(value string) connexa.Filter) {
	t.Helper()
	if len(list) < 2 || !slices.IsSortedFunc(list, func(a, b connexa.Facet) int { return b.Count - a.Count }) {
		t.Errorf("got %v, want several values, the most frequent first", list)
	}
	for _, facet := range list {
		checkFacetCount(t, d, facet.Value, facet.Count, filter(facet.Value))
	}
}

func checkFacetCount(t *testing.T, d *DB, value string, count int, filter connexa.Filter) {
	t.Helper()
	if want, err := d.CountNodes(t.Context(), connexa.Selection{All: true, Filter: filter}); err != nil || count != want {
		t.Errorf("%q: got a count of %d, want %d as its filter finds, %v", value, count, want, err)
	}
}

// freshFacets asks until the facets are up to date.
func freshFacets(t *testing.T, d *DB) (connexa.Facets, error) {
	t.Helper()
	for {
		f, err := d.Facets(t.Context())
		if err != nil || !f.Old {
			return f, err
		}
		d.nodeCache.facets.background.Wait()
	}
}

func TestFacetsForManyAtOnce(t *testing.T) {
	d := openFleet(t)
	fleet := putFleet(t, d, makeFleet(5, 50))
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for range 5 {
				f, err := d.Facets(t.Context())
				if err != nil || f.Total != len(fleet) {
					t.Errorf("%d nodes, %v", f.Total, err)
				}
				d.fleetChanged()
			}
		})
	}
	readers.Wait()
}
