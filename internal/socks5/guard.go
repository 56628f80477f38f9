package socks5

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"
)

const (
	// freeGuesses wrong logins in a row cost a source nothing but the wait for
	// each answer; then it has one more every guessEvery.
	freeGuesses = 20
	guessEvery  = 2 * time.Second
	// goodFor is how long a login that passed may come again, from the same source,
	// while its neighbours behind that address guess.
	goodFor = time.Hour
	// mostSources and mostGood bound the memory.
	mostSources = 4096
	mostGood    = 16
)

// Guard slows down who guesses logins. Many proxies may share one, and should:
// guesses are counted by source, wherever they are tried.
//
// Clients behind one address cannot be told apart, and one that has its password
// wrong must not lock the others out. So a login that passed from there lately is
// still checked when the guesses of that source are used up; anything else is
// refused unchecked.
type Guard struct {
	now func() time.Time
	key [32]byte // of the digests of logins

	mu      sync.Mutex
	sources map[netip.Addr]*source
}

type source struct {
	left float64 // guesses
	at   time.Time
	good map[[32]byte]time.Time // logins that passed, and when
}

// NewGuard returns a Guard that has seen nothing.
func NewGuard() *Guard {
	g := &Guard{now: time.Now, sources: make(map[netip.Addr]*source)}
	_, _ = rand.Read(g.key[:]) // never fails
	return g
}

// check passes a login on to check, if its source may still guess.
func (g *Guard) check(from netip.Addr, user, password string, check func() (Client, bool)) (Client, bool) {
	from = sourceOf(from)
	sum := g.digest(user, password)
	if !g.may(from, sum) {
		return Client{}, false
	}
	c, ok := check()
	g.note(from, sum, ok)
	return c, ok
}

// sourceOf is what counts as one source: an IPv4 address, or the network that
// one customer has in IPv6.
func sourceOf(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

func (g *Guard) digest(user, password string) [32]byte {
	h := hmac.New(sha256.New, g.key[:])
	h.Write([]byte{byte(len(user))})
	h.Write([]byte(user))
	h.Write([]byte(password))
	return [32]byte(h.Sum(nil))
}

func (g *Guard) may(from netip.Addr, sum [32]byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.sources[from]
	if s == nil {
		return true
	}
	s.refill(g.now())
	passed, known := s.good[sum]
	return s.left >= 1 || known && g.now().Sub(passed) < goodFor
}

func (s *source) refill(now time.Time) {
	s.left = min(freeGuesses, s.left+float64(now.Sub(s.at))/float64(guessEvery))
	s.at = now
}

func (g *Guard) note(from netip.Addr, sum [32]byte, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	s := g.sources[from]
	if s == nil {
		g.makeRoom()
		s = &source{left: freeGuesses, at: now}
		g.sources[from] = s
	}
	s.refill(now)
	if !ok {
		s.left = max(0, s.left-1)
		delete(s.good, sum) // it may have been changed
		return
	}
	if s.good == nil {
		s.good = make(map[[32]byte]time.Time, 1)
	}
	if _, known := s.good[sum]; !known && len(s.good) >= mostGood {
		for old := range s.good { // any: more than a few logins behind one address are rare
			delete(s.good, old)
			break
		}
	}
	s.good[sum] = now
}

// makeRoom forgets a source, one without debts if it meets one soon. g.mu is
// held.
func (g *Guard) makeRoom() {
	if len(g.sources) < mostSources {
		return
	}
	var last netip.Addr
	looked := 0
	for a, s := range g.sources {
		s.refill(g.now())
		last = a
		if looked++; s.left >= freeGuesses || looked == 16 {
			break
		}
	}
	delete(g.sources, last)
}
