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
// lasts, so that a probe may have it meanwhile. A server that was asked for by a
// name is held by its address too, from when that is found.
type Servers struct {
	now func() time.Time

	mu       sync.Mutex
	claims   map[way]*holder // by gateways
	sessions map[way]*holder
	ended    map[string]time.Time // when the last session to a server ended
	changed  chan struct{}        // closed when something was given back
}

// way is a local address and a server, which is a host name or an address. The
// zero local address is the one that the routes choose.
type way struct {
	local  netip.Addr
	server string
}

// holder is who has a server: a gateway, which is named by its node, or a probe,
// which is zero.
type holder struct {
	node  int64
	found way // to the address of a server that has a name; zero: not known yet
}

// NewServers returns Servers to which nobody has a session.
func NewServers() *Servers {
	return &Servers{now: time.Now, claims: map[way]*holder{}, sessions: map[way]*holder{}, ended: map[string]time.Time{}, changed: make(chan struct{})}
}

// InUse says that somebody else has the server: the gateway of a node, or a probe,
// which is zero.
type InUse struct {
	Node int64
	way  way
}

func (e *InUse) Error() string {
	if e.Node == 0 {
		return "the server is used by a test"
	}
	return fmt.Sprintf("the server is used by the service of node %d", e.Node)
}

// TryProbe takes a server for a probe from the local address that the routes
// choose. When it cannot, by is the node whose gateway has a session there, or
// zero when it is another probe.
func (s *Servers) TryProbe(server string) (free func(), by int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := way{server: server}
	if h := s.sessions[w]; h != nil {
		return nil, h.node, false
	}
	return s.take(s.sessions, w, 0), 0, true
}

// Found says at which address the server is that a session has been taken for. The
// error is an *InUse when somebody else has that one, by its address or by another
// name.
func (s *Servers) Found(local netip.Addr, server string, at netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked, found := way{local, server}, way{local, at.String()}
	h := s.sessions[asked]
	if h == nil || asked == found {
		return nil
	}
	if other := s.sessions[found]; other != nil && other != h {
		return &InUse{other.node, found}
	}
	if h.node != 0 {
		claim := s.claims[asked]
		if other := s.claims[found]; other != nil && other != claim {
			return &InUse{other.node, found}
		}
		s.move(s.claims, claim, found)
	}
	s.move(s.sessions, h, found)
	return nil
}

// move notes where what a holder has was found. s.mu is held.
func (s *Servers) move(in map[way]*holder, h *holder, to way) {
	if h.found == to {
		return
	}
	if h.found != (way{}) { // the name has another address now
		delete(in, h.found)
		s.tell()
	}
	h.found = to
	in[to] = h
}

// User is the node whose gateway has a session to a server; zero: none has.
func (s *Servers) User(server string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.sessions[way{server: server}]; h != nil {
		return h.node
	}
	return 0
}

// take gives a node the way w. s.mu is held.
func (s *Servers) take(in map[way]*holder, w way, node int64) (free func()) {
	h := &holder{node: node}
	in[w] = h
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(in, w)
		if h.found != (way{}) {
			delete(in, h.found)
		}
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
		return way{}, nil, &InUse{by, w}
	}
	return w, s.take(s.claims, w, node), nil
}

// claimable says whether claim would succeed now, and nobody else claims found,
// which is a way to the same server or none; if not, changed is closed when it is
// worth to ask again.
func (s *Servers) claimable(server string, found way, locals []netip.Addr) (ok bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, by := s.unclaimed(server, locals)
	return by == 0 && s.claims[found] == nil, s.changed
}

// unclaimed is the first way to a server that no gateway has, or else the node
// whose gateway has the last. s.mu is held.
func (s *Servers) unclaimed(server string, locals []netip.Addr) (w way, by int64) {
	if len(locals) == 0 {
		locals = []netip.Addr{{}}
	}
	for _, l := range locals {
		w = way{l, server}
		h := s.claims[w]
		if h == nil {
			return w, 0
		}
		by = h.node
	}
	return w, by
}

// enter takes a claimed way for a session. It waits for a probe that has it, or
// that has found, which is a way to the same server or none; waits is called once
// when it has to. The error is the context's, or an *InUse when a gateway has found.
func (s *Servers) enter(ctx context.Context, w, found way, node int64, waits func()) (free func(), err error) {
	for {
		s.mu.Lock()
		there := s.sessions[found]
		taken := s.sessions[w] != nil || there != nil
		if !taken {
			free = s.take(s.sessions, w, node)
		}
		changed := s.changed
		s.mu.Unlock()
		switch {
		case !taken:
			return free, nil
		case there != nil && there.node != 0:
			return nil, &InUse{there.node, found}
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
