package notify

import (
	"crypto/tls"
	"net/http"
	"reflect"
	"sync"

	"github.com/nicholas-fedor/shoutrrr/pkg/types"
	"github.com/nicholas-fedor/shoutrrr/pkg/util/jsonclient"

	"github.com/connexa-panel/connexa/internal/guard"
)

// Redirected is the error for an answer that redirects. Redirects are not followed,
// because messages contain tokens for the address that the user gave.
type Redirected struct{ Host string }

// Error implements error.
func (e *Redirected) Error() string {
	if e.Host == "" {
		return "the address redirects elsewhere; redirects are not followed"
	}
	return "the address redirects to " + e.Host + "; redirects are not followed"
}

// guardedTransport refuses redirects, and connects only to addresses that the guard allows.
type guardedTransport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (d guardedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.next.RoundTrip(r)
	if err != nil || resp.StatusCode < 300 || resp.StatusCode > 399 || resp.StatusCode == http.StatusNotModified {
		return resp, err
	}
	resp.Body.Close()
	return nil, &Redirected{guard.HostOf(resp)}
}

// newTransport returns a guarded transport. settings are optional.
func newTransport(dial *guard.Guard, settings *tls.Config) http.RoundTripper {
	return guardedTransport{&http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dial.DialContext, TLSClientConfig: settings, TLSHandshakeTimeout: sendTimeout,
		ResponseHeaderTimeout: sendTimeout, ForceAttemptHTTP2: true, MaxIdleConns: 8, IdleConnTimeout: sendTimeout,
	}}
}

var replaced struct {
	sync.Mutex
	by *guard.Guard
}

// replaceTransports guards the HTTP requests of shoutrrr. Most of its services use the
// default transport of net/http, which is replaced in this process.
func replaceTransports(dial *guard.Guard) {
	replaced.Lock()
	defer replaced.Unlock()
	if replaced.by != nil && *replaced.by == *dial {
		return
	}
	replaced.by = dial
	// The original client has no timeout, and shoutrrr's Telegram service takes a failure
	// without an answer for a success.
	jsonclient.DefaultClient = jsonClient{jsonclient.NewWithHTTPClient(&http.Client{Timeout: sendTimeout})}
	guarded := newTransport(dial, nil)
	t := &http.Transport{DialContext: dial.DialContext}
	t.RegisterProtocol("http", guarded)
	t.RegisterProtocol("https", guarded)
	http.DefaultTransport = t
}

// replaceClients guards the clients of a service with transports of its own. It keeps the
// TLS settings of the address.
func replaceClients(service types.Service, dial *guard.Guard) {
	v := reflect.ValueOf(service)
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Type() != reflect.TypeFor[*http.Client]() || f.IsNil() {
			continue
		}
		c := (*http.Client)(f.UnsafePointer()) // the field is unexported, but the client that it points to is shared
		c.Timeout = sendTimeout
		if own, ok := c.Transport.(*http.Transport); ok {
			c.Transport = newTransport(dial, own.TLSClientConfig)
		}
	}
}
