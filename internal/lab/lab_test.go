package lab_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp/control"
)

// pingOnce makes one attempt and returns the result.
func pingOnce(ctx context.Context, node lab.Node) (control.SCCRP, lab.Expect) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp4", node.Addr.String())
	if errors.Is(err, syscall.ECONNREFUSED) {
		return control.SCCRP{}, lab.Expect{Status: "ping_failed", Cause: "tcp.refused"}
	}
	if err != nil {
		return control.SCCRP{}, lab.Expect{Status: "ping_failed", Cause: err.Error()}
	}
	c := control.NewConn(nc, control.Config{})
	defer c.Close()
	reply, err := c.Start(ctx)
	if err != nil {
		return reply, lab.Expect{Status: "ping_failed", Cause: control.CodeOf(err)}
	}
	if err := c.Stop(ctx); err != nil {
		return reply, lab.Expect{Status: "ping_failed", Cause: "at the stop: " + err.Error()}
	}
	return reply, lab.Expect{Status: "ping_ok"}
}

// pingThrice pings like a panel: several attempts, of which one must succeed. The timeouts
// are longer than any delay here, except if no answer comes at all.
func pingThrice(t *testing.T, node lab.Node) (reply control.SCCRP, found lab.Expect) {
	for range 3 {
		patience := 10 * time.Second
		switch node.Behaviour.Kind {
		case lab.Silent, lab.Half, lab.Drip, lab.Lossy:
			patience = 200 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		reply, found = pingOnce(ctx, node)
		cancel()
		if found.Status == "ping_ok" {
			break
		}
	}
	return reply, found
}

func TestEachBehaviourHasExpectedStatus(t *testing.T) {
	const spec = "good=2,slow:50ms=2,lossy:2=2,lossy:3=2,refuse=2,silent=2,garbage=6,half=2,ssh=2,denied=4,reset=3,drip=2"
	f := labtest.Start(t, lab.Config{Nodes: 31, Seed: 7, Faults: labtest.Faults(t, spec)})
	for i, node := range f.Nodes() {
		t.Run(fmt.Sprint(i, node.Behaviour), func(t *testing.T) {
			t.Parallel()
			reply, found := pingThrice(t, node)
			want := node.Behaviour.Expect()
			want.Reached = "" // pingThrice does not report it
			if found != want {
				t.Errorf("found %+v, want %+v", found, want)
			}
			if found.Status == "ping_ok" && reply.Server() != node.Server {
				t.Errorf("the server is %+v, want %+v", reply.Server(), node.Server)
			}
			if refused := node.Behaviour.Kind == lab.Refuse; (f.Visits(node.Addr.Addr()) == 0) != refused {
				t.Errorf("%d visits", f.Visits(node.Addr.Addr()))
			}
		})
	}
}

func TestLongTalk(t *testing.T) {
	f := labtest.Start(t, lab.Config{Nodes: 1})
	nc, err := net.Dial("tcp4", f.Nodes()[0].Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var wire []byte
	for _, m := range []control.Message{
		control.SCCRQ{Version: control.Version}, control.SLI{}, control.EchoRequest{ID: 7}, control.OCRQ{CallID: 9}, control.StopCCRQ{Reason: 1},
	} {
		wire = m.Append(wire)
	}
	if _, err := nc.Write(wire); err != nil {
		t.Fatal(err)
	}
	var got []control.Type
	for r := control.NewReader(nc); ; {
		m, err := r.Next()
		if err != nil {
			break
		}
		got = append(got, m.Type())
	}
	want := []control.Type{control.TypeSCCRP, control.TypeEchoReply, control.TypeOCRP, control.TypeStopCCRP}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the server sent %v, want %v", got, want)
	}
}

func TestSeed(t *testing.T) {
	fleet := func(seed uint64) []lab.Node {
		f, err := lab.New(lab.Config{Nodes: 600, Seed: seed, Faults: labtest.Faults(t, lab.DefaultFaults)})
		if err != nil {
			t.Fatal(err)
		}
		return f.Nodes()
	}
	if !reflect.DeepEqual(fleet(1), fleet(1)) {
		t.Error("one seed makes two fleets")
	}
	if reflect.DeepEqual(fleet(1), fleet(2)) {
		t.Error("two seeds make one fleet")
	}
	seen := map[netip.AddrPort]bool{}
	for _, n := range fleet(1) {
		last := n.Addr.Addr().As4()[3]
		if seen[n.Addr] || last == 0 || last == 255 || n.Login == "" || n.Password == "" || n.Country == "" {
			t.Errorf("%+v", n)
		}
		seen[n.Addr] = true
	}
}

func TestWriteCSV(t *testing.T) {
	f, err := lab.New(lab.Config{Nodes: 500, Seed: 3, Faults: labtest.Faults(t, lab.DefaultFaults)})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := f.WriteCSV(&file); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&file).ReadAll()
	if err != nil || len(rows) != 501 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if got := strings.Join(rows[0], ","); got != "address,port,login,password,country,state,city,zip,provider,comment,tags" {
		t.Errorf("the header is %s", got)
	}
	for i, n := range f.Nodes() {
		want := []string{
			n.Addr.Addr().String(), "1723", n.Login, n.Password, n.Country, n.State, n.City, n.Zip, n.Provider,
			"lab: " + n.Behaviour.String(), strings.Join(n.Tags, ";"),
		}
		if !reflect.DeepEqual(rows[i+1], want) {
			t.Errorf("row %d is %q, want %q", i+1, rows[i+1], want)
		}
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	for want, cfg := range map[string]lab.Config{
		"at least 1":     {},
		"not inside":     {Nodes: 1, Base: netip.MustParsePrefix("10.0.0.0/8")},
		"real services":  {Nodes: 1, Base: netip.MustParsePrefix("127.0.0.0/16")},
		"room for 7":     {Nodes: 8, Base: netip.MustParsePrefix("127.40.0.8/29")},
		"not inside 127": {Nodes: 1, Base: netip.MustParsePrefix("::1/128")},
		"-1 connections": {Nodes: 1, MaxConns: -1},
	} {
		if _, err := lab.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", cfg, err, want)
		}
	}
}

