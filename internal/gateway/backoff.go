package gateway

import (
	"math/rand/v2"
	"time"
)

const (
	firstBackoff = time.Second
	maxBackoff   = 5 * time.Minute
	// maxFailures is how many failures in a row make a gateway rest for failedRetryEvery
	// between tries.
	maxFailures      = 20
	failedRetryEvery = time.Hour
	// stableAfter is how long a session must have been up to end a row of failures:
	// one that ends at once has helped nobody.
	stableAfter = 30 * time.Second
	// staleWithin is how long a server may take the account for logged in that we
	// had a session with.
	staleWithin = 10 * time.Minute
	// maxRefusals is how often a refused login is tried again, an hour apart; then
	// only an edit or a person helps.
	maxRefusals = 3
	// localRetryEvery is how often a try is made that fails because of this machine.
	localRetryEvery = 15 * time.Second
	// offlineRetryEvery is the same while the machine is offline. Its return wakes
	// everybody; this is for when it goes unseen.
	offlineRetryEvery = maxBackoff
)

// staleWaits are the waits for a server to notice that our last session has
// ended.
var staleWaits = []time.Duration{15 * time.Second, 45 * time.Second, 120 * time.Second}

// retryBackoff is the wait before the next try after so many failures: any time up to
// a bound that doubles, so that gateways which failed together don't come back
// together.
func retryBackoff(failures int) time.Duration {
	bound := maxBackoff
	if n := failures - 1; n < 9 {
		bound = min(bound, firstBackoff<<max(n, 0))
	}
	return rand.N(bound)
}
