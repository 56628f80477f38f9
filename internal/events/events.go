// Package events publishes changes to open pages.
package events

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// remembered is the number of events that a broker remembers: those of a second or more
// while results are written as fast as they can be.
const remembered = 4096

// Broker sends events to subscriptions. The zero value is ready to use.
type Broker struct {
	mu            sync.Mutex
	subscriptions map[*Subscription]struct{}
	closed        bool

	epoch     int64                     // in the marks of this broker
	published uint64                    // number of events
	recent    [remembered]connexa.Event // a ring of the last ones
}

// Mark returns the current place in the sequence of events, for Since.
func (b *Broker) Mark() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strconv.FormatInt(b.startEpoch(), 36) + "-" + strconv.FormatUint(b.published, 36)
}

// startEpoch returns a number that the marks of no other broker have, such as those of an
// earlier process.
func (b *Broker) startEpoch() int64 {
	if b.epoch == 0 {
		b.epoch = time.Now().UnixNano()
	}
	return b.epoch
}

// Since returns the events that were published after mark. It returns false if they are
// not known: there were too many, or the mark is not one of this broker.
func (b *Broker) Since(mark string) ([]connexa.Event, bool) {
	epoch, count, _ := strings.Cut(mark, "-")
	n, err := strconv.ParseUint(count, 36, 64)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil || epoch != strconv.FormatInt(b.startEpoch(), 36) || n > b.published || b.published-n > remembered {
		return nil, false
	}
	list := make([]connexa.Event, 0, b.published-n)
	for ; n < b.published; n++ {
		list = append(list, b.recent[n%remembered])
	}
	return list, true
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
	b.recent[b.published%remembered] = e
	b.published++
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
