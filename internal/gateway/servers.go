package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Servers knows who has a session to which server. Behind NAT, two sessions
// between one local address and one server share one flow of GRE, and most
// servers end the first when a second begins: there is never more than one.
//
// A gateway claims its server for as long as it is wanted, so that no other
// gateway takes it between two sessions; a session holds it for as long as it
// lasts, so that a probe may have it meanwhile.
type Servers struct {
	now func() time.Time

	mu       sync.Mutex
	claims   map[way]int64 // by gateways, which are named by their nodes
	sessions map[way]holder
	ended    map[string]time.Time // when the last session to a server ended
	changed  chan struct{}        // closed when something was given back
}

// way is a local address and a server. The zero address is the one that the
// routes choose.
type way struct {
	local  netip.Addr
	server string
}

// holder is who has a session; zero is a probe.
type holder struct{ node int64 }

// NewServers returns Servers to which nobody has a session.
func NewServers() *Servers {
	return &Servers{now: time.Now, claims: map[way]int64{}, sessions: map[way]holder{}, ended: map[string]time.Time{}, changed: make(chan struct{})}
}

// InUse says that the gateway of another node has the server.
type InUse struct{ Node int64 }

func (e *InUse) Error() string {
	return fmt.Sprintf("the server is used by the service of node %d", e.Node)
}

// TryProbe takes a server for a probe from the local address that the routes
// choose. When it cannot, by is the node whose gateway has a session there, or
// zero when it is another probe.
func (s *Servers) TryProbe(server string) (free func(), by int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := way{server: server}
	if h, taken := s.sessions[w]; taken {
		return nil, h.node, false
	}
	return s.take(w, 0), 0, true
}

// User is the node whose gateway has a session to a server; zero: none has.
func (s *Servers) User(server string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[way{server: server}].node
}

// take gives a session the way w. s.mu is held.
func (s *Servers) take(w way, node int64) func() {
	s.sessions[w] = holder{node}
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.sessions, w)
		s.tell()
	})
}

// Ended notes that a session to a server was up until now.
func (s *Servers) Ended(server string) { s.remember(server, s.now()) }

// tell wakes whoever waits. s.mu is held.
func (s *Servers) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// claim gives a gateway the first of locals from which no other gateway uses the
// server. The error is an *InUse.
func (s *Servers) claim(server string, node int64, locals []netip.Addr) (way, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, by := s.unclaimed(server, locals)
	if by != 0 {
		return way{}, nil, &InUse{by}
	}
	s.claims[w] = node
	return w, sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.claims, w)
		s.tell()
	}), nil
}

// claimable says whether claim would succeed now; if not, changed is closed when
// it is worth to ask again.
func (s *Servers) claimable(server string, locals []netip.Addr) (ok bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, by := s.unclaimed(server, locals)
	return by == 0, s.changed
}

// unclaimed is the first way to a server that no gateway has, or else the node
// whose gateway has the last. s.mu is held.
func (s *Servers) unclaimed(server string, locals []netip.Addr) (w way, by int64) {
	if len(locals) == 0 {
		locals = []netip.Addr{{}}
	}
	for _, l := range locals {
		w = way{l, server}
		if by = s.claims[w]; by == 0 {
			return w, 0
		}
	}
	return w, by
}

// enter takes a claimed way for a session. It waits for a probe that has it;
// waits is called once when it has to.
func (s *Servers) enter(ctx context.Context, w way, node int64, waits func()) (free func(), err error) {
	for {
		s.mu.Lock()
		_, taken := s.sessions[w]
		if !taken {
			free = s.take(w, node)
		}
		changed := s.changed
		s.mu.Unlock()
		if !taken {
			return free, nil
		}
		if waits != nil {
			waits()
			waits = nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// mostEnded is how many servers are remembered before the old ones are forgotten.
const mostEnded = 4096

// lastSession is when a session to a server was last up; zero: not known.
func (s *Servers) lastSession(server string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended[server]
}

// remember notes when an earlier process had a session to a server.
func (s *Servers) remember(server string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ended) >= mostEnded {
		for server, at := range s.ended {
			if s.now().Sub(at) > staleWithin {
				delete(s.ended, server)
			}
		}
	}
	if s.ended[server].Before(at) {
		s.ended[server] = at
	}
}
