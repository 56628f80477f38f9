package app

import (
	"strings"
	"sync"
	"time"
)

// limiter slows down guessing. Each key (an address, an account) has a few free
// attempts; after them each attempt doubles the wait before the next.
type limiter struct {
	mu   sync.Mutex
	keys map[string]*guesses
}

// guesses are the attempts of one key.
type guesses struct {
	count    int
	last     time.Time
	earlier  time.Time // the attempt before the last
	reported bool      // a refusal since the last attempt was reported as the first
}

// nextAllowed is the earliest time of the next attempt.
func (g *guesses) nextAllowed(free int) time.Time {
	return g.last.Add(waitAfter(g.count - free + freeAttempts))
}

// networkPrefix marks the keys of networks, which unrelated people share.
const networkPrefix = "network "

// freeOf is the number of attempts of a key without a wait.
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

// waitAfter is the wait after count attempts in a row.
func waitAfter(count int) time.Duration {
	if count < freeAttempts {
		return 0
	}
	if n := count - freeAttempts; n < 10 {
		return min(longestWait, time.Second<<n)
	}
	return longestWait
}

// beginTry counts an attempt against each key before its outcome is known, so that
// concurrent attempts are all counted. If a key has to wait, it counts nothing and
// returns the wait; first reports whether this is the first refusal for that key since
// its last attempt.
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
		first, strictest.reported = !strictest.reported, true
		return wait, first
	}
	for _, k := range keys {
		g := l.getGuesses(k, now)
		g.count++
		g.earlier, g.last, g.reported = g.last, now, false
	}
	return 0, false
}

// undoTry takes back the last attempt of each key, which succeeded or had no outcome.
// The wait before that attempt applies again.
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

// forgetKey clears keys after the correct password.
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

// makeRoom drops expired keys and, if that is not enough, the keys with the fewest
// attempts, so that a flood of new keys does not displace keys with many attempts.
func (l *limiter) makeRoom(now time.Time) {
	for least := 0; len(l.keys) >= mostKeys; least++ {
		for k, g := range l.keys {
			if now.Sub(g.last) > forgetAfter || g.count <= least {
				delete(l.keys, k)
			}
		}
	}
}
