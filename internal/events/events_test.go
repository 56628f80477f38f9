package events

import (
	"context"
	"sync"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func node(id int64) connexa.Event { return connexa.Event{Topic: connexa.NodeChanged, ID: id} }

func TestASlowPageLosesNoRow(t *testing.T) {
	var b Broker
	m, done := b.Open(nil)
	defer done()
	for range 1000 {
		b.Publish(node(7))
		b.Publish(node(8))
	}
	list, ok := m.Next(t.Context())
	if !ok || len(list) != 2 {
		t.Fatalf("Next = %v %v, want two rows", list, ok)
	}
}

func TestAMailboxTakesOnlyWhatItWants(t *testing.T) {
	var b Broker
	m, done := b.Open(func(e connexa.Event) bool { return e.ID == 8 })
	defer done()
	b.Publish(node(7))
	b.Publish(node(8))
	list, ok := m.Next(t.Context())
	if !ok || len(list) != 1 || list[0] != node(8) {
		t.Fatalf("Next = %v %v, want row 8 alone", list, ok)
	}
}

func TestWhatComesBetweenNextAndTakeIsTakenOnce(t *testing.T) {
	var b Broker
	m, done := b.Open(nil)
	defer done()
	b.Publish(node(1))
	if _, ok := m.Next(t.Context()); !ok {
		t.Fatal("closed")
	}
	b.Publish(node(2))
	if list := m.Take(); len(list) != 1 || list[0] != node(2) {
		t.Fatalf("Take = %v", list)
	}
	if list := m.Take(); len(list) != 0 {
		t.Fatalf("a second Take = %v", list)
	}
}

func TestManyAtOnce(t *testing.T) {
	var b Broker
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			m, done := b.Open(nil)
			defer done()
			for {
				if _, ok := m.Next(context.Background()); !ok {
					return
				}
			}
		})
		wg.Go(func() {
			for j := range 500 {
				b.Publish(node(int64(i*j + j)))
			}
			if i == 0 {
				b.Close()
			}
		})
	}
	wg.Wait()
	b.Close()
}
