package speed

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// target is what a kind of endpoint wants to be asked. Its requests are values:
// whoever sends one makes it the only one of its kind.
type target interface {
	// Ping has a tiny answer.
	Ping() ask
	// Down has a long answer, of about size bytes where the endpoint lets itself
	// be told.
	Down(size int64) ask
	// Up takes a long body. ok is false where there is nothing to send to.
	Up(size int64) (a ask, ok bool)
	// Where has an answer from which From reads the client's address. ok is false
	// where the endpoint does not tell.
	Where() (a ask, ok bool)
	From(body []byte) netip.Addr
}

// ask is one request to an endpoint.
type ask struct {
	Method string
	URL    *url.URL
	Token  connexa.Secret // sent as a bearer token; empty: none
	Bytes  int64          // of Up's body, and that Down's answer has at least; 0: not known
	Cached bool           // an answer that was kept on the way is as good
}

// targetOf is how e is asked.
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

// Check says whether e can be measured against, as far as that is seen from here.
func Check(e connexa.Endpoint) error {
	_, err := targetOf(e)
	return err
}

// parseURL does not show what it was given: there may be a password in it.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("speed: an endpoint's address is like https://speed.example.net")
	}
	return u, nil
}

// below is the address of a file below base, with a query.
func below(base *url.URL, file, query string) *url.URL {
	u := base.JoinPath(file)
	u.RawQuery = query
	return u
}

// addressIn is the address that s begins with; invalid: none.
func addressIn(s string) netip.Addr {
	s, _, _ = strings.Cut(strings.TrimSpace(s), " ")
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}
