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

// direct refuses redirects, and connects only where the guard lets it.
type direct struct{ way http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.way.RoundTrip(r)
	if err != nil || resp.StatusCode < 300 || resp.StatusCode > 399 || resp.StatusCode == http.StatusNotModified {
		return resp, err
	}
	resp.Body.Close()
	return nil, &Redirected{guard.HostOf(resp)}
}

// wayOut makes a transport of ours; settings may be nil.
func wayOut(dial *guard.Guard, settings *tls.Config) http.RoundTripper {
	return direct{&http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dial.DialContext, TLSClientConfig: settings, TLSHandshakeTimeout: sendTime,
		ResponseHeaderTimeout: sendTime, ForceAttemptHTTP2: true, MaxIdleConns: 8, IdleConnTimeout: sendTime,
	}}
}

var taken struct {
	sync.Mutex
	by *guard.Guard
}

// takeOver makes what shoutrrr sends over HTTP go our way: most of its services use
// the transport of package http, which is replaced in this process.
func takeOver(dial *guard.Guard) {
	taken.Lock()
	defer taken.Unlock()
	if taken.by != nil && *taken.by == *dial {
		return
	}
	taken.by = dial
	// Its own client waits for ever, and its Telegram takes a failure without an
	// answer for a success.
	jsonclient.DefaultClient = jsonClient{jsonclient.NewWithHTTPClient(&http.Client{Timeout: sendTime})}
	way := wayOut(dial, nil)
	t := &http.Transport{DialContext: dial.DialContext}
	t.RegisterProtocol("http", way)
	t.RegisterProtocol("https", way)
	http.DefaultTransport = t
}

// lead makes the clients of a service that has transports of its own go our way,
// with the TLS settings that the address asks for.
func lead(service types.Service, dial *guard.Guard) {
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
		c.Timeout = sendTime
		if own, ok := c.Transport.(*http.Transport); ok {
			c.Transport = wayOut(dial, own.TLSClientConfig)
		}
	}
}
