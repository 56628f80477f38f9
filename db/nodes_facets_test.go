package db

import (
	"slices"
	"sync"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestFacetsCountTheFleet(t *testing.T) {
	d := openFleet(t)
	ctx := t.Context()
	if f, err := d.Facets(ctx); err != nil || f.Total != 0 || len(f.Countries) != 0 {
		t.Fatalf("an empty fleet has %+v, %v", f, err)
	}
	fleet := putFleet(t, d, makeFleet(5, 300))
	f, err := freshFacets(t, d)
	if err != nil {
		t.Fatal(err)
	}
	suspects := 0
	for i := range fleet {
		if fleet[i].Failures.Suspect() {
			suspects++
		}
	}
	if f.Total != len(fleet) || f.Suspect != suspects {
		t.Errorf("total %d, suspect %d; want %d and %d", f.Total, f.Suspect, len(fleet), suspects)
	}
	type part struct {
		list   []connexa.Facet
		filter func(value string) connexa.Filter
	}
	parts := map[string]part{
		"tags":   {f.Tags, func(v string) connexa.Filter { return connexa.Filter{Tags: []string{v}} }},
		"causes": {f.Causes, func(v string) connexa.Filter { return connexa.Filter{Causes: []connexa.Cause{connexa.Cause(v)}} }},
	}
	for _, c := range connexa.FilterColumns() {
		parts[c.Name] = part{*c.Filter.Facet(&f), func(v string) (f connexa.Filter) {
			*c.Filter.Chosen(&f) = []string{v}
			return f
		}}
	}
	for name, part := range parts {
		if len(part.list) < 2 || !slices.IsSortedFunc(part.list, func(a, b connexa.Facet) int { return b.Count - a.Count }) {
			t.Errorf("%s: %v", name, part.list)
		}
		for _, facet := range part.list {
			// The count beside a value is how many rows a click on it shows.
			n, err := d.CountNodes(ctx, connexa.Selection{All: true, Filter: part.filter(facet.Value)})
			if err != nil || n != facet.Count {
				t.Errorf("%s: %q has %d, its filter finds %d, %v", name, facet.Value, facet.Count, n, err)
			}
		}
	}
	probed := 0
	for step, n := range f.Reached {
		if got, err := d.CountNodes(ctx, connexa.Selection{All: true, Filter: connexa.Filter{Reached: []connexa.Step{step}}}); err != nil || got != n {
			t.Errorf("%s: %d, its filter finds %d, %v", step, n, got, err)
		}
		probed += n
	}
	if probed == 0 || probed == len(fleet) {
		t.Errorf("%d of %d nodes count as probed", probed, len(fleet))
	}
	for status, n := range f.Statuses {
		if got, err := d.CountNodes(ctx, connexa.Selection{All: true, Filter: connexa.Filter{Statuses: []connexa.Status{status}}}); err != nil || got != n {
			t.Errorf("%s: %d, its filter finds %d, %v", status, n, got, err)
		}
	}
}

// freshFacets asks until the facets are those of the fleet as it is.
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
