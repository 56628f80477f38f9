package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Ports of the services behind a session; every address has them.
const (
	portEcho    = 7
	portDiscard = 9
	portDNS     = 53
	portHTTP    = 80
)

const (
	// maxBody limits the answer of /bytes and an upload, in bytes, and maxHash the
	// answer of /sha256, which takes CPU time.
	maxBody = 1 << 40
	maxHash = 1 << 32
	// tcpIdle is how long a connection may be silent.
	tcpIdle = 2 * time.Minute
)

// siteAddr is the address of every name, from the range for documentation.
var siteAddr = [4]byte{198, 51, 100, 80}

// services are the servers behind the sessions of a fleet. They have no socket, so only
// the sessions reach them.
type services struct {
	web   *http.Server
	conns chan net.Conn
	ports map[uint16]func(net.Conn) // from Config.Ports
	done  chan struct{}
	once  sync.Once
	work  sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]struct{}
}

func startServices(sites map[string]http.Handler, ports map[uint16]func(net.Conn)) *services {
	s := &services{ports: ports, conns: make(chan net.Conn), done: make(chan struct{}), open: make(map[net.Conn]struct{})}
	s.web = &http.Server{
		Handler: byHost(sites, siteHandler()), ReadHeaderTimeout: tcpIdle, IdleTimeout: tcpIdle,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, innerConnKey{}, c)
		},
	}
	s.work.Go(func() { _ = s.web.Serve(s) }) // ends when the listener closes
	return s
}

// close ends every connection and waits for all goroutines.
func (s *services) close() {
	s.once.Do(func() { close(s.done) })
	s.web.Close()
	s.mu.Lock()
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
}

// --- the net.Listener of the web server

// Accept implements net.Listener.
func (s *services) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (s *services) Close() error { return nil }

// Addr implements net.Listener.
func (s *services) Addr() net.Addr { return &net.TCPAddr{Port: portHTTP} }

// --- The services by port; nil if there is none

// tcpService returns the service at a port. The caller runs it in the goroutine of the
// connection, which it closes.
func (s *services) tcpService(port uint16) func(net.Conn) {
	switch port {
	case portHTTP:
		return func(c net.Conn) {
			select {
			case s.conns <- c:
			case <-s.done:
				c.Close()
			}
		}
	case portEcho:
		return s.trackConn(func(c net.Conn) { copyIdle(c, c) })
	case portDiscard:
		return s.trackConn(func(c net.Conn) { copyIdle(io.Discard, c) })
	case portDNS:
		return s.trackConn(serveDNSOverTCP)
	}
	if serve := s.ports[port]; serve != nil {
		return s.trackConn(serve)
	}
	return nil
}

// udpService returns the service for the flows to a port.
func (s *services) udpService(port uint16) func(net.Conn) {
	switch port {
	case portEcho:
		return func(c net.Conn) { eachDatagram(c, func(b []byte) []byte { return b }) }
	case portDiscard:
		return func(c net.Conn) { eachDatagram(c, func([]byte) []byte { return nil }) }
	case portDNS:
		return func(c net.Conn) { eachDatagram(c, answerDNS) }
	}
	return nil
}

// trackConn wraps a service so that close ends its connections.
func (s *services) trackConn(serve func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		s.mu.Lock()
		s.open[c] = struct{}{}
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			delete(s.open, c)
			s.mu.Unlock()
			c.Close()
		}()
		select {
		case <-s.done:
		default:
			serve(c)
		}
	}
}

// copyIdle copies until the end of src, or until it is silent for tcpIdle.
func copyIdle(dst io.Writer, src net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		_ = src.SetDeadline(time.Now().Add(tcpIdle))
		n, err := src.Read(buf)
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func eachDatagram(c net.Conn, answer func([]byte) []byte) {
	buf := make([]byte, 2048)
	for {
		_ = c.SetDeadline(time.Now().Add(flowIdle))
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if a := answer(buf[:n]); a != nil {
			if _, err := c.Write(a); err != nil {
				return
			}
		}
	}
}

// --- HTTP

// innerConn is a connection from a session of a server.
type innerConn struct {
	net.Conn
	node *Node
}

type innerConnKey struct{}

// byHost returns the web server inside the tunnels: sites by their name, and rest for all
// other hosts. A site sees the client at the exit address of its tunnel.
func byHost(sites map[string]http.Handler, rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		to := sites[strings.ToLower(host)]
		from, ok := r.Context().Value(innerConnKey{}).(innerConn)
		switch {
		case to == nil || !ok:
			rest.ServeHTTP(w, r)
		case from.node.Behaviour.Session.Endpoint != 0:
			status := from.node.Behaviour.Session.Endpoint
			http.Error(w, http.StatusText(status), status)
		default:
			seen := r.WithContext(r.Context()) // a shallow copy
			seen.RemoteAddr = netip.AddrPortFrom(from.node.Exit(), portOf(r.RemoteAddr)).String()
			to.ServeHTTP(w, seen)
		}
	})
}

