package gateway

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// timeIn runs a test with its own bench in a bubble.
func timeIn(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	runBubble(t, func(t *testing.T) {
		b := newBench(t)
		f(t, b)
		if b.stop != nil {
			b.stop()
		}
	})
}

func TestStartAndStop(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.enableService(1)
		tun := b.upTunnel(1)
		g := b.stateOf(1)
		if g.UpAt.IsZero() || g.LocalIP != "10.0.0.2" || g.Latency != 20*time.Millisecond {
			t.Errorf("seen %+v", g)
		}
		c, _ := b.connectClient(1)
		if r := readReply(t, c); r != 0 {
			t.Errorf("reply %d", r)
		}
		b.disableService(1)
		synctest.Wait()
		if g := b.wantState(1, connexa.ServiceOff, "service.reason.stopped"); !g.UpAt.IsZero() || !g.RetryAt.IsZero() {
			t.Errorf("seen %+v", g)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a client is still connected")
		}
		if _, ok := b.connectClient(1); ok {
			t.Error("the port is still open")
		}
		select {
		case <-tun.closed:
		default:
			t.Error("the tunnel is still open")
		}
		if got := b.statesOf(1); !slices.Equal(got, []connexa.ServiceState{"starting", "online", "off"}) {
			t.Errorf("states %v", got)
		}
		b.enableService(1) // a second time
		b.upTunnel(1)
	})
}

func TestStopWhileStarting(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.enableService(1)
		time.Sleep(100 * time.Millisecond) // during the dial
		b.disableService(1)
		if err := b.Stop(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		b.wantState(1, connexa.ServiceOff, "service.reason.stopped")
		if _, ok := b.connectClient(1); ok {
			t.Error("the port is still open")
		}
	})
}

// TestShutdownIsNoStop checks that enabled services start again in the next process,
// and that a shutdown is not stored as their end.
func TestShutdownIsNoStop(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.enableService(1)
		b.upTunnel(1)
		b.stop()
		b.wantState(1, connexa.ServiceOnline, "")
		next := newBench(t)
		next.wanted = b.wanted
		next.run()
		defer next.stop()
		next.upTunnel(1)
	})
}

func TestLostSessionComesBack(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.enableService(1)
		tun := b.upTunnel(1)
		old, _ := b.connectClient(1)
		if r := readReply(t, old); r != 0 {
			t.Fatalf("reply %d", r)
		}
		b.dialWith(func(ctx context.Context, _ connexa.Service) (*fakeTunnel, error) {
			time.Sleep(5 * time.Second)
			return b.newTunnel(), nil
		})
		tun.endWith(refusedBy(pptp.StepLCP, "no_echo"))
		synctest.Wait()
		if g := b.wantState(1, connexa.ServiceReconnecting, "service.reason.ended"); g.Cause != "lcp.no_echo" || g.RetryAt.IsZero() {
			t.Errorf("seen %+v", g)
		}
		if _, err := old.Read(make([]byte, 1)); err == nil {
			t.Error("a connection outlives its tunnel")
		}
		began := time.Now()
		c, ok := b.connectClient(1) // the port stays open, and the client waits
		if !ok {
			t.Fatal("the port was closed")
		}
		if r := readReply(t, c); r != 0 || time.Since(began) < 5*time.Second {
			t.Errorf("reply %d after %v", r, time.Since(began))
		}
		b.wantState(1, connexa.ServiceOnline, "")
	})
}

func TestClientsDoNotWaitForEver(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.failDials(refusedBy(pptp.StepTCP, "timeout"))
		b.enableService(1)
		time.Sleep(time.Minute)
		b.stateOf(1)
		began := time.Now()
		c, _ := b.connectClient(1)
		if r := readReply(t, c); r != 3 || time.Since(began) != clientWait {
			t.Errorf("reply %d after %v", r, time.Since(began))
		}
	})
}

