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
	// trustFor is how long a login that passed may come again, from the same source,
	// while its neighbours behind that address guess.
	trustFor = time.Hour
	// maxSources and maxTrusted bound the memory.
	maxSources = 4096
	maxTrusted = 16
)

// LoginLimiter slows down who guesses logins. Many proxies may share one, and should:
// guesses are counted by source, wherever they are tried.
//
// Clients behind one address cannot be told apart, and one that has its password
// wrong must not lock the others out. So a login that passed from there lately is
// still checked when the guesses of that source are used up; anything else is
// refused unchecked.
type LoginLimiter struct {
	now func() time.Time
	key [32]byte // of the digests of logins

	mu      sync.Mutex
	sources map[netip.Addr]*source
}

type source struct {
	guesses float64 // guesses
	at      time.Time
	trusted map[[32]byte]time.Time // logins that passed, and when
}

// NewLoginLimiter returns a Guard that has seen nothing.
func NewLoginLimiter() *LoginLimiter {
	g := &LoginLimiter{now: time.Now, sources: make(map[netip.Addr]*source)}
	_, _ = rand.Read(g.key[:]) // never fails
	return g
}

// checkLogin passes a login on to check, if its source may still guess.
func (g *LoginLimiter) checkLogin(from netip.Addr, user, password string, check func() (Client, bool)) (Client, bool) {
	from = sourceOf(from)
	sum := g.loginDigest(user, password)
	if !g.mayGuess(from, sum) {
		return Client{}, false
	}
	c, ok := check()
	g.recordResult(from, sum, ok)
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

func (g *LoginLimiter) loginDigest(user, password string) [32]byte {
	h := hmac.New(sha256.New, g.key[:])
	h.Write([]byte{byte(len(user))})
	h.Write([]byte(user))
	h.Write([]byte(password))
	return [32]byte(h.Sum(nil))
}

func (g *LoginLimiter) mayGuess(from netip.Addr, sum [32]byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.sources[from]
	if s == nil {
		return true
	}
	s.refillGuesses(g.now())
	passed, known := s.trusted[sum]
	return s.guesses >= 1 || known && g.now().Sub(passed) < trustFor
}

func (s *source) refillGuesses(now time.Time) {
	s.guesses = min(freeGuesses, s.guesses+float64(now.Sub(s.at))/float64(guessEvery))
	s.at = now
}

func (g *LoginLimiter) recordResult(from netip.Addr, sum [32]byte, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	s := g.sources[from]
	if s == nil {
		g.makeRoom()
		s = &source{guesses: freeGuesses, at: now}
		g.sources[from] = s
	}
	s.refillGuesses(now)
	if !ok {
		s.guesses = max(0, s.guesses-1)
		delete(s.trusted, sum) // it may have been changed
		return
	}
	if s.trusted == nil {
		s.trusted = make(map[[32]byte]time.Time, 1)
	}
	if _, known := s.trusted[sum]; !known && len(s.trusted) >= maxTrusted {
		for old := range s.trusted { // any: more than a few logins behind one address are rare
			delete(s.trusted, old)
			break
		}
	}
	s.trusted[sum] = now
}

// makeRoom forgets a source, one without debts if it meets one soon. g.mu is
// held.
func (g *LoginLimiter) makeRoom() {
	if len(g.sources) < maxSources {
		return
	}
	var last netip.Addr
	looked := 0
	for a, s := range g.sources {
		s.refillGuesses(g.now())
		last = a
		if looked++; s.guesses >= freeGuesses || looked == 16 {
			break
		}
	}
	delete(g.sources, last)
}
