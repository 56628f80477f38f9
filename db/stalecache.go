package db

import (
	"context"
	"sync"
	"time"
)

const (
	staleWait    = 15 * time.Millisecond
	staleTimeout = 10 * time.Second
	staleRest    = 10 // times the duration of the last computation; during an import it would otherwise never stop
	// On a busy machine a computation takes long, and new rows must be shown soon all the
	// same.
	staleRestMax = 2 * time.Second
)

// staleCache keeps a value that is expensive to compute from the database, and computes a
// new one in the background.
type staleCache[T any] struct {
	mu         sync.Mutex
	value      T
	writes     int64 // counter at the time of the computation
	known      bool
	notBefore  time.Time // earliest time of the next computation
	refresh    *refresh  // nil if none is running
	background sync.WaitGroup
}

// refresh is one computation. done is closed at its end, after err is set.
type refresh struct {
	done chan struct{}
	err  error
}

// getValue returns the value and reports whether something was written since it was
// computed. In that case it starts a computation, at most once per every. It waits only
// briefly for the new value if there is an old one.
func (b *staleCache[T]) getValue(ctx context.Context, d *DB, every time.Duration, compute func(context.Context) (T, error)) (value T, old bool, err error) {
	b.mu.Lock()
	if b.known && (d.writes.Load() == b.writes || time.Now().Before(b.notBefore)) {
		defer b.mu.Unlock()
		return b.value, d.writes.Load() != b.writes, nil
	}
	r, known := b.refresh, b.known
	if r == nil {
		r = &refresh{done: make(chan struct{})}
		b.refresh = r
		b.background.Go(func() { b.recompute(context.WithoutCancel(ctx), d, r, every, compute) })
	}
	b.mu.Unlock()

	var enough <-chan time.Time // never fires while there is no value
	if known {
		enough = time.After(staleWait)
	}
	select {
	case <-r.done:
		if r.err != nil && !known {
			return value, false, r.err
		}
	case <-enough:
	case <-ctx.Done():
		return value, false, ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.value, d.writes.Load() != b.writes, nil
}

func (b *staleCache[T]) recompute(ctx context.Context, d *DB, r *refresh, every time.Duration, compute func(context.Context) (T, error)) {
	ctx, cancel := context.WithTimeout(ctx, staleTimeout)
	defer cancel()
	writes, start := d.writes.Load(), time.Now()
	value, err := compute(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.err = err; err != nil {
		d.log.Warn("refresh a stale value", "err", err)
	} else {
		b.value, b.writes, b.known = value, writes, true
	}
	b.notBefore = time.Now().Add(max(every, min(staleRest*time.Since(start), staleRestMax)))
	b.refresh = nil
	close(r.done)
}
