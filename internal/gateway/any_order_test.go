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
		runBubble(t, func(t *testing.T) { wrong = inOrder(t, steps) })
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

// inOrder applies the steps and describes the first violation, or returns "".
func inOrder(t *testing.T, steps []step) (wrong string) {
	b := newBench(t)
	b.names["name-4.test"], b.names["name-7.test"] = newService(1).Address, newService(2).Address
	sessions := map[netip.Addr]int{} // by server; guarded by b.mu
	add := func(server netip.Addr, n int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if sessions[server] += n; sessions[server] > 1 && wrong == "" {
			wrong = fmt.Sprintf("%d sessions to %s", sessions[server], server)
		}
	}
	track := func(m *Manager) {
		dial := m.Dial
		m.Dial = func(ctx context.Context, s connexa.Service, local netip.Addr) (Tunnel, error) {
			at := b.at(s.Address) // the session counts from the start of the dial
			if err := b.Locks.LockAddress(local, s.Address, at); err != nil {
				return nil, err
			}
			add(at, 1)
			tun, err := dial(ctx, s, local)
			if err != nil {
				add(at, -1)
				return nil, err
			}
			return &tracked{Tunnel: tun, closed: func() { add(at, -1) }}, nil
		}
	}
	track(b.Manager)
	b.run()
	for _, st := range steps {
		switch st.what {
		case "want":
			b.editService(st.node, func(s *connexa.Service) { *s = sharedPrefix(st.node) })
		case "unwant":
			b.disableService(st.node)
		case "tunnel ends":
			if g := b.gatewayOf(st.node); g != nil {
				if tun := g.currentTunnel(); tun != nil {
					tun.(*tracked).Tunnel.(*fakeTunnel).endWith(refusedBy(pptp.StepLCP, "no_echo"))
				}
			}
		case "edit", "move":
			b.mu.Lock()
			s, ok := b.wanted[st.node]
			if s.Password += "x"; st.what == "move" {
				s.Address = newService(st.node%4 + 1).Address
			}
			if ok {
				b.wanted[st.node] = s
			}
			b.mu.Unlock()
			b.Wake()
		case "retry":
			b.Retry(st.node)
		case "probe":
			server := sharedPrefix(st.node).Address
			free, _, ok := b.Locks.TryProbe(server)
			if !ok {
				break
			}
			at := b.at(server)
			if b.Locks.LockAddress(netip.Addr{}, server, at) != nil {
				free()
				break
			}
			add(at, 1)
			go func() {
				time.Sleep(20 * time.Second)
				add(at, -1)
				free()
			}()
		case "renumber":
			b.mu.Lock()
			b.names["name-4.test"], b.names["name-7.test"] = b.names["name-7.test"], b.names["name-4.test"]
			b.mu.Unlock()
		case "a moment":
			time.Sleep(100 * time.Millisecond)
		case "a minute":
			time.Sleep(time.Minute)
		case "an hour":
			time.Sleep(time.Hour)
		case "servers work":
			b.passDials()
		case "servers refuse":
			b.failDials(wrongLogin())
		case "servers are silent":
			b.failDials(refusedBy(pptp.StepTCP, "timeout"))
		case "machine fails":
			b.failDials(&pptp.Error{Step: pptp.StepTCP, Code: "failed", Err: syscall.EMFILE})
		case "offline", "online":
			b.setOnline(st.what == "online")
		case "restart":
			b.stop()
			next := NewManager(b.Config)
			next.Dial, next.Locks = b.Manager.Dial, NewSessionLocks()
			time.Sleep(time.Minute) // probes of the previous process have ended
			b.Manager = next
			b.run()
		}
		time.Sleep(time.Millisecond)
	}
	b.passDials()
	b.setOnline(true)
	time.Sleep(2 * failedRetryEvery)
	for n := range int64(8) {
		g := b.stateOf(n)
		b.mu.Lock()
		_, wanted := b.wanted[n]
		b.mu.Unlock()
		switch {
		case !wanted && g.State != connexa.ServiceOff && g.State != "":
			wrong = fmt.Sprintf("node %d is not wanted and %s", n, g.State)
		case wanted && g.State != connexa.ServiceOnline && (g.State != connexa.ServiceFailed || g.Reason.IsZero()):
			wrong = fmt.Sprintf("node %d is wanted and %s because of %v", n, g.State, g.Reason)
		case wanted && g.State == connexa.ServiceFailed && !slices.Contains([]string{"service.reason.in_use", "service.reason.refused"}, g.Reason.Key):
			wrong = fmt.Sprintf("node %d is wanted, all is well, and it is %s because of %v", n, g.State, g.Reason)
		}
	}
	b.stop()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	for server, n := range sessions {
		if n != 0 && wrong == "" {
			wrong = fmt.Sprintf("%d sessions to %s are left", n, server)
		}
	}
	if len(b.taken) > 0 && wrong == "" {
		wrong = fmt.Sprintf("ports are left: %v", b.taken)
	}
	return wrong
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
