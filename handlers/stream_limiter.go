package handlers

import (
	"net/http"
	"sync"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// Limits of concurrent streams: in total, per session and per client network. A session
// is a browser; each of its tabs has one stream.
const (
	mostStreams        = 1000
	streamsPerSession  = 64
	streamsPerAddress  = 256
	streamAgainSeconds = "30" // when a refused browser may retry
)

// streamLimiter counts the open streams. The zero value is ready to use.
type streamLimiter struct {
	mu        sync.Mutex
	open      int
	bySession map[connexa.Secret]int
	byAddress map[string]int
}

// acquire takes a slot, which leave releases. The error is TooSoon if the session or
// the address has its maximum of streams, and Busy if all slots are taken.
func (s *streamLimiter) acquire(session connexa.Secret, address string) (leave func(), err error) {
	address = clientNetwork(address)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.bySession[session] >= streamsPerSession:
		return nil, connexa.Errorf(connexa.TooSoon, "stream.session", streamsPerSession)
	case s.byAddress[address] >= streamsPerAddress:
		return nil, connexa.Errorf(connexa.TooSoon, "stream.address", streamsPerAddress)
	case s.open >= mostStreams:
		return nil, connexa.Errorf(connexa.Busy, "stream.all", mostStreams)
	}
	if s.bySession == nil {
		s.bySession, s.byAddress = map[connexa.Secret]int{}, map[string]int{}
	}
	s.open++
	s.bySession[session]++
	s.byAddress[address]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
		if s.bySession[session]--; s.bySession[session] == 0 {
			delete(s.bySession, session)
		}
		if s.byAddress[address]--; s.byAddress[address] == 0 {
			delete(s.byAddress, address)
		}
	}, nil
}

// countStreams returns the number of open streams.
func (s *streamLimiter) countStreams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// refuseStream answers a refused stream. The error status makes the page's script
// increase its delay, and Retry-After is at least half a minute. There is no fragment
// to swap, because each attempt would leave a toast.
func (h *Handlers) refuseStream(w http.ResponseWriter, r *http.Request, err error) {
	h.log.Warn("stream refused", "peer", requestInfoOf(r.Context()).address, "err", err)
	w.Header().Set("Retry-After", streamAgainSeconds)
	plainText(w, statusOf(connexa.CodeOf(err)), i18n.From(r.Context()).Text(connexa.TextOf(err))+"\n")
}
