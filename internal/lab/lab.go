// Package lab simulates a fleet of PPTP servers in this process: real TCP
// listeners on addresses of 127/8, each with a good behaviour or one of many
// faults. Tests, the demo and load measurements use it.
//
// A server speaks the whole protocol, with GRE over raw sockets or a Switch of
// package gre. Behind each session is a private network, separate from this
// machine's: a host at every address with HTTP (/, /ip, /bytes/N,
// /sha256/N, /upload), DNS, echo and discard.
//
// Ten thousand servers cost 10,000 file descriptors, one goroutine and a few
// megabytes. A session adds the goroutine of its control connection and, for
// the first one to a server, a raw socket with its reader.
package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// ErrInUse is wrapped by Listen if another program, or another fleet, listens
// on an address of the fleet.
var ErrInUse = errors.New("address is taken")

// Config describes a fleet. Two fleets of the same Config are equal.
type Config struct {
	Nodes  int          // number of servers, at least 1
	Seed   uint64       // determines all generated values
	Faults Faults       // default: every server is good
	Port   uint16       // default 1723
	Base   netip.Prefix // the range of addresses; default 127.20.0.0/14

	// MaxConns is the maximum number of open connections; further ones wait in the
	// backlog of their listener. Defaults to a third of the file descriptors
	// that the listeners leave: a session may need another one for GRE, and a client
	// in this process needs one too.
	MaxConns int

	// GRE opens the wire of a server at its first call. Defaults to gre.Raw,
	// which needs CAP_NET_RAW. With the Open of a gre.Switch, clients of the same
	// Switch reach the servers without it.
	GRE gre.Opener

	// Sites are web servers inside the tunnels, by host name. They see a client at its
	// server's address, like a web server on the internet, see Node.Exit. All other names
	// and addresses lead to the fleet's own server.
	Sites map[string]http.Handler

	// Ports are servers inside the tunnels, by TCP port, in addition to the fleet's own.
	// Each call has its own goroutine and must close the connection.
	Ports map[uint16]func(net.Conn)
}

var (
	defaultBase = netip.MustParsePrefix("127.20.0.0/14")
	loopback    = netip.MustParsePrefix("127.0.0.0/8")
	localhost   = netip.MustParseAddr("127.0.0.1")
)

// Fleet is a fleet of simulated servers.
type Fleet struct {
	maxConns int
	seed     uint64
	wires    gre.Opener
	sites    map[string]http.Handler
	ports    map[uint16]func(net.Conn)
	mux      *gre.Mux
	pool     addrPool
	nodes    []Node
	visits   []atomic.Uint64 // connections accepted, by node
	maxRates []atomic.Int64  // maximum negotiation packets per second in a session, by node
	byAddr   map[netip.Addr]int

	mu        sync.Mutex
	listeners *listenerSet // set by Listen, taken by Run
	open      map[*conn]struct{}
	ended     bool // set when Run ends: no connection may be added to open afterwards
	services  *services
}

// New returns the fleet that cfg describes. It does not listen yet.
func New(cfg Config) (*Fleet, error) {
	cfg.Port = cmp.Or(cfg.Port, control.Port)
	if cfg.Base == (netip.Prefix{}) {
		cfg.Base = defaultBase
	}
	switch {
	case cfg.Nodes < 1:
		return nil, fmt.Errorf("lab: a fleet of %d servers, want at least 1", cfg.Nodes)
	case !cfg.Base.IsValid() || !loopback.Contains(cfg.Base.Addr()) || cfg.Base.Bits() < loopback.Bits():
		return nil, fmt.Errorf("lab: the addresses %v are not inside %v", cfg.Base, loopback)
	case cfg.Base.Contains(localhost):
		return nil, fmt.Errorf("lab: the addresses %v include %v, where real services listen", cfg.Base, localhost)
	case cfg.MaxConns < 0:
		return nil, fmt.Errorf("lab: at most %d connections", cfg.MaxConns)
	}
	if cfg.GRE == nil {
		cfg.GRE = gre.Raw
	}
	f := &Fleet{
		maxConns: cfg.MaxConns,
		seed:     cfg.Seed,
		wires:    cfg.GRE,
		sites:    cfg.Sites,
		ports:    cfg.Ports,
		nodes:    make([]Node, 0, cfg.Nodes),
		visits:   make([]atomic.Uint64, cfg.Nodes),
		maxRates: make([]atomic.Int64, cfg.Nodes),
		byAddr:   make(map[netip.Addr]int, cfg.Nodes),
		open:     make(map[*conn]struct{}),
	}
	f.mux = gre.NewMux(f.openWire)
	rnd := rand.New(rand.NewPCG(cfg.Seed, 0x9e3779b97f4a7c15))
	behaviours := cfg.Faults.assignTo(cfg.Nodes, rnd)
	addr := cfg.Base.Masked().Addr()
	for i, b := range behaviours {
		// .0 and .255 are valid here, but look like mistakes.
		for addr = addr.Next(); addr.As4()[3] == 0 || addr.As4()[3] == 255; addr = addr.Next() {
		}
		if !cfg.Base.Contains(addr) {
			return nil, fmt.Errorf("lab: %v has room for %d servers, not for %d", cfg.Base, i, cfg.Nodes)
		}
		f.byAddr[addr] = i
		f.nodes = append(f.nodes, inventNode(netip.AddrPortFrom(addr, cfg.Port), b, rnd))
	}
	return f, nil
}

