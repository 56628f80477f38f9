package socks5

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxHeader is the maximum size of a request header in bytes.
const maxHeader = 64 << 10

// serveHTTP passes a connection to the web server, which the first one creates.
func (s *Server) serveHTTP(ctx context.Context, g *pendingConn, r *bufio.Reader) {
	s.webOnce.Do(func() { s.web = startWebServer(ctx, s) })
	early, _ := r.Peek(r.Buffered())
	c := &webConn{Conn: g.Conn, pending: g, buf: bytes.Clone(early), server: s, closed: make(chan struct{})}
	if s.web == nil || !s.web.queueConn(ctx, c) {
		g.leaveQueue()
		g.Close()
		return
	}
	<-c.closed // acceptConns releases the ConnLimit after this
}

// webServer serves the connections that speak HTTP.
type webServer struct {
	server  *Server
	http    *http.Server
	forward *httputil.ReverseProxy
	out     *http.Transport
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
}

func startWebServer(ctx context.Context, s *Server) *webServer {
	w := &webServer{server: s, conns: make(chan net.Conn), done: make(chan struct{})}
	quiet := log.New(io.Discard, "", 0) // the client gets the errors
	w.out = &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			to, err := parseTarget(address)
			if err != nil {
				return nil, err
			}
			dialer, c, err := s.dialTarget(ctx, to)
			if err != nil {
				return nil, err
			}
			p := &relayState{limits: &s.limits, dead: dialer.Dead()}
			p.markActive(time.Now())
			return &idleConn{c, p}, nil
		},
		DisableCompression: true, MaxIdleConns: 32, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
		ExpectContinueTimeout: time.Second, ResponseHeaderTimeout: s.limits.HalfIdle, MaxResponseHeaderBytes: maxHeader,
	}
	w.forward = &httputil.ReverseProxy{
		Transport: w.out, ErrorLog: quiet, FlushInterval: -1,
		// ReverseProxy has removed hop-by-hop headers. No header about the client is added.
		Rewrite: func(r *httputil.ProxyRequest) {
			if h, ok := r.In.Context().Value(headKey{}).(head); ok {
				r.Out.URL = h.targetURL(r.In.Method, r.In.URL.Host)
			}
		},
		ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, err error) {
			writeError(rw, err)
		},
		BufferPool: copyBuffers{},
	}
	w.http = &http.Server{
		Handler: w, ErrorLog: quiet, ReadHeaderTimeout: s.limits.Handshake, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxHeader,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, webConnKey{}, c) },
		BaseContext: func(net.Listener) context.Context { return ctx }, DisableGeneralOptionsHandler: true,
	}
	s.work.Go(func() { _ = w.http.Serve(w) }) // ends with the listener
	return w
}

type (
	webConnKey struct{}
	headKey    struct{} // key of the head of a request
)

// copyBuffers uses the buffers of relays to forward bodies.
type copyBuffers struct{}

func (copyBuffers) Get() []byte  { return largeBuffers.Get().(*[largeBuffer]byte)[:] }
func (copyBuffers) Put(b []byte) { largeBuffers.Put((*[largeBuffer]byte)(b[:largeBuffer])) }

func (w *webServer) queueConn(ctx context.Context, c net.Conn) bool {
	select {
	case w.conns <- c:
		return true
	case <-w.done:
	case <-ctx.Done():
	}
	return false
}

func (w *webServer) close() {
	w.once.Do(func() { close(w.done) })
	w.http.Close()
	w.out.CloseIdleConnections()
}

// Accept implements net.Listener.
func (w *webServer) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (w *webServer) Close() error { w.once.Do(func() { close(w.done) }); return nil }

// Addr implements net.Listener.
func (w *webServer) Addr() net.Addr { return &net.TCPAddr{} }

