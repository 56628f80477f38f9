package events

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func nodeChanged(id int64) connexa.Event { return connexa.Event{Topic: connexa.NodeChanged, ID: id} }

func TestSubscriptionCoalescesEvents(t *testing.T) {
	var b Broker
	m, done := b.Subscribe(nil)
	defer done()
	for range 1000 {
		b.Publish(nodeChanged(7))
		b.Publish(nodeChanged(8))
	}
	list, ok := m.Next(t.Context())
	if !ok || len(list) != 2 {
		t.Fatalf("Next = %v %v, want two rows", list, ok)
	}
}

func TestSubscriptionFilters(t *testing.T) {
	var b Broker
	m, done := b.Subscribe(func(e connexa.Event) bool { return e.ID == 8 })
	defer done()
	b.Publish(nodeChanged(7))
	b.Publish(nodeChanged(8))
	list, ok := m.Next(t.Context())
	if !ok || len(list) != 1 || list[0].Event != nodeChanged(8) {
		t.Fatalf("Next = %v %v, want row 8 alone", list, ok)
	}
}

func TestDrainReturnsEventsAfterNextOnce(t *testing.T) {
	var b Broker
	m, done := b.Subscribe(nil)
	defer done()
	b.Publish(nodeChanged(1))
	if _, ok := m.Next(t.Context()); !ok {
		t.Fatal("closed")
	}
	b.Publish(nodeChanged(2))
	if list := m.Drain(); len(list) != 1 || list[0].Event != nodeChanged(2) {
		t.Fatalf("Take = %v", list)
	}
	if list := m.Drain(); len(list) != 0 {
		t.Fatalf("a second Take = %v", list)
	}
}

func TestBrokerConcurrentUse(t *testing.T) {
	var b Broker
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			m, done := b.Subscribe(nil)
			defer done()
			for {
				if _, ok := m.Next(context.Background()); !ok {
					return
				}
			}
		})
		wg.Go(func() {
			for j := range 500 {
				b.Publish(nodeChanged(int64(i*j + j)))
			}
			if i == 0 {
				b.Close()
			}
		})
	}
	wg.Wait()
	b.Close()
}

func TestSince_ReturnsTheEventsAfterAMark(t *testing.T) {
	var b Broker
	b.Publish(nodeChanged(1))
	mark := b.Mark()
	if list, ok := b.Since(mark); !ok || len(list) != 0 {
		t.Errorf("got %v, %v; want none", list, ok)
	}
	b.Publish(nodeChanged(2))
	b.Publish(nodeChanged(3))
	if list, ok := b.Since(mark); !ok || !slices.Equal(list, []connexa.Event{nodeChanged(2), nodeChanged(3)}) {
		t.Errorf("got %v, %v; want 2 and 3", list, ok)
	}
	for range remembered - 2 {
		b.Publish(nodeChanged(4))
	}
	if list, ok := b.Since(mark); !ok || len(list) != remembered || list[0] != nodeChanged(2) {
		t.Errorf("got %d events, %v; want all", len(list), ok)
	}
	b.Publish(nodeChanged(5))
	if list, ok := b.Since(mark); ok {
		t.Errorf("got %d events of too many", len(list))
	}
	var other Broker
	for _, bad := range []string{"", "-", "x-1", other.Mark(), b.Mark() + "z"} {
		if list, ok := b.Since(bad); ok {
			t.Errorf("%q: got %v, want nothing known", bad, list)
		}
	}
}