// Nodes returns the servers in the order of their addresses.
func (f *Fleet) Nodes() []Node { return slices.Clone(f.nodes) }

// Visits returns how many connections the server at addr has accepted.
func (f *Fleet) Visits(addr netip.Addr) uint64 {
	i, ok := f.byAddr[addr]
	if !ok {
		return 0
	}
	return f.visits[i].Load()
}

// MaxPacketRate returns the maximum number of negotiation packets (LCP, login, CCP and
// IPCP) that a client of the server at addr sent in any second of a session.
func (f *Fleet) MaxPacketRate(addr netip.Addr) int {
	i, ok := f.byAddr[addr]
	if !ok {
		return 0
	}
	return int(f.maxRates[i].Load())
}

// noteRate records a rate for MaxPacketRate.
func (f *Fleet) noteRate(node, most int) {
	for was := f.maxRates[node].Load(); int64(most) > was; was = f.maxRates[node].Load() {
		if f.maxRates[node].CompareAndSwap(was, int64(most)) {
			return
		}
	}
}

// Listen opens every listener, so that clients may connect. It raises the process's
// limit of open files if necessary and possible. The error wraps
// ErrInUse if an address is in use.
func (f *Fleet) Listen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listeners != nil || f.ended {
		return errors.New("lab: the fleet listens already")
	}
	limit, err := needFiles(len(f.nodes))
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if f.maxConns == 0 {
		f.maxConns = max(1, (limit-len(f.nodes)-reservedFiles)/3)
	}
	d := new(listenerSet)
	for i, n := range f.nodes {
		if err := d.addListener(i, n.Addr, n.Behaviour.Kind != Refuse); err != nil {
			d.close()
			return fmt.Errorf("lab: listen on %v: %w", n.Addr, err)
		}
	}
	f.listeners = d
	return nil
}

// Run serves until ctx ends, and then closes every listener and connection. It
// calls Listen unless that has been done. A fleet runs once.
func (f *Fleet) Run(ctx context.Context) error {
	f.mu.Lock()
	listening := f.listeners != nil
	f.mu.Unlock()
	if !listening {
		if err := f.Listen(); err != nil {
			return err
		}
	}
	f.mu.Lock()
	d := f.listeners
	f.listeners = nil
	f.mu.Unlock()
	if d == nil {
		return errors.New("lab: the fleet runs already")
	}
	var serving sync.WaitGroup
	slots := make(chan struct{}, f.maxConns)
	err := d.acceptLoop(ctx, slots, func(i int, c *conn) {
		serving.Go(func() {
			defer func() { <-slots }()
			f.serveConn(ctx, i, c)
		})
	})
	f.closeAll()
	serving.Wait()
	f.mu.Lock()
	sv := f.services
	f.mu.Unlock()
	if sv != nil {
		sv.close()
	}
	return err
}

// openWire is the gre.Opener of the fleet's own Mux: it adds a server's faults
// to the real wire.
func (f *Fleet) openWire(local netip.Addr, report func(gre.Unreachable)) (gre.Wire, error) {
	w, err := f.wires(local, report)
	if err != nil {
		return nil, err
	}
	i := f.byAddr[local]
	if s := f.nodes[i].Behaviour.Session; s.needsFaultyWire() {
		// Each visit loses other packets, otherwise a failed session would always fail.
		return startFaultyWire(w, s, f.seed^uint64(i)^f.visits[i].Load()<<32), nil
	}
	return w, nil
}

// innerServices returns the services inside the tunnels. The first packet of any session
// starts them.
func (f *Fleet) innerServices() *services {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.services == nil {
		f.services = startServices(f.sites, f.ports)
	}
	return f.services
}

// trackConn registers c to be closed at the end. It returns false if the fleet has
// ended.
func (f *Fleet) trackConn(c *conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return false
	}
	f.open[c] = struct{}{}
	return true
}

func (f *Fleet) untrackConn(c *conn) {
	f.mu.Lock()
	delete(f.open, c)
	f.mu.Unlock()
	c.Close()
}

func (f *Fleet) closeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	for c := range f.open {
		c.Close()
	}
}
