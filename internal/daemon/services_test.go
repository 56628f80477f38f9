package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/speed"
)

// runPanel runs a panel in this process. stop stops it as a signal does.
func runPanel(t *testing.T, dir string, wires gre.Opener) (p *Panel, stop func()) {
	t.Helper()
	p, err := New(t.Context(), config.Serve{Listen: "127.0.0.1:0", Data: dir, AdminPassword: adminPassword, AllowLocal: true}, wires, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- p.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return p, stop
}

// awaitServiceState waits until the service of a node is in a state.
func awaitServiceState(t *testing.T, p *Panel, node int64, want connexa.ServiceState) connexa.ServiceRow {
	t.Helper()
	return awaitService(t, p, node, func(r connexa.ServiceRow) bool { return r.State == want })
}

// awaitService waits until wanted returns true for the service of a node.
func awaitService(t *testing.T, p *Panel, node int64, wanted func(connexa.ServiceRow) bool) connexa.ServiceRow {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	box, done := p.broker.Subscribe(func(e connexa.Event) bool { return e.Topic == connexa.ServiceChanged && e.ID == node })
	defer done()
	for {
		rows, err := p.db.ServiceRows(ctx, []int64{node})
		if err != nil {
			t.Fatal(err)
		}
		if wanted(rows[node]) {
			return rows[node]
		}
		if _, ok := box.Next(ctx); !ok {
			t.Fatalf("the service is %s because of %v: %+v", rows[node].State, rows[node].Reason, rows[node])
		}
	}
}

// awaitProbe runs a kind of probe on a node and returns its history entry.
func awaitProbe(t *testing.T, p *Panel, kind connexa.RunKind, node int64) connexa.Entry {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	box, done := p.broker.Subscribe(func(e connexa.Event) bool { return e.Topic == connexa.RunChanged })
	defer done()
	run, err := p.app.Runs.StartRun(ctx, connexa.NewRun{Kind: kind, Selection: connexa.Selection{IDs: []int64{node}}})
	if err != nil {
		t.Fatal(err)
	}
	for {
		r, err := p.db.Run(ctx, run.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !r.State.Live() {
			break
		}
		if _, ok := box.Next(ctx); !ok {
			t.Fatalf("the run is %+v", r)
		}
	}
	h, err := p.db.NodeHistory(ctx, node, 0, 20)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range h {
		if e.RunID == run.ID {
			return e
		}
	}
	t.Fatalf("no row of run %d in %+v", run.ID, h)
	return connexa.Entry{}
}

func addServer(t *testing.T, p *Panel, address, login, password string) int64 {
	t.Helper()
	id, err := p.app.Nodes.AddNode(t.Context(), connexa.NodeInput{Address: address, Login: login, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func selectNode(id int64) connexa.Selection { return connexa.Selection{IDs: []int64{id}} }

// TestProbesShareServerWithService probes a server while a service has a session with
// it.
func TestProbesShareServerWithService(t *testing.T) {
	wires := gre.NewSwitch()
	sites := map[string]http.Handler{tunnelEndpoint: speed.NewServer(speed.ServerOptions{})}
	n := labtest.Start(t, lab.Config{Nodes: 1, GRE: wires.Open, Sites: sites}).Nodes()[0]
	dir := t.TempDir()
	p, stop := runPanel(t, dir, wires.Open)
	if err := p.SetFirstEndpoint(t.Context(), connexa.Endpoint{Kind: connexa.EndpointOwn, URL: "http://" + tunnelEndpoint}); err != nil {
		t.Fatal(err)
	}
	useFreePorts(t, p)
	server := n.Addr.Addr().String()
	node, other := addServer(t, p, server, n.Login, n.Password), addServer(t, p, server, "somebody", "else")
	if e := awaitProbe(t, p, connexa.RunLogin, node); e.Result != connexa.ResultGood {
		t.Fatalf("before there is a service: got %+v, want a good result", e)
	}
	before, err := p.db.Node(t.Context(), node)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := switchServices(t.Context(), p, connexa.BulkStart, selectNode(node), 2); connexa.CodeOf(err) != connexa.Conflict {
		t.Errorf("start of another number than was shown: got %v, want %v", err, connexa.Conflict)
	}
	if started, err := switchServices(t.Context(), p, connexa.BulkStart, selectNode(node), 1); err != nil || started != 1 {
		t.Fatalf("started %d services, %v; want 1", started, err)
	}
	row := awaitServiceState(t, p, node, connexa.ServiceOnline)
	if r := awaitService(t, p, node, func(r connexa.ServiceRow) bool { return r.ExitIP != "" }); r.ExitIP != n.Exit().String() {
		t.Errorf("got exit address %s, want %s", r.ExitIP, n.Exit())
	}
	secret, err := p.app.Services.RevealService(t.Context(), node)
	if err != nil {
		t.Fatal(err)
	}
	checkFarEnd(t, row, secret)
	t.Run("probes of its node use the service", func(t *testing.T) { checkProbesByService(t, p, node) })
	t.Run("probes of another login wait", func(t *testing.T) { checkProbesInUse(t, p, n, other) })
	t.Run("no verdict changes", func(t *testing.T) {
		if after, err := p.db.Node(t.Context(), node); err != nil || after.Verdict != before.Verdict || after.Basis != before.Basis {
			t.Errorf("got %+v by %+v, %v; want %+v by %+v", after.Verdict, after.Basis, err, before.Verdict, before.Basis)
		}
		if n, err := p.db.Node(t.Context(), other); err != nil || n.Status != connexa.NotTested {
			t.Errorf("node of the other login: got %s, %v; want %s", n.Status, err, connexa.NotTested)
		}
	})
	t.Run("a second service at the server fails", func(t *testing.T) { checkSecondServiceFails(t, p, other) })

	// A restart brings the service back on the same port with the same credentials.
	stop()
	p, _ = runPanel(t, dir, wires.Open)
	again := awaitServiceState(t, p, node, connexa.ServiceOnline)
	if again.Listen != row.Listen || again.User != row.User {
		t.Errorf("after a restart: got %s at %v, want %s at %v", again.User, again.Listen, row.User, row.Listen)
	}
	checkFarEnd(t, again, secret)
	t.Run("a deleted node has no service", func(t *testing.T) { checkDeletedService(t, p, again) })
}

// useFreePorts lets services listen on ports from a free one on.
func useFreePorts(t *testing.T, p *Panel) {
	t.Helper()
	err := p.db.ChangeSettings(t.Context(), func(s *connexa.Settings) error {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer free.Close()
		s.Service.FirstPort = free.Addr().(*net.TCPAddr).Port
		s.Service.LastPort = 65535
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkFarEnd requests a page through the proxy of a service and checks that the far end
// sees the address inside the tunnel.
func checkFarEnd(t *testing.T, row connexa.ServiceRow, secret connexa.Secret) {
	t.Helper()
	at := &url.URL{Scheme: "socks5", Host: row.Listen.String(), User: url.UserPassword(row.User, secret.Reveal())}
	tr := &http.Transport{Proxy: http.ProxyURL(at)}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr}).Get("http://only-in-here.example/ip")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if string(body) != row.LocalIP+"\n" {
		t.Errorf("got address %q at the far end, want %q", body, row.LocalIP)
	}
}

func checkProbesByService(t *testing.T, p *Panel, node int64) {
	t.Helper()
	for _, kind := range []connexa.RunKind{connexa.RunPing, connexa.RunLogin} {
		if e := awaitProbe(t, p, kind, node); e.Result != connexa.ResultGood || e.Detail.Text.Key != "probe.through."+string(kind) || e.Reached != connexa.NoStep || !e.ByService() || len(e.Trace) != 1 {
			t.Errorf("%s: got %s, %v, %s; want a good result by the service", kind, e.Result, e.Detail.Text, e.Cause)
		}
	}
}

// checkProbesInUse probes a node with another login at the server of n, by its address
// and by a name, whose lookup reveals that it belongs to the same server.
func checkProbesInUse(t *testing.T, p *Panel, n lab.Node, node int64) {
	t.Helper()
	want := fmt.Sprintf("probe.in_use[%s (%s)]", n.Addr.Addr(), n.Login)
	for _, kind := range []connexa.RunKind{connexa.RunPing, connexa.RunLogin} {
		if e := awaitProbe(t, p, kind, node); e.Result != connexa.ResultInUse || e.Detail.Text.String() != want {
			t.Errorf("%s: got %s, %v, %s; want %s, %s", kind, e.Result, e.Detail.Text, e.Cause, connexa.ResultInUse, want)
		}
	}
	for _, kind := range []connexa.Kind{connexa.Ping, connexa.Login, connexa.Speed} {
		work := p.gateways.ShareServers(func(_ context.Context, j connexa.Job) (connexa.Probed, error) {
			return connexa.Probed{}, p.gateways.Resolved(j, n.Addr.Addr())
		}, nil)
		probed, err := work(t.Context(), connexa.Job{NodeID: node, Kind: kind, Address: "vpn.test"})
		if err != nil || probed.Result != connexa.ResultInUse || probed.Outcome.Kind != kind {
			t.Errorf("%s by another name: got %+v, %v; want %s", kind, probed, err, connexa.ResultInUse)
		}
	}
}

// switchServices starts or stops services, and returns the number of those that changed.
func switchServices(ctx context.Context, p *Panel, kind connexa.BulkKind, s connexa.Selection, shown int) (int, error) {
	a, err := p.app.Acts.StartAct(ctx, s, shown, connexa.Bulk{Kind: kind})
	return a.Changed, err
}

func checkSecondServiceFails(t *testing.T, p *Panel, node int64) {
	t.Helper()
	if _, err := switchServices(t.Context(), p, connexa.BulkStart, selectNode(node), 1); err != nil {
		t.Fatal(err)
	}
	if r := awaitServiceState(t, p, node, connexa.ServiceFailed); r.Reason.Key != "service.reason.in_use" {
		t.Errorf("got reason %v, want service.reason.in_use", r.Reason)
	}
	if _, err := switchServices(t.Context(), p, connexa.BulkStop, selectNode(node), 1); err != nil {
		t.Fatal(err)
	}
	awaitServiceState(t, p, node, connexa.ServiceOff)
}

func checkDeletedService(t *testing.T, p *Panel, row connexa.ServiceRow) {
	t.Helper()
	if _, err := p.app.Acts.StartAct(t.Context(), selectNode(row.NodeID), 1, connexa.Bulk{Kind: connexa.BulkDelete}); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", row.Listen.String()); err == nil {
		c.Close()
		t.Errorf("got a connection to %s, want it refused", row.Listen)
	}
}
