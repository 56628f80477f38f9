package pptp

import (
	"sync"
	"time"
)

// transcriptLen is the maximum number of kept events.
const transcriptLen = 64

// Event is one protocol message without its secrets.
type Event struct {
	At       time.Duration // since Dial began
	Sent     bool          // sent by us
	Protocol string        // "PPTP", "GRE", "LCP", "CHAP", ...
	Name     string        // "Configure-Request"
	ID       int           // -1 if the message has none
	Len      int           // length of the contents, in bytes
	Note     string        // options, codes and the server's texts, safe to show
}

// transcript keeps the last events of a session. It is safe for concurrent use.
type transcript struct {
	began time.Time
	mu    sync.Mutex
	ring  [transcriptLen]Event
	total int
}

func (t *transcript) add(e Event) {
	e.At = time.Since(t.began)
	t.mu.Lock()
	t.ring[t.total%transcriptLen] = e
	t.total++
	t.mu.Unlock()
}

// events returns the kept events, oldest first.
func (t *transcript) events() []Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(t.total, transcriptLen)
	list := make([]Event, 0, n)
	for i := t.total - n; i < t.total; i++ {
		list = append(list, t.ring[i%transcriptLen])
	}
	return list
}
