package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// SessionLocks records who has a session with which server. Behind NAT, two sessions
// between one local address and one server share one GRE flow, and most servers end
// the first session when a second one begins. So there is at most one.
//
// A service reserves its server as long as it is enabled, so that no other service
// takes it between two sessions. A session acquires the server while it lasts, so that
// a probe can use it in between. A server with a host name is also locked by its
// address as soon as the name is resolved.
type SessionLocks struct {
	now func() time.Time

	mu       sync.Mutex
	reserved map[sessionKey]*sessionLock // by services
	acquired map[sessionKey]*sessionLock
	lastUp   map[string]time.Time // when the last session with a server was up
	changed  chan struct{}        // closed after a release
}

// sessionKey is a local address and a server, which is a host name or an address. With
// the zero local address the routing table chooses one.
type sessionKey struct {
	local  netip.Addr
	server string
}

// sessionLock says who has a server: the service of a node, or a probe if node is zero.
type sessionLock struct {
	node    int64
	address sessionKey // key of the address of a server with a host name; zero while unknown
}

// NewSessionLocks returns locks that nobody holds.
func NewSessionLocks() *SessionLocks {
	return &SessionLocks{now: time.Now, reserved: map[sessionKey]*sessionLock{}, acquired: map[sessionKey]*sessionLock{}, lastUp: map[string]time.Time{}, changed: make(chan struct{})}
}

// InUseError reports that the service of another node has the server, or a probe if Node
// is zero.
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

// TryProbe locks a server for a probe from the default local address. If it cannot, by is
// the node whose service has a session with it, or zero for another probe.
func (s *SessionLocks) TryProbe(server string) (free func(), by int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := sessionKey{server: server}
	if h := s.acquired[w]; h != nil {
		return nil, h.node, false
	}
	return s.addLock(s.acquired, w, 0), 0, true
}

// LockAddress records the address of an acquired server. The error is an *InUseError if
// somebody else has that address, by itself or by another name.
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

// moveLock records the address of a lock's server. s.mu is held.
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

// SessionNode returns the node whose service has a session with a server, or zero.
func (s *SessionLocks) SessionNode(server string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.acquired[sessionKey{server: server}]; h != nil {
		return h.node
	}
	return 0
}

// addLock locks w for a node. s.mu is held.
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

// NoteEnd records that a session with a server was up until now.
func (s *SessionLocks) NoteEnd(server string) { s.noteSession(server, s.now()) }

// wakeWaiters wakes all waiting calls. s.mu is held.
func (s *SessionLocks) wakeWaiters() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// reserve reserves a server for a service, from the first of locals from which no other
// service uses it. The error is an *InUseError.
func (s *SessionLocks) reserve(server string, node int64, locals []netip.Addr) (sessionKey, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, by := s.unreservedKey(server, locals)
	if by != 0 {
		return sessionKey{}, nil, &InUseError{by, w}
	}
	return w, s.addLock(s.reserved, w, node), nil
}

// canReserve reports whether reserve would succeed now and nobody else has reserved
// found, another key of the same server or zero. If not, changed is closed when a retry
// makes sense.
func (s *SessionLocks) canReserve(server string, found sessionKey, locals []netip.Addr) (ok bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, by := s.unreservedKey(server, locals)
	return by == 0 && s.reserved[found] == nil, s.changed
}

// unreservedKey returns the first key of a server that no service has reserved, or the
// node that has reserved the last one. s.mu is held.
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

// acquire locks a reserved key for a session. It waits for a probe that holds it or
// holds found, another key of the same server or zero, and calls waits once if it has to
// wait. The error is that of ctx, or an *InUseError if a service holds found.
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

// maxRemembered is the number of servers after which old entries of lastUp are removed.
const maxRemembered = 4096

// lastSession returns when a session with a server was last up, or zero if unknown.
func (s *SessionLocks) lastSession(server string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastUp[server]
}

// noteSession records a session of an earlier process.
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
