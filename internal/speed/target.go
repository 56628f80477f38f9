package speed

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// target builds the requests of a kind of endpoint. sendRequest makes each of them unique.
type target interface {
	// Ping returns a request with a tiny answer.
	Ping() ask
	// Down returns a request with a long answer, of about size bytes if the endpoint allows a
	// choice.
	Down(size int64) ask
	// Up returns a request with a long body. ok is false if the endpoint accepts none.
	Up(size int64) (a ask, ok bool)
	// Where returns a request whose answer contains the client's address for From. ok is false
	// if there is none.
	Where() (a ask, ok bool)
	From(body []byte) netip.Addr
}

// ask is a request to an endpoint.
type ask struct {
	Method string
	URL    *url.URL
	Token  connexa.Secret // bearer token. Optional.
	Bytes  int64          // size of Up's body, or minimum size of Down's answer; 0 if unknown
	Cached bool           // a cached answer is allowed
}

// targetOf returns the target of an endpoint.
func targetOf(e connexa.Endpoint) (target, error) {
	switch e.Kind {
	case connexa.EndpointOwn:
		base, err := parseURL(e.URL)
		return own{base, e.Token}, err
	case connexa.EndpointLibreSpeed:
		base, err := parseURL(e.URL)
		return libreSpeed{base}, err
	case connexa.EndpointCloudflare:
		return cloudflare{cloudflareBase}, nil
	case connexa.EndpointURLs:
		t := urls{}
		var err error
		if t.down, err = parseURL(e.URL); err == nil && e.UpURL != "" {
			t.up, err = parseURL(e.UpURL)
		}
		return t, err
	}
	return nil, fmt.Errorf("speed: there is no endpoint of kind %q", e.Kind)
}

// parseURL parses a URL. Its error does not quote s, which may contain a password.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("speed: an endpoint's address is like https://speed.example.net")
	}
	return u, nil
}

// urlBelow returns the URL of a file below base with a query.
func urlBelow(base *url.URL, file, query string) *url.URL {
	u := base.JoinPath(file)
	u.RawQuery = query
	return u
}

// addressIn returns the address at the start of s, or an invalid one.
func addressIn(s string) netip.Addr {
	s, _, _ = strings.Cut(strings.TrimSpace(s), " ")
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}