// ServeHTTP serves one request of a client.
func (w *webServer) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(webConnKey{}).(*webConn)
	h, kept := c.nextHead()
	if len(r.TransferEncoding) > 0 {
		// Only net/http knows where a chunked request ends, so no further head can be kept. A
		// request that has a Content-Length as well must be the last, RFC 9112 section 6.1.
		rw.Header().Set("Connection", "close")
	}
	m, ok := w.checkCredentials(rw, r, c)
	if !ok {
		return
	}
	switch {
	case r.Method == http.MethodConnect:
		w.serveConnect(rw, r, c, m)
	case r.Method == http.MethodOptions && r.RequestURI == "*": // about this proxy, RFC 9110 section 9.3.7
		rw.Header().Set("Content-Length", "0")
	case r.URL.Scheme != "http" || r.URL.Host == "":
		http.Error(rw, "This is a proxy: ask it for http://… , or use CONNECT.", http.StatusBadRequest)
	case r.URL.User != nil: // RFC 9110 section 4.2.4
		http.Error(rw, "The address has a user in it: credentials for a site belong into the header Authorization.", http.StatusBadRequest)
	default:
		if kept && h.isAbsolute {
			r = r.WithContext(context.WithValue(r.Context(), headKey{}, h))
		}
		w.forward.ServeHTTP(rw, r)
	}
}

// checkCredentials checks the credentials of a request, RFC 9110 section 11.7.
func (w *webServer) checkCredentials(rw http.ResponseWriter, r *http.Request, c *webConn) (*session, bool) {
	given := r.Header.Get("Proxy-Authorization")
	c.mu.Lock()
	m, known := c.session, given != "" && c.credentials == given
	c.mu.Unlock()
	if known && m != nil {
		return m, true
	}
	user, password, ok := parseBasic(given)
	var client Client
	if ok {
		client, ok = w.server.checkLogin(r.Context(), user, password, c.pending.from)
	}
	if !ok {
		rw.Header().Set("Proxy-Authenticate", `Basic realm="proxy", charset="UTF-8"`)
		http.Error(rw, "The proxy wants a user and a password.", http.StatusProxyAuthRequired)
		return nil, false
	}
	m, ok = c.openSession(client, given)
	if !ok {
		rw.Header().Set("Connection", "close")
		http.Error(rw, "Too many connections.", http.StatusServiceUnavailable)
	}
	return m, ok
}

// parseBasic parses credentials of RFC 7617.
func parseBasic(header string) (user, password string, ok bool) {
	scheme, value, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(text), ":")
}

// serveConnect serves a CONNECT request, RFC 9110 section 9.3.6.
func (w *webServer) serveConnect(rw http.ResponseWriter, r *http.Request, c *webConn, m *session) {
	to, err := parseTarget(r.Host)
	if err != nil {
		http.Error(rw, "CONNECT wants HOST:PORT.", http.StatusBadRequest)
		return
	}
	dialer, remote, err := w.server.dialTarget(r.Context(), to)
	if err != nil {
		writeError(rw, err)
		return
	}
	conn, buffered, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		remote.Close()
		return
	}
	c.mu.Lock()
	c.hijacked = true
	c.mu.Unlock()
	defer c.Close()
	_ = conn.SetDeadline(time.Time{})
	_ = conn.SetWriteDeadline(time.Now().Add(w.server.limits.Handshake))
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		remote.Close()
		return
	}
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	early = append(bytes.Clone(early), c.buf...) // bytes that net/http has not read
	w.server.relayConns(m, early, dialer, remote)
}

// parseTarget parses HOST:PORT.
func parseTarget(s string) (target, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return target{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" {
		return target{}, fmt.Errorf("%w: %q is no host and port", ErrMalformed, s)
	}
	t := target{name: host, port: uint16(n)}
	if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" {
		t.name, t.addr = "", a.Unmap()
	}
	return t, nil
}

// writeError answers a request with an error.
func writeError(w http.ResponseWriter, err error) {
	code, text := http.StatusBadGateway, "The connection could not be made."
	switch reply := replyOf(err); {
	case reply == NotAllowed:
		code, text = http.StatusForbidden, "This destination is not allowed here."
	case reply == HostUnreachable, errors.Is(err, syscall.ENETUNREACH):
		text = "The host does not exist or cannot be reached."
	case reply == NetworkUnreachable:
		code, text = http.StatusServiceUnavailable, "The tunnel is not up."
		w.Header().Set("Retry-After", "5")
	case reply == ConnectionRefused:
		text = "The host refused the connection."
	case reply == TimedOut:
		code, text = http.StatusGatewayTimeout, "The host did not answer."
	case reply == AddressUnsupported:
		text = "Only IPv4 goes through the tunnel."
	}
	http.Error(w, text, code)
}
