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

// TestServicesRecoverFromDay runs services for 24 simulated hours. Servers fail and
// return, refuse logins and lose their internet, and this machine loses its uplink.
// When all problems have ended, no service is stuck, nothing has leaked, and every
// change has a reason.
func TestServicesRecoverFromDay(t *testing.T) {
	runBubble(t, func(t *testing.T) {
		d := dayTest{bench: newBench(t), rnd: rand.New(rand.NewPCG(7, 8))}
		d.dialWith(d.dialServer)
		for i := range int64(24) {
			d.nodes = append(d.nodes, i+1)
		}
		d.enableService(d.nodes...)
		d.run()
		time.Sleep(time.Minute)
		synctest.Wait()
		before := runtime.NumGoroutine()
		for range 24 * 60 / 5 {
			d.makeTrouble()
			time.Sleep(5 * time.Minute)
		}
		d.mu.Lock()
		d.trouble, d.targets = false, true
		d.mu.Unlock()
		time.Sleep(2 * failedRetryEvery)
		d.checkOnline(t)
		if after := runtime.NumGoroutine(); after > before {
			t.Errorf("got %d goroutines at the end of the day, want at most the %d of its start", after, before)
		}
		if d.ended < 100 {
			t.Errorf("got %d sessions that ended, want at least 100", d.ended)
		}
		if d.most > maxDialing {
			t.Errorf("got %d concurrent dials, want at most %d", d.most, maxDialing)
		}
	})
}

type dayTest struct {
	*bench
	nodes   []int64
	rnd     *rand.Rand // guarded by mu in dials
	trouble bool       // servers fail; guarded by mu
	ended   int        // number of sessions that the server ended
}

func (d *dayTest) dialServer(context.Context, connexa.Service) (*fakeTunnel, error) {
	d.mu.Lock()
	dice, trouble := d.rnd.IntN(10), d.trouble
	d.mu.Unlock()
	switch {
	case trouble && dice < 4:
		return nil, refusedBy(pptp.StepTCP, "timeout")
	case trouble && dice < 6:
		return nil, refusedBy(pptp.StepGRE, "no_inbound")
	case trouble && dice < 7:
		return nil, wrongLogin()
	}
	return d.newTunnel(), nil
}

// makeTrouble starts or ends one random problem.
func (d *dayTest) makeTrouble() {
	d.mu.Lock()
	node, dice := d.rnd.Int64N(int64(len(d.nodes)))+1, d.rnd.IntN(12)
	d.mu.Unlock()
	switch {
	case dice < 6:
		if tun := d.runnerOf(node).currentTunnel(); tun != nil {
			tun.(*fakeTunnel).endWith(refusedBy(pptp.StepLCP, "no_echo"))
			d.ended++
		}
	case dice < 8:
		d.mu.Lock()
		d.trouble = !d.trouble
		d.mu.Unlock()
	case dice == 8:
		d.setOnline(false)
		time.Sleep(time.Minute)
		d.setOnline(true)
	case dice == 9:
		d.mu.Lock()
		d.targets = !d.targets
		d.mu.Unlock()
	case dice == 10:
		d.editService(node, func(s *connexa.Service) { s.Password += "x" })
	default:
		d.disableService(node)
		time.Sleep(10 * time.Second)
		d.wantState(node, connexa.ServiceOff, "service.reason.stopped")
		d.enableService(node)
	}
}

// checkOnline checks that all services are online, some after a retry by the admin.
func (d *dayTest) checkOnline(t *testing.T) {
	t.Helper()
	for _, node := range d.nodes {
		if g := d.stateOf(node); g.State != connexa.ServiceOnline {
			// After too many refused logins the service waits for the admin.
			if g.State != connexa.ServiceFailed || g.Reason.Key != "service.reason.refused" {
				t.Errorf("node %d: got %s because of %v, %s; want it online or its login refused", node, g.State, g.Reason, g.Cause)
			}
			d.Retry(node)
		}
	}
	time.Sleep(time.Minute)
	for _, node := range d.nodes {
		d.wantState(node, connexa.ServiceOnline, "")
		wantReasons(t, node, d.historyOf(node))
	}
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
