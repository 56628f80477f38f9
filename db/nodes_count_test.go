package db

import (
	"fmt"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestCountsAreKeptUntilSomethingIsWritten(t *testing.T) {
	now := fleetStart
	d, err := Open(t.Context(), Options{Dir: t.TempDir(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	fleet := putFleet(t, d, makeFleet(4, 30))
	f := connexa.Filter{Statuses: []connexa.Status{connexa.PingOK}}
	total := func() int {
		t.Helper()
		page, err := d.ListNodes(t.Context(), connexa.ListQuery{Filter: f, Size: 1})
		if err != nil {
			t.Fatal(err)
		}
		return page.Total
	}
	was := total()
	// A write that bypasses the panel is not noticed: the cached count is used.
	set := func(status string) {
		t.Helper()
		if _, err := d.write.Exec(`UPDATE nodes SET status = ?`, status); err != nil {
			t.Fatal(err)
		}
	}
	set("ping_ok")
	if got := total(); got != was {
		t.Errorf("got %d, counted again without a reason; want %d", got, was)
	}
	d.nodeCache.writes.Add(1) // as after a result of a probe
	if got := total(); got != was {
		t.Errorf("%d within a second of a result, want %d", got, was)
	}
	now = now.Add(countAge)
	if got := total(); got != len(fleet) {
		t.Errorf("%d a second after a result, want %d", got, len(fleet))
	}
	set("ping_failed")
	d.fleetChanged()
	d.nodeCache.writes.Add(1)
	if got := total(); got != 0 {
		t.Errorf("%d after an edit, want 0", got)
	}
}

func TestCountsAreBounded(t *testing.T) {
	d := openFleet(t)
	for i := range 2 * maxCounts {
		if _, err := d.countCached(t.Context(), connexa.Filter{Text: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(d.nodeCache.counts.entries); n > maxCounts {
		t.Errorf("%d counts are kept", n)
	}
}