func portOf(address string) uint16 {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return 0
	}
	return a.Port()
}

func siteHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "lab\naddress: %s\n", peerAddr(r))
	})
	mux.HandleFunc("GET /ip", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, peerAddr(r))
	})
	mux.HandleFunc("GET /bytes/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, ok := parseLength(w, r, maxBody)
		if !ok {
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		_ = Bytes(r.Context(), w, n) // an error means that the client closed the connection
	})
	mux.HandleFunc("GET /sha256/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, ok := parseLength(w, r, maxHash)
		if !ok {
			return
		}
		sum := sha256.New()
		if Bytes(r.Context(), sum, n) == nil {
			fmt.Fprintln(w, hex.EncodeToString(sum.Sum(nil)))
		}
	})
	mux.HandleFunc("POST /upload", serveUpload)
	return mux
}

// serveUpload counts the body, and hashes it if the query contains sha256.
func serveUpload(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	to := io.Discard
	hashed := r.URL.Query().Has("sha256")
	if hashed {
		to = sum
	}
	n, err := io.Copy(to, http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the body did not come whole", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if hashed {
		fmt.Fprintf(w, "{\"bytes\":%d,\"sha256\":%q}\n", n, hex.EncodeToString(sum.Sum(nil)))
		return
	}
	fmt.Fprintf(w, "{\"bytes\":%d}\n", n)
}

func peerAddr(r *http.Request) string {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return a.Addr().String()
}

func parseLength(w http.ResponseWriter, r *http.Request, most int64) (int64, bool) {
	n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil || n < 0 || n > most {
		http.Error(w, fmt.Sprintf("want a number of bytes up to %d", most), http.StatusBadRequest)
		return 0, false
	}
	return n, true
}

// noiseBlock is the block of noise that /bytes repeats; it is always the same.
var noiseBlock = sync.OnceValue(func() []byte {
	b := make([]byte, 64<<10)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
})

// Bytes writes the n bytes that /bytes/n returns.
func Bytes(ctx context.Context, w io.Writer, n int64) error {
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := noiseBlock()[:min(n, int64(len(noiseBlock())))]
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("write the noise: %w", err)
		}
		n -= int64(len(part))
	}
	return nil
}

// --- DNS

func serveDNSOverTCP(c net.Conn) {
	for {
		_ = c.SetDeadline(time.Now().Add(flowIdle))
		var head [2]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		query := make([]byte, int(head[0])<<8|int(head[1]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		a := answerDNS(query)
		if a == nil {
			return
		}
		if _, err := c.Write(append([]byte{byte(len(a) >> 8), byte(len(a))}, a...)); err != nil {
			return
		}
	}
}

// answerDNS answers a query, or returns nil if it is not a query. Every name has one
// IPv4 address, except those that end in ".invalid", which do not exist.
func answerDNS(query []byte) []byte {
	a, err := buildAnswer(query)
	if err != nil {
		return nil
	}
	return a
}

var errNoQuery = errors.New("no query")

func buildAnswer(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	if h.Response {
		return nil, errNoQuery
	}
	reply := dnsmessage.Header{ID: h.ID, Response: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true}
	name := strings.ToLower(q.Name.String())
	if strings.HasSuffix(name, ".invalid.") || name == "invalid." {
		reply.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(make([]byte, 0, 512), reply)
	b.EnableCompression()
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(q); err != nil {
		return nil, err
	}
	if err := b.StartAnswers(); err != nil {
		return nil, err
	}
	if reply.RCode == dnsmessage.RCodeSuccess && q.Type == dnsmessage.TypeA {
		rh := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60}
		if err := b.AResource(rh, dnsmessage.AResource{A: siteAddr}); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}