func TestBackoffAndRest(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.failDials(refusedBy(pptp.StepTCP, "refused"))
		b.enableService(1)
		for n := 0; b.stateOf(1).State != connexa.ServiceFailed; n++ {
			if n > 20*400 {
				t.Fatal("never failed")
			}
			time.Sleep(time.Second)
		}
		g := b.wantState(1, connexa.ServiceFailed, "service.reason.tired")
		dials := b.dialsOf(1)
		if len(dials) != maxFailures || g.Failures != maxFailures || g.Cause != "tcp.refused" {
			t.Errorf("%d dials, seen %+v", len(dials), g)
		}
		for i := range len(dials) - 1 {
			if d := dials[i+1].Sub(dials[i]); d > maxBackoff+time.Second {
				t.Errorf("the wait after failure %d took %v", i+1, d)
			}
		}
		// Clients are refused at once.
		began := time.Now()
		c, ok := b.connectClient(1)
		if !ok {
			t.Fatal("the port is not held")
		}
		if r := readReply(t, c); r != 3 || time.Since(began) != 0 {
			t.Errorf("reply %d after %v", r, time.Since(began))
		}
		time.Sleep(3*failedRetryEvery + time.Minute)
		if n := len(b.dialsOf(1)); n != maxFailures+3 {
			t.Errorf("%d dials in 3 hours of rest", n-maxFailures)
		}
		b.passDials()
		b.Retry(1)
		b.upTunnel(1)
		if g := b.stateOf(1); g.Failures != 0 {
			t.Errorf("seen %+v", g)
		}
	})
}

// TestSuccessEndsTheRow checks that only consecutive failures count, and that a
// session which ends at once is not a success.
func TestSuccessEndsTheRow(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.enableService(1)
		for range 2 * maxFailures {
			for b.stateOf(1).State != connexa.ServiceOnline {
				time.Sleep(time.Second)
			}
			time.Sleep(stableAfter)
			b.runnerOf(1).currentTunnel().(*fakeTunnel).endWith(nil)
			if g := b.wantState(1, connexa.ServiceReconnecting, "service.reason.ended"); g.Failures != 1 {
				t.Fatalf("%d failures", g.Failures)
			}
		}
		for i := range 5 {
			for b.stateOf(1).State != connexa.ServiceOnline {
				time.Sleep(time.Second)
			}
			b.runnerOf(1).currentTunnel().(*fakeTunnel).endWith(nil)
			if g := b.stateOf(1); g.Failures != i+2 {
				t.Fatalf("%d failures after %d short sessions", g.Failures, i+1)
			}
		}
	})
}

func TestRefusedLogin(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.failDials(wrongLogin())
		b.enableService(1)
		time.Sleep(time.Minute)
		if g := b.wantState(1, connexa.ServiceFailed, "service.reason.refused"); g.Cause != "auth.691" || g.RetryAt.IsZero() {
			t.Errorf("seen %+v", g)
		}
		time.Sleep(24 * time.Hour)
		if n := len(b.dialsOf(1)); n != 1+maxRefusals {
			t.Errorf("%d logins in a day", n)
		}
		if g := b.stateOf(1); !g.RetryAt.IsZero() {
			t.Errorf("another try is planned: %v", g.RetryAt)
		}
		b.passDials()
		time.Sleep(time.Hour)
		b.editService(1, func(s *connexa.Service) { s.Password = "better" })
		b.upTunnel(1)
	})
}

// TestStaleSession simulates a server that believes our last session is still alive.
func TestStaleSession(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.enableService(1)
		tun := b.upTunnel(1)
		b.failDials(wrongLogin())
		tun.endWith(nil)
		time.Sleep(2 * time.Second)
		b.wantState(1, connexa.ServiceReconnecting, "service.reason.stale")
		time.Sleep(staleWaits[0] + staleWaits[1] + staleWaits[2] + 2*time.Second)
		b.wantState(1, connexa.ServiceFailed, "service.reason.refused")
		dials := b.dialsOf(1)[1:]
		for i, want := range staleWaits {
			if got := dials[i+1].Sub(dials[i]); got != want+200*time.Millisecond {
				t.Errorf("wait %d: %v", i, got)
			}
		}
	})
	timeIn(t, func(t *testing.T, b *bench) { // also after a restart
		b.run()
		b.failDials(wrongLogin())
		b.mu.Lock()
		s := newService(1)
		s.LastUp = time.Now().Add(-time.Minute)
		b.wanted[1] = s
		b.mu.Unlock()
		b.Wake()
		time.Sleep(time.Second)
		b.wantState(1, connexa.ServiceReconnecting, "service.reason.stale")
	})
	timeIn(t, func(t *testing.T, b *bench) { // only for a limited time
		b.run()
		b.failDials(wrongLogin())
		b.mu.Lock()
		s := newService(1)
		s.LastUp = time.Now().Add(-staleWithin - time.Minute)
		b.wanted[1] = s
		b.mu.Unlock()
		b.Wake()
		time.Sleep(time.Second)
		b.wantState(1, connexa.ServiceFailed, "service.reason.refused")
	})
}

