package daemon

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/db/dbtest"
)

// BenchmarkStart starts a panel with a million nodes in a process of its own. It reports
// when it is ready for requests, when the list of nodes is complete, and its memory
// after that.
func BenchmarkStart(b *testing.B) {
	const nodes = 1_000_000
	dir := b.TempDir()
	startChild(b, dir).kill() // makes the file
	pool, err := dbtest.Open(filepath.Join(dir, db.File))
	if err != nil {
		b.Fatal(err)
	}
	if err := dbtest.Fleet(b.Context(), pool, nodes); err != nil {
		b.Fatal(err)
	}
	if err := pool.Close(); err != nil {
		b.Fatal(err)
	}
	var ready, complete time.Duration
	var memory int
	for b.Loop() {
		start := time.Now()
		c := startChild(b, dir) // logs in, too, which leads to the dashboard
		ready += c.ready.Sub(start)
		c.getOK("/nodes?q=user777&sort=-latency")
		complete += time.Since(start)
		for range 20 { // pages of some orders, as in use
			c.getOK("/nodes?q=country:US&sort=login")
			c.getOK("/nodes?sort=place")
		}
		memory += residentKiB(b, c.cmd.Process.Pid)
		c.kill()
	}
	b.ReportMetric(ready.Seconds()/float64(b.N), "ready-s(≤2)")
	b.ReportMetric(complete.Seconds()/float64(b.N), "complete-s(≤6)")
	b.ReportMetric(float64(memory)/1024/float64(b.N), "resident-MiB(<400)")
	b.ReportMetric(0, "ns/op")
}

func (c *childPanel) getOK(path string) {
	c.t.Helper()
	res, err := c.client.Get(c.url + path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		c.t.Fatalf("GET %s: %s", path, res.Status)
	}
}

// residentKiB returns the resident memory of a process.
func residentKiB(tb testing.TB, pid int) (kib int) {
	tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range bytes.Lines(status) {
		if value, found := strings.CutPrefix(string(line), "VmRSS:"); found {
			if _, err := fmt.Sscan(value, &kib); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return kib
}
