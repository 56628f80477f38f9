package speed

import (
	"net/http"
	"net/netip"
	"net/url"
)

// urls are a file to fetch and a place to send to, if any.
type urls struct{ down, up *url.URL }

const (
	// urlsUp is what is sent at once to somebody of whom nothing is known.
	urlsUp = 20 << 20
	// urlsDown is the least that a file has: a shorter one is fetched so often that
	// the time of the requests is measured. Both are bytes.
	urlsDown = 1_000_000
)

// Ping implements target. Who knows no HEAD says so, and that is an answer.
func (u urls) Ping() ask { return ask{Method: http.MethodHead, URL: u.down, Cached: true} }

// Down implements target. A content network may have the file at hand: it still
// comes through the tunnel.
func (u urls) Down(int64) ask {
	return ask{Method: http.MethodGet, URL: u.down, Bytes: urlsDown, Cached: true}
}

// Up implements target.
func (u urls) Up(size int64) (ask, bool) {
	return ask{Method: http.MethodPost, URL: u.up, Bytes: min(size, urlsUp)}, u.up != nil
}

// Where implements target.
func (u urls) Where() (ask, bool) { return ask{}, false }

// From implements target.
func (u urls) From([]byte) netip.Addr { return netip.Addr{} }
