package gateway

import (
	"context"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// TestADay runs gateways for 24 simulated hours. Servers fail and return, refuse
// logins and lose their internet, and this machine loses its uplink. When all problems
// have ended, no service is stuck, nothing has leaked, and every change has a reason.
func TestADay(t *testing.T) {
	runBubble(t, func(t *testing.T) {
		const n = 24
		b := newBench(t)
		rnd := rand.New(rand.NewPCG(7, 8)) // guarded by b.mu in dials
		trouble := false                   // guarded by b.mu
		b.dialWith(func(context.Context, connexa.Service) (*fakeTunnel, error) {
			b.mu.Lock()
			dice := rnd.IntN(10)
			bad := trouble
			b.mu.Unlock()
			switch {
			case bad && dice < 4:
				return nil, refusedBy(pptp.StepTCP, "timeout")
			case bad && dice < 6:
				return nil, refusedBy(pptp.StepGRE, "no_inbound")
			case bad && dice < 7:
				return nil, wrongLogin()
			}
			return b.newTunnel(), nil
		})
		var nodes []int64
		for i := range int64(n) {
			nodes = append(nodes, i+1)
		}
		b.enableService(nodes...)
		b.run()
		time.Sleep(time.Minute)
		synctest.Wait()
		before := runtime.NumGoroutine()

		ended := 0
		for range 24 * 60 / 5 {
			b.mu.Lock()
			node, dice := rnd.Int64N(n)+1, rnd.IntN(12)
			b.mu.Unlock()
			switch {
			case dice < 6:
				if tun := b.gatewayOf(node).currentTunnel(); tun != nil {
					tun.(*fakeTunnel).endWith(refusedBy(pptp.StepLCP, "no_echo"))
					ended++
				}
			case dice < 8:
				b.mu.Lock()
				trouble = !trouble
				b.mu.Unlock()
			case dice == 8:
				b.setOnline(false)
				time.Sleep(time.Minute)
				b.setOnline(true)
			case dice == 9:
				b.mu.Lock()
				b.targets = !b.targets
				b.mu.Unlock()
			case dice == 10:
				b.editService(node, func(s *connexa.Service) { s.Password += "x" })
			default:
				b.disableService(node)
				time.Sleep(10 * time.Second)
				b.wantState(node, connexa.ServiceOff, "service.reason.stopped")
				b.enableService(node)
			}
			time.Sleep(5 * time.Minute)
		}
		b.mu.Lock()
		trouble, b.targets = false, true
		b.mu.Unlock()
		time.Sleep(2 * failedRetryEvery)
		for _, node := range nodes {
			if g := b.stateOf(node); g.State != connexa.ServiceOnline {
				// After too many refused logins the service waits for the admin.
				if g.State != connexa.ServiceFailed || g.Reason.Key != "service.reason.refused" {
					t.Errorf("node %d is stuck: %s because of %v, %s", node, g.State, g.Reason, g.Cause)
				}
				b.Retry(node)
			}
		}
		time.Sleep(time.Minute)
		for _, node := range nodes {
			b.wantState(node, connexa.ServiceOnline, "")
			wantReasons(t, node, b.historyOf(node))
		}
		if after := runtime.NumGoroutine(); after > before {
			t.Errorf("%d goroutines at the beginning of the day, %d at its end", before, after)
		}
		if ended < 100 {
			t.Errorf("only %d sessions ended", ended)
		}
		if b.most > maxDialing {
			t.Errorf("%d dialed at once", b.most)
		}
	})
}

// wantReasons checks that each change for the worse in a history has a reason.
func wantReasons(t *testing.T, node int64, list []connexa.ServiceReport) {
	t.Helper()
	for i, g := range list {
		switch g.State {
		case connexa.ServiceReconnecting, connexa.ServiceFailed, connexa.ServiceOff:
			if g.Reason.IsZero() {
				t.Errorf("node %d, change %d: %s without a reason", node, i, g.State)
			}
		}
		if g.Since.IsZero() || i > 0 && g.Since.Before(list[i-1].Since) {
			t.Errorf("node %d, change %d: since %v", node, i, g.Since)
		}
	}
}
