// Package events publishes changes to open pages.
package events

import (
	"context"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Broker sends events to subscriptions. The zero value is ready to use.
type Broker struct {
	mu            sync.Mutex
	subscriptions map[*Subscription]struct{}
	closed        bool
}

// Update is an event and when it was published last.
type Update struct {
	connexa.Event
	At time.Time
}

// Subscription is a coalescing queue: the set of events that its reader has not
// taken yet. A slow reader loses no event; it only sees equal ones once.
type Subscription struct {
	filter  func(connexa.Event) bool
	mu      sync.Mutex
	pending map[connexa.Event]time.Time
	wake    chan struct{} // holds at most one token; closed by Broker.Close
}

// Subscribe adds a subscription to the events for which want returns true, or to
// all if want is nil. want is called with a lock held: it must be quick and must
// not publish. The caller must call the returned function.
func (b *Broker) Subscribe(want func(connexa.Event) bool) (*Subscription, func()) {
	m := &Subscription{filter: want, pending: map[connexa.Event]time.Time{}, wake: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		close(m.wake)
		return m, func() {}
	}
	if b.subscriptions == nil {
		b.subscriptions = map[*Subscription]struct{}{}
	}
	b.subscriptions[m] = struct{}{}
	return m, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subscriptions, m)
	}
}

// Publish adds e to every subscription whose filter accepts it. It never blocks.
func (b *Broker) Publish(e connexa.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for m := range b.subscriptions {
		m.add(e)
	}
}

func (m *Subscription) add(e connexa.Event) {
	if m.filter != nil && !m.filter(e) {
		return
	}
	m.mu.Lock()
	m.pending[e] = time.Now()
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default: // the reader that takes the waiting token takes this event too
	}
}

// Close ends every subscription, so that open event streams return.
func (b *Broker) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	for m := range b.subscriptions {
		close(m.wake)
	}
	b.subscriptions = nil
}

// Next waits for events and returns all pending ones, in no order. It returns
// false once the broker is closed or ctx is done.
func (m *Subscription) Next(ctx context.Context) ([]Update, bool) {
	select {
	case <-ctx.Done():
		return nil, false
	case _, ok := <-m.wake:
		if !ok {
			return nil, false
		}
	}
	return m.Drain(), true
}

// Drain returns the pending events without waiting. A stream that collects events
// for a moment after Next calls it to add the later ones.
func (m *Subscription) Drain() []Update {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Update, 0, len(m.pending))
	for e, at := range m.pending {
		list = append(list, Update{e, at})
	}
	clear(m.pending)
	return list
}