func TestLocalReasonsDoNotCount(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.failDials(&pptp.Error{Step: pptp.StepTCP, Code: "failed", Err: syscall.EMFILE})
		b.enableService(1)
		time.Sleep(time.Hour)
		if g := b.wantState(1, connexa.ServiceReconnecting, "service.reason.local"); g.Failures != 0 {
			t.Errorf("seen %+v", g)
		}
		if n := len(b.dialsOf(1)); n < 100 {
			t.Errorf("%d tries in an hour", n)
		}
	})
}

func TestGREThatThisMachineLacks(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.failDials(&pptp.Unavailable{Err: errors.New("operation not permitted")})
		b.enableService(1)
		time.Sleep(time.Second)
		b.wantState(1, connexa.ServiceFailed, "service.reason.not_here")
	})
}

// TestUplinkReturns checks that all services come back when the uplink does, within
// the limit of concurrent dials.
func TestUplinkReturns(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		var nodes []int64
		for n := range int64(300) {
			nodes = append(nodes, n+1)
		}
		b.enableService(nodes...)
		time.Sleep(time.Minute)
		for _, n := range nodes {
			b.wantState(n, connexa.ServiceOnline, "")
		}
		if b.most > maxDialing {
			t.Errorf("%d dialed at once", b.most)
		}
		b.setOnline(false)
		b.failDials(refusedBy(pptp.StepTCP, "unreachable"))
		for _, n := range nodes {
			b.runnerOf(n).currentTunnel().(*fakeTunnel).endWith(refusedBy(pptp.StepLCP, "no_echo"))
		}
		time.Sleep(6 * time.Hour)
		for _, n := range nodes {
			// The lost session counts as one failure.
			if g := b.stateOf(n); g.State != connexa.ServiceReconnecting || g.Failures != 1 {
				t.Fatalf("seen %+v", g)
			}
		}
		b.passDials()
		b.setOnline(true)
		time.Sleep(10 * time.Second)
		for _, n := range nodes {
			b.wantState(n, connexa.ServiceOnline, "")
		}
		if b.most > maxDialing {
			t.Errorf("%d dialed at once", b.most)
		}
	})
}

func TestDroppedTogetherBackSoon(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		var nodes []int64
		for n := range int64(300) {
			nodes = append(nodes, n+1)
		}
		b.enableService(nodes...)
		time.Sleep(time.Minute)
		for _, n := range nodes {
			b.stateOf(n)
			b.runnerOf(n).currentTunnel().(*fakeTunnel).endWith(refusedBy(pptp.StepControl, "closed"))
		}
		time.Sleep(90 * time.Second)
		for _, n := range nodes {
			b.wantState(n, connexa.ServiceOnline, "")
		}
		if b.most > maxDialing {
			t.Errorf("%d dialed at once", b.most)
		}
	})
}

func TestOneSessionToAServer(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.enableService(1)
		b.upTunnel(1)
		second := newService(2)
		second.Address, second.Login = newService(1).Address, "bob"
		b.mu.Lock()
		b.wanted[2] = second
		b.mu.Unlock()
		b.Wake()
		time.Sleep(time.Minute)
		g := b.wantState(2, connexa.ServiceFailed, "service.reason.in_use")
		if len(g.Reason.Args) != 1 || g.Reason.Args[0] != newService(1).Name || len(b.dialsOf(2)) != 0 {
			t.Errorf("seen %+v, %d dials", g, len(b.dialsOf(2)))
		}
		if _, by, ok := b.Locks.TryProbe(newService(1).Address); ok || by != 1 {
			t.Errorf("a probe may have the server: %v, %d", ok, by)
		}
		b.disableService(1)
		time.Sleep(time.Second)
		b.wantState(2, connexa.ServiceOnline, "")
		if by := b.Locks.SessionNode(newService(1).Address); by != 2 {
			t.Errorf("used by %d", by)
		}
	})
}

