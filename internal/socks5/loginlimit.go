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
	// freeGuesses is the number of wrong logins in a row that a source may send without a
	// wait beyond wrongPause. After that it gets one more every guessEvery.
	freeGuesses = 20
	guessEvery  = 2 * time.Second
	// trustFor is how long a login that passed is still checked from the same source while
	// that source has no guesses left.
	trustFor = time.Hour
	// maxSources and maxTrusted limit the memory.
	maxSources = 4096
	maxTrusted = 16
)

// LoginLimiter limits login guesses. Several proxies should share one, because guesses
// count per source, for all proxies together.
//
// Clients behind one address cannot be told apart, and one with a wrong password must
// not lock out the others. So when a source has no guesses left, a login that recently
// passed from there is still checked; every other login is refused unchecked.
type LoginLimiter struct {
	now func() time.Time
	key [32]byte // of the login digests

	mu      sync.Mutex
	sources map[netip.Addr]*source
}

type source struct {
	guesses float64 // remaining
	at      time.Time
	trusted map[[32]byte]time.Time // login digests that passed, with the time
}

// NewLoginLimiter returns an empty LoginLimiter.
func NewLoginLimiter() *LoginLimiter {
	g := &LoginLimiter{now: time.Now, sources: make(map[netip.Addr]*source)}
	_, _ = rand.Read(g.key[:]) // never fails
	return g
}

// checkLogin calls check if the source may still guess.
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

// sourceOf returns what counts as one source: an IPv4 address or an IPv6 /64.
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
		delete(s.trusted, sum) // the password may have changed
		return
	}
	if s.trusted == nil {
		s.trusted = make(map[[32]byte]time.Time, 1)
	}
	if _, known := s.trusted[sum]; !known && len(s.trusted) >= maxTrusted {
		for old := range s.trusted { // any one: more than a few logins behind one address are rare
			delete(s.trusted, old)
			break
		}
	}
	s.trusted[sum] = now
}

// makeRoom removes a source, preferably one with all its guesses. It looks at 16 sources
// at most. g.mu is held.
func (g *LoginLimiter) makeRoom() {
	if len(g.sources) < maxSources {
		return
	}
	var last netip.Addr
	tried := 0
	for a, s := range g.sources {
		s.refillGuesses(g.now())
		last = a
		if tried++; s.guesses >= freeGuesses || tried == 16 {
			break
		}
	}
	delete(g.sources, last)
}
