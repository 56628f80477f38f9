package speed

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	lookupWait  = 10 * time.Second
	connectWait = 8 * time.Second
	tlsWait     = 8 * time.Second
	beyondWait  = 4 * time.Second
)

// stage is the progress of a connection attempt.
type stage uint8

const (
	stageLookup stage = iota
	stageConnect
	stageTLS
)

// dialError is a failed connection attempt.
type dialError struct {
	stage stage
	err   error
}

func (e *dialError) Error() string {
	return [...]string{"look up the endpoint", "connect to the endpoint", "agree on TLS with the endpoint"}[e.stage] + ": " + e.err.Error()
}

func (e *dialError) Unwrap() error { return e.err }

// dialer connects to endpoints through a tunnel. It looks up each name once.
type dialer struct {
	tunnel Tunnel
	roots  *x509.CertPool

	mu    sync.Mutex
	known map[string][]netip.Addr
}

func (d *dialer) lookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	d.mu.Lock()
	addrs := d.known[host]
	d.mu.Unlock()
	if addrs != nil {
		return addrs, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupWait)
	defer cancel()
	addrs, err := d.tunnel.Lookup(ctx, host)
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	if err != nil {
		return nil, &dialError{stageLookup, err}
	}
	d.preferAddr(host, addrs)
	return addrs, nil
}

func (d *dialer) preferAddr(host string, addrs []netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = make(map[string][]netip.Addr)
	}
	d.known[host] = addrs
}

// dialHost connects to the first address of a host that answers, and keeps using it.
func (d *dialer) dialHost(ctx context.Context, address string) (Conn, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &dialError{stageConnect, err}
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, &dialError{stageConnect, err}
	}
	addrs, err := d.lookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	var errs []error
	for i, a := range addrs {
		one, stop := context.WithTimeout(ctx, timeShare(ctx, len(addrs)-i))
		c, err := d.tunnel.Dial(one, netip.AddrPortFrom(a, uint16(port)))
		stop()
		if err == nil {
			d.preferAddr(host, []netip.Addr{a})
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, &dialError{stageConnect, errors.Join(errs...)}
}

// timeShare returns the share of the remaining time of ctx for one of n attempts.
func timeShare(ctx context.Context, n int) time.Duration {
	until, ok := ctx.Deadline()
	if !ok {
		return connectWait
	}
	return time.Until(until) / time.Duration(n)
}

// startTLS performs a TLS handshake on c. It aborts c on failure.
func (d *dialer) startTLS(ctx context.Context, c Conn, host string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, tlsWait)
	defer cancel()
	t := tls.Client(c, &tls.Config{ServerName: host, RootCAs: d.roots, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12})
	if err := t.HandshakeContext(ctx); err != nil {
		c.Abort()
		return nil, &dialError{stageTLS, err}
	}
	return t, nil
}

// hasInternet reports whether any address behind the tunnel answers.
func (d *dialer) hasInternet(ctx context.Context, list []netip.AddrPort) bool {
	ctx, cancel := context.WithTimeout(ctx, beyondWait)
	defer cancel()
	answers := make(chan bool, len(list))
	for _, a := range list {
		go func() {
			c, err := d.tunnel.Dial(ctx, a)
			if err == nil {
				c.Abort()
			}
			answers <- err == nil || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET)
		}()
	}
	found := false
	for range list {
		if <-answers && !found {
			found = true
			cancel()
		}
	}
	return found
}

// stream is an HTTP/1.1 client for an endpoint with one connection at a time. Concurrent
// requests need several streams.
type stream struct {
	client http.Client
	dialer *dialer
	cancel context.CancelFunc // cancels dials, which do not end with their request in net/http

	mu     sync.Mutex
	conns  []countedConn
	closed bool
	dials  sync.WaitGroup
}

// countedConn is a connection of a stream with its byte counts before the first request,
// which are those of TLS.
type countedConn struct {
	Conn
	here, there int64
}

const maxConns = 64 // per stream, one after the other

var errStreamClosed = errors.New("the stream is over")

func newStream(ctx context.Context, d *dialer) *stream {
	ctx, cancel := context.WithCancel(ctx)
	l := &stream{dialer: d, cancel: cancel}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	l.client.Transport = &http.Transport{
		DialContext:    func(_ context.Context, _, address string) (net.Conn, error) { return l.dialConn(ctx, address, false) },
		DialTLSContext: func(_ context.Context, _, address string) (net.Conn, error) { return l.dialConn(ctx, address, true) },
		Protocols:      &protocols, DisableCompression: true, MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1,
		WriteBufferSize: 64 << 10, ReadBufferSize: 16 << 10, MaxResponseHeaderBytes: 64 << 10,
	}
	// Never follow redirects: after 301 to 303 an upload would continue without a body, and
	// the result would belong to another host.
	l.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return l
}

// dialConn connects and adds the connection to the stream.
func (l *stream) dialConn(ctx context.Context, address string, secure bool) (net.Conn, error) {
	l.mu.Lock()
	if l.closed || len(l.conns) == maxConns {
		l.mu.Unlock()
		return nil, errStreamClosed
	}
	l.dials.Add(1)
	l.mu.Unlock()
	defer l.dials.Done()
	c, err := l.dialer.dialHost(ctx, address)
	if err != nil {
		return nil, err
	}
	var spoken net.Conn = c
	if secure {
		host, _, _ := net.SplitHostPort(address) // dialHost has checked it
		if spoken, err = l.dialer.startTLS(ctx, c, host); err != nil {
			return nil, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.Abort()
		return nil, errStreamClosed
	}
	here, there := c.Arrived()
	l.conns = append(l.conns, countedConn{c, here, there})
	return spoken, nil
}

// arrivedBytes returns the bytes of answers received here and of requests received by the
// endpoint.
func (l *stream) arrivedBytes() (here, there int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		h, t := c.Arrived()
		here += h - c.here
		there += t - c.there
	}
	return here, there
}

// hasConnected reports whether the stream ever had a connection.
func (l *stream) hasConnected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns) > 0
}

// abort closes the stream and drops buffered data.
func (l *stream) abort() {
	l.cancel()
	l.mu.Lock()
	l.closed = true
	conns := l.conns
	l.mu.Unlock()
	l.dials.Wait()
	for _, c := range conns {
		c.Abort()
	}
	l.client.CloseIdleConnections()
}

// codeOf returns the code for an error on the way to an endpoint.
func (r *run) codeOf(ctx context.Context, err error) string {
	var (
		dial   *dialError
		noName *net.DNSError
	)
	switch {
	case !errors.As(err, &dial):
		return CodeTimeout
	case dial.stage == stageTLS:
		return CodeTLS
	case dial.stage == stageConnect && errors.Is(err, syscall.ECONNREFUSED),
		errors.As(err, &noName) && noName.IsNotFound:
		return CodeConnect // an answer from behind the tunnel
	case !r.dialer.hasInternet(ctx, r.options.Beyond):
		return CodeNoInternet
	case dial.stage == stageLookup:
		return CodeNoDNS
	default:
		return CodeConnect
	}
}

// explainError converts err to a result of Measure.
func (r *run) explainError(ctx context.Context, err error) error {
	if errors.As(err, new(*Refused)) || errors.As(err, new(*NoInternet)) {
		return err
	}
	if !errors.As(err, new(*dialError)) && !isNetwork(err) {
		return fmt.Errorf("speed: %s: %w", r.name, err)
	}
	return &NoInternet{Endpoint: r.name, Code: r.codeOf(ctx, err), Err: err}
}