// TestNamesOfOneServer checks that names and addresses of the same server share its
// lock.
func TestNamesOfOneServer(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.names["vpn.test"] = newService(1).Address
		b.run()
		b.enableService(1)
		b.upTunnel(1)
		second := newService(2)
		second.Address = "vpn.test"
		b.mu.Lock()
		b.wanted[2] = second
		b.mu.Unlock()
		b.Wake()
		time.Sleep(time.Minute)
		if g := b.wantState(2, connexa.ServiceFailed, "service.reason.in_use"); len(g.Reason.Args) != 1 || g.Reason.Args[0] != newService(1).Name {
			t.Errorf("seen %+v", g)
		}
		if free, _, ok := b.Locks.TryProbe("vpn.test"); !ok {
			t.Error("the name is held by who does not use it")
		} else {
			var used *InUseError
			if err := b.Locks.LockAddress(netip.Addr{}, "vpn.test", b.at("vpn.test")); !errors.As(err, &used) || used.Node != 1 {
				t.Errorf("a probe by the name: %v", err)
			}
			free()
		}
		b.disableService(1)
		b.upTunnel(2)

		// The service with the address finds the lock of the service with the name.
		dials := len(b.dialsOf(1))
		b.enableService(1)
		time.Sleep(time.Minute)
		b.wantState(1, connexa.ServiceFailed, "service.reason.in_use")
		if n := len(b.dialsOf(1)); n != dials {
			t.Errorf("%d dials more", n-dials)
		}
		if _, by, ok := b.Locks.TryProbe(newService(1).Address); ok || by != 2 {
			t.Errorf("a probe by the address: %v, by %d", ok, by)
		}

		// A name that resolves to another address releases the lock of the old one.
		b.mu.Lock()
		b.names["vpn.test"] = "192.0.2.77"
		b.mu.Unlock()
		b.runnerOf(2).currentTunnel().(*fakeTunnel).endWith(refusedBy(pptp.StepLCP, "no_echo"))
		time.Sleep(time.Minute)
		b.upTunnel(1)
		b.upTunnel(2)
	})
}

// TestStartWaitsForATest checks that a start waits for a probe of the same server,
// also by another name, and says so.
func TestStartWaitsForATest(t *testing.T) {
	for _, name := range []string{newService(1).Address, "vpn.test"} {
		timeIn(t, func(t *testing.T, b *bench) {
			b.names["vpn.test"] = newService(1).Address
			b.run()
			free, _, ok := b.Locks.TryProbe(newService(1).Address)
			if !ok {
				t.Fatal("the server is not free")
			}
			s := newService(1)
			s.Address = name
			b.mu.Lock()
			b.wanted[1] = s
			b.mu.Unlock()
			b.Wake()
			time.Sleep(20 * time.Second) // in the bubble's time
			b.wantState(1, connexa.ServiceStarting, "service.reason.test")
			if n := len(b.dialsOf(1)); n != 0 {
				t.Errorf("%s: %d dials", name, n)
			}
			free()
			b.upTunnel(1)
		})
	}
}

func TestEditRedials(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.enableService(1)
		old := b.upTunnel(1)
		b.editService(1, func(s *connexa.Service) { s.Name = "renamed"; s.Mail = true })
		time.Sleep(time.Second)
		if b.runnerOf(1).currentTunnel() != old {
			t.Error("a new name redialed")
		}
		b.editService(1, func(s *connexa.Service) { s.Address = "192.0.2.200" })
		if now := b.upTunnel(1); now == old {
			t.Error("a new address did not redial")
		}
		if b.Locks.SessionNode("192.0.2.200") != 1 || b.Locks.SessionNode(newService(1).Address) != 0 {
			t.Error("the wrong server is held")
		}
	})
}

func TestPortThatIsTaken(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		other, err := b.listen(t.Context(), newService(1).Listen)
		if err != nil {
			t.Fatal(err)
		}
		b.run()
		b.enableService(1)
		time.Sleep(time.Second)
		b.wantState(1, connexa.ServiceFailed, "service.reason.port")
		other.Close()
		time.Sleep(2 * time.Minute)
		b.wantState(1, connexa.ServiceOnline, "")
	})
}

func TestNoInternet(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.enableService(1)
		b.upTunnel(1)
		b.mu.Lock()
		b.targets = false
		b.mu.Unlock()
		time.Sleep(time.Hour)
		b.wantState(1, connexa.ServiceOnline, "") // no client is connected
		c, _ := b.connectClient(1)
		if r := readReply(t, c); r != 0 {
			t.Fatalf("reply %d", r)
		}
		time.Sleep(maxMisses*internetCheckEvery + checkTimeout + time.Second)
		found := false
		for _, g := range b.historyOf(1) {
			found = found || g.State == connexa.ServiceReconnecting && g.Reason.Key == "service.reason.no_internet"
		}
		if !found {
			t.Errorf("states %v", b.statesOf(1))
		}
	})
}

// TestPacketsProveInternet uses a tunnel whose targets do not answer while other
// traffic arrives.
func TestPacketsProveInternet(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.enableService(1)
		tun := b.upTunnel(1)
		b.mu.Lock()
		b.targets = false
		b.mu.Unlock()
		c, _ := b.connectClient(1)
		readReply(t, c)
		for range 20 {
			time.Sleep(internetCheckEvery)
			tun.mu.Lock()
			tun.received++
			tun.mu.Unlock()
		}
		b.wantState(1, connexa.ServiceOnline, "")
	})
}

