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

// stage is how far a connection got.
type stage uint8

const (
	stageLookup stage = iota
	stageConnect
	stageTLS
)

// dialError is a connection that did not come about.
type dialError struct {
	stage stage
	err   error
}

func (e *dialError) Error() string {
	return [...]string{"look up the endpoint", "connect to the endpoint", "agree on TLS with the endpoint"}[e.stage] + ": " + e.err.Error()
}

func (e *dialError) Unwrap() error { return e.err }

// dialer connects to endpoints through a tunnel. A name is looked up once.
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

// dialHost connects to the first address of a host that answers, and remembers it.
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

// timeShare is what is left of ctx's time for one of n attempts.
func timeShare(ctx context.Context, n int) time.Duration {
	until, ok := ctx.Deadline()
	if !ok {
		return connectWait
	}
	return time.Until(until) / time.Duration(n)
}

// startTLS speaks TLS on c, which it ends when that goes wrong.
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

// hasInternet says whether anything at all answers behind the tunnel.
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

// stream is one connection at a time to an endpoint, with HTTP/1.1 on it: a second
// request waits for the first, or for a lane of its own.
type stream struct {
	client http.Client
	dialer *dialer
	cancel context.CancelFunc // of the dials, which net/http does not end with their request

	mu     sync.Mutex
	conns  []countedConn
	closed bool
	dials  sync.WaitGroup
}

// countedConn is a connection of a lane with what had arrived at its ends before
// the first request, of TLS.
type countedConn struct {
	Conn
	here, there int64
}

const maxConns = 64 // of a lane, one after the other

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
	// A redirect is never followed: after 301 to 303 an upload would go on as a
	// request without a body, and the figure would be that of another host.
	l.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return l
}

// dialConn connects, and counts the connection to the lane.
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
		host, _, _ := net.SplitHostPort(address) // dial has done so
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

// arrivedBytes is what has come of the lane's answers, and of its requests, in bytes.
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

// hasConnected says whether there ever was a connection.
func (l *stream) hasConnected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns) > 0
}

// abort ends the lane, and what waits in its buffers with it.
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

// codeOf tells what an error on the way to an endpoint means.
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
		return CodeConnect // somebody behind the tunnel said so
	case !r.dialer.hasInternet(ctx, r.options.Beyond):
		return CodeNoInternet
	case dial.stage == stageLookup:
		return CodeNoDNS
	default:
		return CodeConnect
	}
}

// explainError makes what Measure returns of err.
func (r *run) explainError(ctx context.Context, err error) error {
	if errors.As(err, new(*Refused)) || errors.As(err, new(*NoInternet)) {
		return err
	}
	if !errors.As(err, new(*dialError)) && !isNetwork(err) {
		return fmt.Errorf("speed: %s: %w", r.name, err)
	}
	return &NoInternet{Endpoint: r.name, Code: r.codeOf(ctx, err), Err: err}
}
