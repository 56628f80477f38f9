//go:build soak

package daemon

import (
	"context"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
)

// TestSoak tests a faulty fleet again and again for as long as SOAK says (20m by
// default), with open pages and cancels in between. In the end nothing has
// leaked, no run is stuck, and no node is at a status that it does not deserve.
func TestSoak(t *testing.T) {
	long, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		long = 20 * time.Minute
	}
	faults, err := lab.ParseFaults(lab.DefaultFaults)
	if err != nil {
		t.Fatal(err)
	}
	fleet := labtest.Start(t, lab.Config{Nodes: 400, Seed: 5, Faults: faults})
	p := startPanel(t, t.TempDir())
	p.addNodes(fleet.Nodes())
	for page := range 10 {
		p.listen("page=nodes&rows="+rowsFrom(int64(page*40+1), 40), func(string) {})
	}
	runs := func() []connexa.Run {
		list, err := p.db.LiveRuns(context.Background(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	var before runtime.MemStats
	goroutines := 0
	began, round := time.Now(), 0
	for ; time.Since(began) < long; round++ {
		kind := []string{"ping", "login"}[round%2]
		p.post("/runs", url.Values{"kind": {kind}, "all": {"1"}})
		deadline := time.Now().Add(4 * time.Minute)
		for live := runs(); len(live) > 0; live = runs() {
			if time.Now().After(deadline) {
				t.Fatalf("round %d: run %+v is stuck", round, live[0])
			}
			if round%7 == 6 && live[0].Done() > 100 {
				p.post("/runs/"+strconv.FormatInt(live[0].ID, 10)+"/cancel", nil)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if round == 3 { // warm
			before, goroutines = heap(), runtime.NumGoroutine()
		}
	}
	after := heap()
	t.Logf("%d rounds; heap %d → %d KiB, goroutines %d → %d", round, before.HeapInuse>>10, after.HeapInuse>>10, goroutines, runtime.NumGoroutine())
	if round > 8 && (after.HeapInuse > before.HeapInuse*3/2+(4<<20) || runtime.NumGoroutine() > goroutines+50) {
		t.Error("memory or goroutines have grown")
	}
}
