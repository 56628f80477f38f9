package speed

import (
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// cloudflare are the endpoints of speed.cloudflare.com.
type cloudflare struct{ base *url.URL }

var cloudflareBase = &url.URL{Scheme: "https", Host: "speed.cloudflare.com", Path: "/"}

// Maximum sizes of requests in bytes. Cloudflare refuses larger ones.
const (
	cloudflareDown = 100_000_000
	cloudflareUp   = 50_000_000
)

// Ping implements target.
func (c cloudflare) Ping() ask {
	return ask{Method: http.MethodGet, URL: urlBelow(c.base, "__down", "bytes=0")}
}

// Down implements target.
func (c cloudflare) Down(size int64) ask {
	size = min(size, cloudflareDown)
	return ask{Method: http.MethodGet, URL: urlBelow(c.base, "__down", "bytes="+strconv.FormatInt(size, 10)), Bytes: size}
}

// Up implements target.
func (c cloudflare) Up(size int64) (ask, bool) {
	return ask{Method: http.MethodPost, URL: urlBelow(c.base, "__up", ""), Bytes: min(size, cloudflareUp)}, true
}

// Where implements target.
func (c cloudflare) Where() (ask, bool) {
	return ask{Method: http.MethodGet, URL: urlBelow(c.base, "cdn-cgi/trace", "")}, true
}

// From implements target. The answer has lines of the form name=value.
func (c cloudflare) From(body []byte) netip.Addr {
	for line := range strings.Lines(string(body)) {
		if ip, ok := strings.CutPrefix(line, "ip="); ok {
			return addressIn(ip)
		}
	}
	return netip.Addr{}
}
