package app

import (
	"strings"
	"sync"
	"time"
)

// limiter makes guessing slow. Each key (an address, an account) has a few free
// attempts; after them every attempt doubles the wait before the next.
type limiter struct {
	mu   sync.Mutex
	keys map[string]*guesses
}

// guesses are the attempts of one key.
type guesses struct {
	count   int
	last    time.Time
	earlier time.Time // the attempt before the last
	told    bool      // a refusal since the last attempt was reported as the first one
}

// nextAllowed is the time before which there is no further attempt.
func (g *guesses) nextAllowed(free int) time.Time {
	return g.last.Add(waitAfter(g.count - free + freeAttempts))
}

// networkPrefix marks the keys of whole networks, in which people are who have nothing
// to do with each other.
const networkPrefix = "network "

// freeOf is how many attempts of a key have no wait behind them.
func freeOf(key string) int {
	if strings.HasPrefix(key, networkPrefix) {
		return networkAttempts
	}
	return freeAttempts
}

const (
	freeAttempts    = 4
	networkAttempts = 32 // of all addresses of a network together
	longestWait     = 15 * time.Minute
	forgetAfter     = 2 * time.Hour // without an attempt
	mostKeys        = 20_000        // about 3 MiB
)

// waitAfter is the wait that follows that many attempts in a row.
func waitAfter(count int) time.Duration {
	if count < freeAttempts {
		return 0
	}
	if n := count - freeAttempts; n < 10 {
		return min(longestWait, time.Second<<n)
	}
	return longestWait
}

// beginTry counts an attempt against every key, before its outcome is known, so
// that a hundred at once are not a hundred first ones. When one of the keys has
// to wait, nothing is counted and the wait is returned; first reports whether
// nobody was refused on account of that key since its last attempt.
func (l *limiter) beginTry(keys ...string) (wait time.Duration, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	var strictest *guesses
	for _, k := range keys {
		if g := l.keys[k]; g != nil && g.nextAllowed(freeOf(k)).Sub(now) > wait {
			wait, strictest = g.nextAllowed(freeOf(k)).Sub(now), g
		}
	}
	if strictest != nil {
		first, strictest.told = !strictest.told, true
		return wait, first
	}
	for _, k := range keys {
		g := l.getGuesses(k, now)
		g.count++
		g.earlier, g.last, g.told = g.last, now, false
	}
	return 0, false
}

// undoTry takes the last attempt back, which came to no verdict or to a good one:
// the wait is again the one that the attempts before it left behind.
func (l *limiter) undoTry(keys ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range keys {
		if g := l.keys[k]; g != nil && g.count > 0 {
			g.count--
			g.last = g.earlier
		}
	}
}

// forgetKey clears keys: who knows the password has not been guessing.
func (l *limiter) forgetKey(keys ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range keys {
		delete(l.keys, k)
	}
}

func (l *limiter) getGuesses(key string, now time.Time) *guesses {
	g := l.keys[key]
	if g != nil && now.Sub(g.last) > forgetAfter {
		*g = guesses{}
	}
	if g == nil {
		if l.keys == nil {
			l.keys = map[string]*guesses{}
		}
		if len(l.keys) >= mostKeys {
			l.makeRoom(now)
		}
		g = &guesses{}
		l.keys[key] = g
	}
	return g
}

// makeRoom drops what is forgotten and, where that is not enough, the keys with
// the fewest attempts: a flood of new keys must not wash away an old grudge.
func (l *limiter) makeRoom(now time.Time) {
	for least := 0; len(l.keys) >= mostKeys; least++ {
		for k, g := range l.keys {
			if now.Sub(g.last) > forgetAfter || g.count <= least {
				delete(l.keys, k)
			}
		}
	}
}
