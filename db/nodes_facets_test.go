package db

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestFacetsOfEmptyFleet(t *testing.T) {
	f, err := openFleet(t).Facets(t.Context(), connexa.Filter{})
	if err != nil || f.Total != 0 || len(f.Countries) != 0 {
		t.Fatalf("got %+v, %v; want no nodes and no countries", f, err)
	}
}

// checkFacets compares the counts of each field with those of the nodes that match the
// other terms.
func checkFacets(ctx context.Context, t *rapid.T, d *DB, filter connexa.Filter, fleet []connexa.Node) {
	f, err := d.Facets(ctx, filter)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string]int{"status": {}, "step": {}, "cause": countsOfFacet(f.Causes), "tag": countsOfFacet(f.Tags), "encryption": countsOfFacet(f.Policies)}
	for status, n := range f.Statuses {
		got["status"][string(status)] = n
	}
	for step, n := range f.Reached {
		got["step"][string(step)] = n
	}
	for _, c := range connexa.FacetColumns() {
		got[c.Name] = countsOfFacet(*c.Facet(&f))
	}
	for _, field := range []string{"state", "city"} {
		values, err := d.NodeValues(ctx, field, filter.Without(field))
		if err != nil {
			t.Fatal(err)
		}
		got[field] = countsOfFacet(values)
	}
	for field, counts := range got {
		want := make(map[string]int)
		for i := range fleet {
			n := &fleet[i]
			if !matchesFilter(filter.Without(field), n) {
				continue
			}
			switch field {
			case "status":
				want[string(n.Status)]++
			case "step":
				if !n.Last.At.IsZero() {
					want[string(n.Basis.Reached)]++
				}
			case "cause":
				if n.Basis.Cause != "" {
					want[string(n.Basis.Cause)]++
				}
			case "encryption":
				want[cmp.Or(string(n.Encryption), connexa.NoValue)]++
			case "tag":
				for _, tag := range n.Tags {
					want[tag]++
				}
			default:
				want[cmp.Or(*connexa.ColumnNamed(field).Value(n), connexa.NoValue)]++
			}
		}
		if field == "asn" && len(want) == 1 && want[connexa.NoValue] > 0 {
			continue // a field that no node has is not offered
		}
		if !maps.Equal(counts, want) {
			t.Fatalf("%s with the filter %s: got %v, want %v", field, filter, counts, want)
		}
	}
	for _, list := range [][]connexa.Facet{f.Countries, f.Providers, f.Tags} {
		if !slices.IsSortedFunc(list, func(a, b connexa.Facet) int { return b.Count - a.Count }) {
			t.Fatalf("got %v, want the most frequent first", list)
		}
	}
}

func countsOfFacet(list []connexa.Facet) map[string]int {
	counts := make(map[string]int)
	for _, f := range list {
		counts[f.Value] = f.Count
	}
	return counts
}
