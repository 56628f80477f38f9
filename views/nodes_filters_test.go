package views

import (
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// TestFacetOptionsIgnoreCase checks that a value in another case marks the stored value
// and adds no value of its own.
func TestFacetOptionsIgnoreCase(t *testing.T) {
	m := facetOptions("tag", "Tag", []connexa.Facet{{Value: "old", Count: 2}, {Value: "new", Count: 1}}, []string{"OLD", "gone"}, func(s string) string { return s }, "")
	var got []string
	for _, o := range m.list {
		if o.on {
			got = append(got, o.value)
		}
	}
	if len(m.list) != 3 || len(got) != 2 || got[0] != "old" || got[1] != "gone" {
		t.Errorf("got %+v, want old, new and gone, new not chosen", m.list)
	}
}
