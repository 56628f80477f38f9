//go:build soak

package daemon

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
)

// TestSoak probes a faulty fleet repeatedly for the duration in SOAK, 20m by default.
// Meanwhile pages are open, runs are cancelled, and services are started, used,
// interrupted and stopped. At the end nothing has leaked, no run is stuck, and every
// service is online or has a reason.
func TestSoak(t *testing.T) {
	long, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		long = 20 * time.Minute
	}
	faults, err := lab.ParseFaults(lab.DefaultFaults + ",dies:40s=12,ends:70s=12")
	if err != nil {
		t.Fatal(err)
	}
	fleet := labtest.Start(t, lab.Config{Nodes: 400, Seed: 5, Faults: faults})
	p := startPanel(t, t.TempDir())
	p.addNodes(fleet.Nodes())
	services := newServiceSoak(t, p, 120)
	for page := range 10 {
		p.readStream("page=nodes&rows="+rowsFrom(int64(page*40+1), 40), func(string) {})
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
		p.postForm("/runs", url.Values{"kind": {kind}, "all": {"1"}})
		deadline := time.Now().Add(4 * time.Minute)
		for live := runs(); len(live) > 0; live = runs() {
			if time.Now().After(deadline) {
				t.Fatalf("round %d: run %+v is stuck", round, live[0])
			}
			if round%7 == 6 && live[0].Done() > 100 {
				p.postForm("/runs/"+strconv.FormatInt(live[0].ID, 10)+"/cancel", nil)
			}
			time.Sleep(100 * time.Millisecond)
		}
		services.changeServices(round)
		if round == 3 { // the process is warmed up
			services.stopAll()
			before, goroutines = readHeap(), runtime.NumGoroutine()
		}
	}
	services.checkExplained()
	services.stopAll()
	after := readHeap()
	t.Logf("%d rounds; heap %d → %d KiB, goroutines %d → %d", round, before.HeapInuse>>10, after.HeapInuse>>10, goroutines, runtime.NumGoroutine())
	if round > 8 && (after.HeapInuse > before.HeapInuse*3/2+(4<<20) || runtime.NumGoroutine() > goroutines+50) {
		t.Error("memory or goroutines have grown")
	}
}

// serviceSoak starts, stops and uses the services of the first nodes.
type serviceSoak struct {
	t     *testing.T
	p     *panelTest
	nodes []int64
	rnd   *rand.Rand

	online, used, interrupted int
}

func newServiceSoak(t *testing.T, p *panelTest, n int64) *serviceSoak {
	s := &serviceSoak{t: t, p: p, rnd: rand.New(rand.NewPCG(5, 6))}
	for id := range n {
		s.nodes = append(s.nodes, id+1)
	}
	return s
}

// pickNodes returns n random nodes.
func (s *serviceSoak) pickNodes(n int) connexa.Selection {
	var ids []int64
	for _, i := range s.rnd.Perm(len(s.nodes))[:n] {
		ids = append(ids, s.nodes[i])
	}
	return connexa.Selection{IDs: ids}
}

// changeServices starts some services and stops others. It downloads through services
// that are online; some downloads are not completed.
func (s *serviceSoak) changeServices(round int) {
	ctx := context.Background()
	s.switchServices(connexa.BulkStart, s.pickNodes(len(s.nodes)/3))
	s.switchServices(connexa.BulkStop, s.pickNodes(len(s.nodes)/8))
	rows, err := s.p.db.ServiceRows(ctx, s.nodes)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range rows {
		if r.State != connexa.ServiceOnline || s.rnd.IntN(2) == 0 {
			continue
		}
		s.online++
		s.useProxy(ctx, r, round)
	}
}

// useProxy downloads through a service. Servers are expected to fail during a
// download, so errors are only counted.
func (s *serviceSoak) useProxy(ctx context.Context, r connexa.ServiceRow, round int) {
	secret, err := s.p.db.ServiceSecret(ctx, r.NodeID)
	if err != nil {
		s.t.Fatal(err)
	}
	at := &url.URL{Scheme: []string{"socks5", "http"}[round%2], Host: r.Listen.String(), User: url.UserPassword(r.User, secret.Reveal())}
	tr := &http.Transport{Proxy: http.ProxyURL(at)}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr, Timeout: 10 * time.Second}).Get("http://198.51.100.7/bytes/300000")
	if err != nil {
		s.interrupted++
		return
	}
	defer res.Body.Close()
	if n, err := io.CopyN(io.Discard, res.Body, int64(s.rnd.IntN(300000))); err != nil {
		s.interrupted++
	} else if n > 0 {
		s.used++
	}
}

// checkExplained waits until every enabled service is online or has a reason, and
// checks that its last change is in the node's history.
func (s *serviceSoak) checkExplained() {
	ctx := context.Background()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		wrong := ""
		rows, err := s.p.db.ServiceRows(ctx, s.nodes)
		if err != nil {
			s.t.Fatal(err)
		}
		for id, r := range rows {
			if r.Wanted && r.State != connexa.ServiceOnline && r.Reason.IsZero() {
				wrong = fmt.Sprintf("the service of node %d is %s and says nothing", id, r.State)
			}
			if r.State != connexa.ServiceOff && !s.hasHistory(id) {
				wrong = fmt.Sprintf("the history of node %d tells nothing of its service, which is %s", id, r.State)
			}
		}
		if wrong == "" {
			break
		}
		if time.Now().After(deadline) {
			s.t.Error(wrong)
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.t.Logf("services: %d times found online, %d downloads, %d cut off", s.online, s.used, s.interrupted)
	if s.used == 0 {
		s.t.Error("nothing went through any service")
	}
}

// hasHistory reports whether the history of a node has an entry about its service.
func (s *serviceSoak) hasHistory(node int64) bool {
	h, err := s.p.db.NodeHistory(context.Background(), node, 0, 50)
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.ContainsFunc(h, func(e connexa.Entry) bool { return e.What == connexa.EntryService })
}

// switchServices starts or stops those services of nodes that are not yet started or
// stopped.
func (s *serviceSoak) switchServices(kind connexa.BulkKind, nodes connexa.Selection) {
	if _, err := switchServices(context.Background(), s.p, kind, nodes, len(nodes.IDs)); err != nil && connexa.CodeOf(err) != connexa.Conflict {
		s.t.Fatal(err)
	}
}

// stopAll stops all services and waits until they are off.
func (s *serviceSoak) stopAll() {
	ctx := context.Background()
	s.switchServices(connexa.BulkStop, connexa.Selection{IDs: s.nodes})
	deadline := time.Now().Add(time.Minute)
	for {
		rows, err := s.p.db.ServiceRows(ctx, s.nodes)
		if err != nil {
			s.t.Fatal(err)
		}
		left := 0
		for _, r := range rows {
			if r.State != connexa.ServiceOff && r.State != "" {
				left++
			}
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d services do not stop", left)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