func TestTakenAddress(t *testing.T) {
	f := labtest.Start(t, lab.Config{Nodes: 3})
	second := f.Nodes()[1].Addr
	other, err := lab.New(lab.Config{Nodes: 1, Base: netip.PrefixFrom(second.Addr(), 31)})
	if err != nil {
		t.Fatal(err)
	}
	err = other.Listen()
	if !errors.Is(err, lab.ErrInUse) || !strings.Contains(err.Error(), other.Nodes()[0].Addr.String()) {
		t.Errorf("Listen: %v", err)
	}
}

// A fleet that has ended releases its addresses and all resources, whatever
// its clients were doing.
func TestRunCleansUp(t *testing.T) {
	base := labtest.Start(t, lab.Config{Nodes: 1}).Nodes()[0].Addr.Addr()
	cfg := lab.Config{
		Nodes: 100, Base: netip.PrefixFrom(base.Next(), 16), Port: 1724,
		Faults: labtest.Faults(t, "good=1,silent=1,drip=1,slow=1,half=1"),
	}
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for range 3 {
		f, err := lab.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Listen(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.Run(ctx) }()
		var clients []net.Conn
		for _, n := range f.Nodes() {
			nc, err := net.Dial("tcp4", n.Addr.String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := nc.Write(control.SCCRQ{Version: control.Version}.Append(nil)); err != nil {
				t.Error(err)
			}
			clients = append(clients, nc)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, nc := range clients {
			nc.Close()
		}
	}
	for limit := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(limit) {
			t.Fatalf("%d goroutines, before there were %d", runtime.NumGoroutine(), goroutines)
		}
	}
	if n := openFiles(t); n > files {
		t.Errorf("%d open files, before there were %d", n, files)
	}
}

func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("open files are counted in /proc: ", err)
	}
	return len(entries)
}

// Excess clients wait in the backlog and are served in turn.
func TestMaxConns(t *testing.T) {
	f := labtest.Start(t, lab.Config{Nodes: 1, MaxConns: 2})
	node := f.Nodes()[0]
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if _, found := pingOnce(ctx, node); found.Status != "ping_ok" {
				t.Errorf("found %+v", found)
			}
		})
	}
	wg.Wait()
}

func TestTenThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 sockets in -short")
	}
	goroutines := runtime.NumGoroutine()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f := labtest.Start(t, lab.Config{Nodes: 10_000, Seed: 1})
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := runtime.NumGoroutine() - goroutines; n > 4 {
		t.Errorf("%d goroutines for an idle fleet", n)
	}
	if per := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / 10_000; per > 1024 {
		t.Errorf("%d bytes of heap a server", per)
	}
	var wg sync.WaitGroup
	nodes := f.Nodes()
	for worker := range 16 {
		wg.Go(func() {
			for i := worker; i < len(nodes); i += 16 * 7 {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				if _, found := pingOnce(ctx, nodes[i]); found.Status != "ping_ok" {
					t.Errorf("%v: found %+v", nodes[i].Addr, found)
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

// BenchmarkHandshake measures a whole ping: connect, start, stop, close.
func BenchmarkHandshake(b *testing.B) {
	f := labtest.Start(b, lab.Config{Nodes: 1000})
	nodes := f.Nodes()
	var next atomic.Uint64
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
			if _, found := pingOnce(ctx, nodes[next.Add(1)%1000]); found.Status != "ping_ok" {
				b.Errorf("found %+v", found)
			}
			cancel()
		}
	})
}

// BenchmarkListen measures the start of 10,000 servers.
func BenchmarkListen(b *testing.B) {
	for range b.N {
		f, err := lab.New(lab.Config{Nodes: 10_000})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		if err := f.Listen(); err != nil {
			b.Fatal(err)
		}
		cancel()
		if err := f.Run(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
