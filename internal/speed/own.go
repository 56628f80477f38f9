package speed

import (
	"net/http"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// own is a Server of this package.
type own struct {
	base  *url.URL
	token connexa.Secret
}

// Ping implements target.
func (o own) Ping() ask {
	return ask{Method: http.MethodGet, URL: urlBelow(o.base, "echo", ""), Token: o.token}
}

// Down implements target.
func (o own) Down(size int64) ask {
	u := urlBelow(o.base, "down", "bytes="+strconv.FormatInt(size, 10))
	return ask{Method: http.MethodGet, URL: u, Token: o.token, Bytes: size}
}

// Up implements target.
func (o own) Up(size int64) (ask, bool) {
	return ask{Method: http.MethodPost, URL: urlBelow(o.base, "up", ""), Token: o.token, Bytes: size}, true
}

// Where implements target.
func (o own) Where() (ask, bool) { return o.Ping(), true }

// From implements target.
func (o own) From(body []byte) netip.Addr { return addressIn(string(body)) }
