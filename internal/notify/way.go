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

// Redirected is an answer that sends its client elsewhere. It is not followed: what
// is sent holds tokens, and is for the address that a person gave.
type Redirected struct{ Host string }

// Error implements error.
func (e *Redirected) Error() string {
	if e.Host == "" {
		return "the address redirects elsewhere; redirects are not followed"
	}
	return "the address redirects to " + e.Host + "; redirects are not followed"
}

// guardedTransport refuses redirects, and connects only where the guard lets it.
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

// newTransport makes a transport of ours; settings may be nil.
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

// replaceTransports makes what shoutrrr sends over HTTP go our way: most of its services use
// the transport of package http, which is replaced in this process.
func replaceTransports(dial *guard.Guard) {
	replaced.Lock()
	defer replaced.Unlock()
	if replaced.by != nil && *replaced.by == *dial {
		return
	}
	replaced.by = dial
	// Its own client waits for ever, and its Telegram takes a failure without an
	// answer for a success.
	jsonclient.DefaultClient = jsonClient{jsonclient.NewWithHTTPClient(&http.Client{Timeout: sendTimeout})}
	way := newTransport(dial, nil)
	t := &http.Transport{DialContext: dial.DialContext}
	t.RegisterProtocol("http", way)
	t.RegisterProtocol("https", way)
	http.DefaultTransport = t
}

// replaceClients makes the clients of a service that has transports of its own go our way,
// with the TLS settings that the address asks for.
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
		c := (*http.Client)(f.UnsafePointer()) // the field is not exported, what it points to is shared
		c.Timeout = sendTimeout
		if own, ok := c.Transport.(*http.Transport); ok {
			c.Transport = newTransport(dial, own.TLSClientConfig)
		}
	}
}