// TestManyLoseItTogether checks that no tunnel is closed when several lose the
// internet at once, because that is more likely a local problem.
func TestManyLoseItTogether(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.enableService(1, 2, 3, 4)
		for n := range int64(4) {
			b.upTunnel(n + 1)
			c, _ := b.connectClient(n + 1)
			readReply(t, c)
		}
		b.mu.Lock()
		b.targets = false
		b.mu.Unlock()
		time.Sleep(10 * time.Minute)
		for n := range int64(4) {
			b.wantState(n+1, connexa.ServiceOnline, "service.reason.together")
		}
	})
}

func TestTrafficIsCounted(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.enableService(1)
		tun := b.upTunnel(1)
		c, _ := b.connectClient(1)
		readReply(t, c)
		go func() {
			tun.mu.Lock()
			far := tun.conns[1]
			tun.mu.Unlock()
			_, _ = far.Read(make([]byte, 5))
			_, _ = far.Write([]byte("1234567"))
		}()
		_, _ = c.Write([]byte("12345"))
		_, _ = c.Read(make([]byte, 7))
		time.Sleep(sampleEvery)
		synctest.Wait()
		b.mu.Lock()
		m := b.moved[1]
		b.mu.Unlock()
		if m.Up != 5 || m.Down != 7 || m.Open != 1 {
			t.Errorf("moved %+v", m)
		}
		_, got, _ := b.Live(1)
		if got.Up != 5 || got.Total != 1 {
			t.Errorf("live %+v", got)
		}
	})
}

func TestThrough(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		if _, ok := b.Tunnel(1); ok {
			t.Error("there is a tunnel without a service")
		}
		b.enableService(1)
		b.upTunnel(1)
		tun, ok := b.Tunnel(1)
		if !ok {
			t.Fatal("no tunnel")
		}
		tun.Close()
		time.Sleep(time.Minute)
		b.wantState(1, connexa.ServiceOnline, "")
	})
}

func TestRulesOfAService(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		b.run()
		b.enableService(1)
		b.upTunnel(1)
		if r := b.runnerOf(1).proxyRules(); r.Private || r.Mail {
			t.Errorf("by default: %+v", r)
		}
		old := b.runnerOf(1).currentTunnel()
		b.editService(1, func(s *connexa.Service) { s.Private, s.Mail = true, true })
		synctest.Wait()
		if r := b.runnerOf(1).proxyRules(); !r.Private || !r.Mail || b.runnerOf(1).currentTunnel() != old {
			t.Errorf("allowed: %+v", r)
		}
	})
}

// TestNotices checks that a failure and its end are reported once each.
func TestNotices(t *testing.T) {
	timeIn(t, func(t *testing.T, b *bench) {
		var mu sync.Mutex
		var notifications []connexa.Notification
		b.Notify = func(n connexa.Notification) {
			mu.Lock()
			defer mu.Unlock()
			notifications = append(notifications, n)
		}
		kinds := func() (list []connexa.NotificationKind) {
			mu.Lock()
			defer mu.Unlock()
			for _, n := range notifications {
				list = append(list, n.Kind)
			}
			return list
		}
		b.run()
		b.enableService(1)
		b.upTunnel(1)
		if got := kinds(); got != nil {
			t.Errorf("a start sent the notifications %v, want none", got)
		}
		b.disableService(1)
		b.failDials(refusedBy(pptp.StepTCP, "refused"))
		b.enableService(2)
		time.Sleep(12 * time.Hour)
		synctest.Wait()
		b.wantState(2, connexa.ServiceFailed, "service.reason.tired")
		if got := kinds(); !slices.Equal(got, []connexa.NotificationKind{connexa.NotifyServiceFailed}) {
			t.Fatalf("got the notifications %v, want one of a failed service", got)
		}
		if n := notifications[0]; n.NodeID != 2 || n.Text.Key != "notification.service.failed" || n.At.IsZero() {
			t.Errorf("got the notification %+v, want one of the failed service of node 2", n)
		}
		b.passDials()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if got := kinds(); !slices.Equal(got, []connexa.NotificationKind{connexa.NotifyServiceFailed, connexa.NotifyServiceRecovered}) {
			t.Errorf("got the notifications %v, want a recovered service last", got)
		}

		// A recovery is also reported for a failure in an earlier process.
		back := newService(3)
		back.Down = true
		b.mu.Lock()
		b.wanted[3] = back
		b.mu.Unlock()
		b.Wake()
		b.upTunnel(3)
		if got := kinds(); len(got) != 3 || got[2] != connexa.NotifyServiceRecovered {
			t.Errorf("got the notifications %v, want a recovered service last", got)
		}
	})
}
