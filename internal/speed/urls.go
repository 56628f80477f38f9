package speed

import (
	"net/http"
	"net/netip"
	"net/url"
)

// urls are a download URL and an optional upload URL.
type urls struct{ down, up *url.URL }

const (
	// urlsUp is the upload size for unknown servers.
	urlsUp = 20 << 20
	// urlsDown is the minimum size of a file. The time of requests would dominate with smaller
	// ones. Both are in bytes.
	urlsDown = 1_000_000
)

// Ping implements target. A server without HEAD still answers with an error status.
func (u urls) Ping() ask { return ask{Method: http.MethodHead, URL: u.down, Cached: true} }

// Down implements target. A CDN may cache the file; the bytes still come through the
// tunnel.
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
