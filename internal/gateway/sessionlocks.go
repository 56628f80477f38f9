package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// SessionLocks knows who has a session to which server. Behind NAT, two sessions
// between one local address and one server share one flow of GRE, and most
// servers end the first when a second begins: there is never more than one.
//
// A gateway claims its server for as long as it is wanted, so that no other
// gateway takes it between two sessions; a session holds it for as long as it
// lasts, so that a probe may have it meanwhile. A server that was asked for by a
// name is held by its address too, from when that is found.
type SessionLocks struct {
	now func() time.Time

	mu       sync.Mutex
	reserved map[sessionKey]*sessionLock // by gateways
	acquired map[sessionKey]*sessionLock
	lastUp   map[string]time.Time // when the last session to a server ended
	changed  chan struct{}        // closed when something was given back
}

// sessionKey is a local address and a server, which is a host name or an address. The
// zero local address is the one that the routes choose.
type sessionKey struct {
	local  netip.Addr
	server string
}

// sessionLock is who has a server: a gateway, which is named by its node, or a probe,
// which is zero.
type sessionLock struct {
	node    int64
	address sessionKey // to the address of a server that has a name; zero: not known yet
}

// NewSessionLocks returns Servers to which nobody has a session.
func NewSessionLocks() *SessionLocks {
	return &SessionLocks{now: time.Now, reserved: map[sessionKey]*sessionLock{}, acquired: map[sessionKey]*sessionLock{}, lastUp: map[string]time.Time{}, changed: make(chan struct{})}
}

// InUseError says that somebody else has the server: the gateway of a node, or a probe,
// which is zero.
type InUseError struct {
	Node int64
	key  sessionKey
}

func (e *InUseError) Error() string {
	if e.Node == 0 {
		return "the server is used by a test"
	}
	return fmt.Sprintf("the server is used by the service of node %d", e.Node)
}

// TryProbe takes a server for a probe from the local address that the routes
// choose. When it cannot, by is the node whose gateway has a session there, or
// zero when it is another probe.
func (s *SessionLocks) TryProbe(server string) (free func(), by int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := sessionKey{server: server}
	if h := s.acquired[w]; h != nil {
		return nil, h.node, false
	}
	return s.addLock(s.acquired, w, 0), 0, true
}

// LockAddress says at which address the server is that a session has been taken for. The
// error is an *InUseError when somebody else has that one, by its address or by another
// name.
func (s *SessionLocks) LockAddress(local netip.Addr, server string, at netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked, found := sessionKey{local, server}, sessionKey{local, at.String()}
	h := s.acquired[asked]
	if h == nil || asked == found {
		return nil
	}
	if other := s.acquired[found]; other != nil && other != h {
		return &InUseError{other.node, found}
	}
	if h.node != 0 {
		claim := s.reserved[asked]
		if other := s.reserved[found]; other != nil && other != claim {
			return &InUseError{other.node, found}
		}
		s.moveLock(s.reserved, claim, found)
	}
	s.moveLock(s.acquired, h, found)
	return nil
}

// moveLock notes where what a holder has was found. s.mu is held.
func (s *SessionLocks) moveLock(in map[sessionKey]*sessionLock, h *sessionLock, to sessionKey) {
	if h.address == to {
		return
	}
	if h.address != (sessionKey{}) { // the name has another address now
		delete(in, h.address)
		s.wakeWaiters()
	}
	h.address = to
	in[to] = h
}

// SessionNode is the node whose gateway has a session to a server; zero: none has.
func (s *SessionLocks) SessionNode(server string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.acquired[sessionKey{server: server}]; h != nil {
		return h.node
	}
	return 0
}

// addLock gives a node the way w. s.mu is held.
func (s *SessionLocks) addLock(in map[sessionKey]*sessionLock, w sessionKey, node int64) (free func()) {
	h := &sessionLock{node: node}
	in[w] = h
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(in, w)
		if h.address != (sessionKey{}) {
			delete(in, h.address)
		}
		s.wakeWaiters()
	})
}

// NoteEnd notes that a session to a server was up until now.
func (s *SessionLocks) NoteEnd(server string) { s.noteSession(server, s.now()) }

// wakeWaiters wakes whoever waits. s.mu is held.
func (s *SessionLocks) wakeWaiters() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// reserve gives a gateway the first of locals from which no other gateway uses the
// server. The error is an *InUseError.
func (s *SessionLocks) reserve(server string, node int64, locals []netip.Addr) (sessionKey, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, by := s.unreservedKey(server, locals)
	if by != 0 {
		return sessionKey{}, nil, &InUseError{by, w}
	}
	return w, s.addLock(s.reserved, w, node), nil
}

// canReserve says whether claim would succeed now, and nobody else claims found,
// which is a way to the same server or none; if not, changed is closed when it is
// worth to ask again.
func (s *SessionLocks) canReserve(server string, found sessionKey, locals []netip.Addr) (ok bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, by := s.unreservedKey(server, locals)
	return by == 0 && s.reserved[found] == nil, s.changed
}

// unreservedKey is the first way to a server that no gateway has, or else the node
// whose gateway has the last. s.mu is held.
func (s *SessionLocks) unreservedKey(server string, locals []netip.Addr) (w sessionKey, by int64) {
	if len(locals) == 0 {
		locals = []netip.Addr{{}}
	}
	for _, l := range locals {
		w = sessionKey{l, server}
		h := s.reserved[w]
		if h == nil {
			return w, 0
		}
		by = h.node
	}
	return w, by
}

// acquire takes a claimed way for a session. It waits for a probe that has it, or
// that has found, which is a way to the same server or none; waits is called once
// when it has to. The error is the context's, or an *InUseError when a gateway has found.
func (s *SessionLocks) acquire(ctx context.Context, w, found sessionKey, node int64, waits func()) (free func(), err error) {
	for {
		s.mu.Lock()
		there := s.acquired[found]
		taken := s.acquired[w] != nil || there != nil
		if !taken {
			free = s.addLock(s.acquired, w, node)
		}
		changed := s.changed
		s.mu.Unlock()
		switch {
		case !taken:
			return free, nil
		case there != nil && there.node != 0:
			return nil, &InUseError{there.node, found}
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

// maxRemembered is how many servers are remembered before the old ones are forgotten.
const maxRemembered = 4096

// lastSession is when a session to a server was last up; zero: not known.
func (s *SessionLocks) lastSession(server string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastUp[server]
}

// noteSession notes when an earlier process had a session to a server.
func (s *SessionLocks) noteSession(server string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lastUp) >= maxRemembered {
		for server, at := range s.lastUp {
			if s.now().Sub(at) > staleWithin {
				delete(s.lastUp, server)
			}
		}
	}
	if s.lastUp[server].Before(at) {
		s.lastUp[server] = at
	}
}
