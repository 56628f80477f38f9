package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
)

// step is one event. node is used if the event concerns one node.
type step struct {
	what string
	node int64
}

var whatHappens = []string{
	"want", "want", "unwant", "tunnel ends", "edit", "move", "retry", "probe", "a moment", "a minute", "an hour",
	"servers work", "servers work", "servers refuse", "servers are silent", "machine fails", "offline", "online", "restart", "renumber",
}

// TestAnyOrder applies events in random order and checks the invariants: at most one
// session per server, no service runs that is not enabled, and each enabled service
// ends online or has a reason.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			return step{rapid.SampledFrom(whatHappens).Draw(rt, "what"), rapid.Int64Range(1, 7).Draw(rt, "node")}
		}), 1, 40).Draw(rt, "steps")
		var wrong string
		runBubble(t, func(t *testing.T) { wrong = applyInOrder(t, steps) })
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// sharedPrefix returns the service of a node. Nodes 1 and 5 have the same address;
// nodes 4, 6 and 7 have names that resolve to the addresses of nodes 1 and 2.
func sharedPrefix(n int64) connexa.Service {
	s := newService(n)
	switch n {
	case 4, 7:
		s.Address = fmt.Sprintf("name-%d.test", n)
	case 5:
		s.Address = newService(1).Address
	case 6:
		s.Address = "name-4.test"
	}
	return s
}

// applyInOrder applies the steps and describes the first violation, or returns "".
func applyInOrder(t *testing.T, steps []step) string {
	o := orderTest{bench: newBench(t), sessions: map[netip.Addr]int{}}
	o.names["name-4.test"], o.names["name-7.test"] = newService(1).Address, newService(2).Address
	o.countSessions()
	o.run()
	for _, st := range steps {
		o.apply(st)
		time.Sleep(time.Millisecond)
	}
	o.passDials()
	o.setOnline(true)
	time.Sleep(2 * failedRetryEvery)
	o.checkStates()
	o.stop()
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	for server, n := range o.sessions {
		if n != 0 && o.wrong == "" {
			o.wrong = fmt.Sprintf("got %d sessions to %s after the stop, want none", n, server)
		}
	}
	if len(o.taken) > 0 && o.wrong == "" {
		o.wrong = fmt.Sprintf("got open ports %v after the stop, want none", o.taken)
	}
	return o.wrong
}

type orderTest struct {
	*bench
	sessions map[netip.Addr]int // by server; guarded by mu
	wrong    string             // the violation; guarded by mu
}

// addSessions adds n to the number of sessions of a server.
func (o *orderTest) addSessions(server netip.Addr, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sessions[server] += n; o.sessions[server] > 1 && o.wrong == "" {
		o.wrong = fmt.Sprintf("got %d sessions to %s, want at most 1", o.sessions[server], server)
	}
}

// countSessions makes the manager count the sessions of each server.
func (o *orderTest) countSessions() {
	dial := o.Dial
	o.Dial = func(ctx context.Context, s connexa.Service, local netip.Addr) (Tunnel, error) {
		at := o.at(s.Address) // the session counts from the start of the dial
		if err := o.Locks.LockAddress(local, s.Address, at); err != nil {
			return nil, err
		}
		o.addSessions(at, 1)
		tun, err := dial(ctx, s, local)
		if err != nil {
			o.addSessions(at, -1)
			return nil, err
		}
		return &tracked{Tunnel: tun, closed: func() { o.addSessions(at, -1) }}, nil
	}
}

func (o *orderTest) apply(st step) {
	switch st.what {
	case "want":
		o.editService(st.node, func(s *connexa.Service) { *s = sharedPrefix(st.node) })
	case "unwant":
		o.disableService(st.node)
	case "tunnel ends":
		if g := o.runnerOf(st.node); g != nil {
			if tun := g.currentTunnel(); tun != nil {
				tun.(*tracked).Tunnel.(*fakeTunnel).endWith(refusedBy(pptp.StepLCP, "no_echo"))
			}
		}
	case "edit", "move":
		o.edit(st)
	case "retry":
		o.Retry(st.node)
	case "probe":
		o.probe(sharedPrefix(st.node).Address)
	case "renumber":
		o.mu.Lock()
		o.names["name-4.test"], o.names["name-7.test"] = o.names["name-7.test"], o.names["name-4.test"]
		o.mu.Unlock()
	case "a moment":
		time.Sleep(100 * time.Millisecond)
	case "a minute":
		time.Sleep(time.Minute)
	case "an hour":
		time.Sleep(time.Hour)
	case "servers work":
		o.passDials()
	case "servers refuse":
		o.failDials(wrongLogin())
	case "servers are silent":
		o.failDials(refusedBy(pptp.StepTCP, "timeout"))
	case "machine fails":
		o.failDials(&pptp.Error{Step: pptp.StepTCP, Code: "failed", Err: syscall.EMFILE})
	case "offline", "online":
		o.setOnline(st.what == "online")
	case "restart":
		o.stop()
		next := NewManager(o.Config)
		next.Dial, next.Locks = o.Dial, NewSessionLocks()
		time.Sleep(time.Minute) // probes of the previous process have ended
		o.Manager = next
		o.run()
	}
}

// edit changes the password of a node, and its address if it moves.
func (o *orderTest) edit(st step) {
	o.mu.Lock()
	s, ok := o.wanted[st.node]
	if s.Password += "x"; st.what == "move" {
		s.Address = newService(st.node%4 + 1).Address
	}
	if ok {
		o.wanted[st.node] = s
	}
	o.mu.Unlock()
	o.Wake()
}

// probe holds a session to a server for 20 seconds if the locks allow it.
func (o *orderTest) probe(server string) {
	free, _, ok := o.Locks.TryProbe(server)
	if !ok {
		return
	}
	at := o.at(server)
	if o.Locks.LockAddress(netip.Addr{}, server, at) != nil {
		free()
		return
	}
	o.addSessions(at, 1)
	go func() {
		time.Sleep(20 * time.Second)
		o.addSessions(at, -1)
		free()
	}()
}

// checkStates checks the services some time after all servers work again.
func (o *orderTest) checkStates() {
	for n := range int64(8) {
		g := o.stateOf(n)
		o.mu.Lock()
		_, wanted := o.wanted[n]
		o.mu.Unlock()
		switch {
		case !wanted && g.State != connexa.ServiceOff && g.State != "":
			o.wrong = fmt.Sprintf("node %d is not wanted: got %s, want it off", n, g.State)
		case wanted && g.State != connexa.ServiceOnline && (g.State != connexa.ServiceFailed || g.Reason.IsZero()):
			o.wrong = fmt.Sprintf("node %d is wanted: got %s because of %v, want it online or failed with a reason", n, g.State, g.Reason)
		case wanted && g.State == connexa.ServiceFailed && !slices.Contains([]string{"service.reason.in_use", "service.reason.refused"}, g.Reason.Key):
			o.wrong = fmt.Sprintf("node %d is wanted and its server works: got %s because of %v, want another reason", n, g.State, g.Reason)
		}
	}
}

// tracked is a tunnel that reports when it is closed.
type tracked struct {
	Tunnel
	closed func()
}

func (t *tracked) Close() error {
	err := t.Tunnel.Close()
	t.closed()
	return err
}
