package gateway

import (
	"math/rand/v2"
	"time"
)

const (
	firstBackoff = time.Second
	maxBackoff   = 5 * time.Minute
	// maxFailures is the number of consecutive failures after which a service fails and
	// retries only every failedRetryEvery.
	maxFailures      = 20
	failedRetryEvery = time.Hour
	// stableAfter is how long a session must be up before the failure count is reset.
	// A session that ends at once does not count as a success.
	stableAfter = 30 * time.Second
	// staleWithin is how long after our last session a server may still count the account
	// as logged in.
	staleWithin = 10 * time.Minute
	// maxRefusals is the number of retries of a refused login, one per hour. After that
	// only an edit or a manual retry starts another attempt.
	maxRefusals = 3
	// localRetryEvery is the interval of attempts that fail because of this host.
	localRetryEvery = 15 * time.Second
	// offlineRetryEvery is the interval of attempts while this host is offline. Its return
	// normally wakes all services; this interval covers a return that is not detected.
	offlineRetryEvery = maxBackoff
)

// staleWaits are the waits for a server to notice the end of our last session.
var staleWaits = []time.Duration{15 * time.Second, 45 * time.Second, 120 * time.Second}

// retryBackoff returns the wait before the next attempt: a random time up to a bound
// that doubles with each failure, so that services that failed together do not retry
// together.
func retryBackoff(failures int) time.Duration {
	bound := maxBackoff
	if n := failures - 1; n < 9 {
		bound = min(bound, firstBackoff<<max(n, 0))
	}
	return rand.N(bound)
}
