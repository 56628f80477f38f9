package openvpn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
	"github.com/connexa-panel/connexa/internal/openvpn/nat"
)

const (
	// revalidateEvery is the interval of checking whether connected clients may stay.
	revalidateEvery = 2 * time.Second
	// inspectEvery is the interval of checking whether the device is still isolated.
	inspectEvery = 15 * time.Second
	// authorizeTimeout is the time limit of Config.Authorize.
	authorizeTimeout = 10 * time.Second
	// maxAuthorizing is the number of concurrent Authorize calls.
	maxAuthorizing = 8
	// leaseGrace is how long a disconnected client keeps its address and flows.
	leaseGrace       = 2 * time.Minute
	defaultKeepalive = 30 * time.Second // default of Config.KeepaliveTimeout

	maxClients = 500

	firstBackoff = time.Second
	maxBackoff   = time.Minute
	stableAfter  = time.Minute // a run of this length resets the backoff
)

// Config holds the settings of an exit. Network, ClientToClient, CertAlone, PerClient,
// Total, KeepaliveTimeout, Log and OnEvent are optional.
type Config struct {
	Device   int // number of the device isolation.Name(Device)
	Programs Programs
	Dir      string // for sockets and records; openvpn's account needs access
	Identity Identity
	Listen   netip.AddrPort
	TCP      bool

	Network        netip.Prefix // of clients; defaults to DefaultNetwork; /16 to /28
	ClientToClient bool         // clients may reach each other

	// Authorize decides on a login: an error refuses it, a *Denied with a message for the
	// client. It is called concurrently, with a deadline.
	Authorize func(context.Context, Login) error
	// Revalidate decides every two seconds whether a connected client may stay. An error ends
	// its connection. It must be quick.
	Revalidate func(Client) error
	// Allows decides on destinations of clients: a network (tcp, udp or icmp) and an address.
	// It must be quick.
	Allows func(network string, to netip.AddrPort) bool
	// CertAlone calls Authorize also for clients that send no password.
	CertAlone bool

	PerClient, Total int // numbers of flows; 0 takes the defaults of package nat

	// KeepaliveTimeout is the silence after which a client reconnects. Both sides send a
	// packet every third of it. Defaults to 30 seconds.
	KeepaliveTimeout time.Duration

	// Log receives log lines of openvpn, a few per second at most. They contain the names and
	// addresses of clients, but no secrets. Optional.
	Log func(line string)
	// OnEvent receives the events of the exit. Log and OnEvent must not wait for the exit.
	// Optional.
	OnEvent func(Event)
}

// EventKind is the kind of an Event.
type EventKind string

// Kinds of events, with the fields that they set.
const (
	Listening    EventKind = "listening"    // openvpn is ready
	Stopped      EventKind = "stopped"      // openvpn ended and will restart: Err, Retry
	Connected    EventKind = "connected"    // Client
	Disconnected EventKind = "disconnected" // Client, with its last counts
	Refused      EventKind = "refused"      // Login, Err
	Orphan       EventKind = "orphan"       // an openvpn of a killed panel was ended
)

// Event is an event of an exit.
type Event struct {
	Kind   EventKind
	Client Client
	Login  Login // without the password
	Err    error
	Retry  time.Duration // wait before the restart
}

// Exit is an OpenVPN server whose clients use a tunnel. Its methods are safe for
// concurrent use.
type Exit struct {
	cfg    Config
	bridge *bridge

	mu       sync.Mutex
	proc     *process
	sessions map[string]*session // by client id
	leases   map[netip.Addr]*lease
	names    map[string]netip.Addr // addresses by client name
}

// New returns an exit that does not run yet.
func New(cfg Config) (*Exit, error) {
	if cfg.Network == (netip.Prefix{}) {
		cfg.Network = DefaultNetwork
	}
	cfg.Network = cfg.Network.Masked()
	if cfg.KeepaliveTimeout <= 0 {
		cfg.KeepaliveTimeout = defaultKeepalive
	}
	switch {
	case !cfg.Network.Addr().Is4() || cfg.Network.Bits() < 16 || cfg.Network.Bits() > 28:
		return nil, fmt.Errorf("openvpn: %s is no IPv4 network between /16 and /28", cfg.Network)
	case cfg.Device < 0 || cfg.Device >= isolation.Most:
		return nil, fmt.Errorf("openvpn: there is no device number %d", cfg.Device)
	case !cfg.Listen.IsValid() || cfg.Listen.Port() < 1024:
		return nil, fmt.Errorf("openvpn: an exit without rights cannot listen on %s", cfg.Listen)
	case cfg.Authorize == nil || cfg.Revalidate == nil || cfg.Allows == nil:
		return nil, errors.New("openvpn: nobody decides who may come in, and go where")
	}
	if err := cfg.Identity.validate(); err != nil {
		return nil, fmt.Errorf("openvpn: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	if cfg.OnEvent == nil {
		cfg.OnEvent = func(Event) {}
	}
	return &Exit{
		cfg: cfg, sessions: map[string]*session{}, leases: map[netip.Addr]*lease{}, names: map[string]netip.Addr{},
		bridge: &bridge{nat: nat.New(nat.Config{
			Network: cfg.Network, Allows: cfg.Allows, ClientToClient: cfg.ClientToClient, PerClient: cfg.PerClient, Total: cfg.Total,
		})},
	}, nil
}

// Attach connects clients to a tunnel until the tunnel closes or Detach is called.
// Without a tunnel their packets are dropped.
func (e *Exit) Attach(j *PacketMux) { e.bridge.attach(j) }

// Detach disconnects clients from the tunnel.
func (e *Exit) Detach() { e.bridge.detachAny() }

// Counts returns the traffic of the exit since New.
func (e *Exit) Counts() nat.Counts { return e.bridge.nat.Counts() }

// Run runs the exit until ctx is done and restarts openvpn when it ends. After that only
// the device is left.
func (e *Exit) Run(ctx context.Context) error {
	defer e.dropAll()
	wait := firstBackoff
	for {
		began := time.Now()
		err := e.runOnce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > stableAfter {
			wait = firstBackoff
		}
		pause := wait/2 + rand.N(wait/2+1)
		e.cfg.OnEvent(Event{Kind: Stopped, Err: err, Retry: pause})
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
		wait = min(wait*2, maxBackoff)
	}
}

// dropAll blocks the packets of all clients.
func (e *Exit) dropAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for a := range e.leases {
		e.bridge.nat.Expel(a)
	}
	clear(e.leases)
	clear(e.names)
	clear(e.sessions)
}

// runOnce runs openvpn once.
func (e *Exit) runOnce(ctx context.Context) (err error) {
	if err := os.MkdirAll(e.cfg.Dir, 0o711); err != nil { //nolint:gosec // openvpn's account passes through
		return fmt.Errorf("make a folder for openvpn: %w", err)
	}
	name := isolation.Name(e.cfg.Device)
	record := filepath.Join(e.cfg.Dir, name+".pid")
	was, err := endOrphan(ctx, record)
	if err != nil {
		return err
	}
	if was {
		e.cfg.OnEvent(Event{Kind: Orphan})
	}
	dev, uid, err := openDevice(e.cfg.Device, e.cfg.Programs, e.cfg.Dir)
	if err != nil {
		return err
	}
	defer dev.close()
	running, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel(nil) // before work.Wait

	socket := socketOf(e.cfg.Dir, e.cfg.Device, "sock")
	defer os.Remove(socket)
	p, err := e.startServer(ctx, dev, uid, socket, record)
	if err != nil {
		return err
	}
	e.setProcess(p)
	defer func() {
		e.disconnectAll(p)
		e.setProcess(nil)
		p.stop()
		e.endSessions()
	}()
	port, err := dev.openConn(ctx, p)
	if err != nil {
		if errors.As(err, new(*blockingError)) {
			e.cfg.Programs.Helper = ""
		}
		return err
	}
	work.Go(func() { cancel(fmt.Errorf("the port of %s: %w", name, e.bridge.relayOutbound(running, port))) })
	places := make(chan struct{}, maxAuthorizing)
	asking, stopAsking := context.WithCancel(ctx)
	defer stopAsking()
	work.Go(func() {
		cancel(p.management.run(running, func(n notification) { e.handleNotification(asking, p, n, places, &work) }, func() { e.cfg.OnEvent(Event{Kind: Listening}) }, e.cfg.Log))
	})
	return e.awaitEnd(ctx, running, dev, p)
}

// startServer starts openvpn on a device, with the account uid.
func (e *Exit) startServer(ctx context.Context, dev device, uid uint32, socket, record string) (*process, error) {
	opts := serverOptions{
		Identity: e.cfg.Identity, device: isolation.Name(e.cfg.Device), management: socket, listen: e.cfg.Listen, tcp: e.cfg.TCP,
		network: e.cfg.Network, certAlone: e.cfg.CertAlone, clients: min(maxClients, 1<<(32-e.cfg.Network.Bits())-leaseFirst-2),
		keepaliveTimeout: int(e.cfg.KeepaliveTimeout / time.Second),
	}
	dev.setOptions(&opts)
	return startProcess(ctx, openvpnCommand(e.cfg.Programs, uid, groupOf(uid)), opts.renderConfig(), socket, record, e.cfg.Log)
}

// awaitEnd revalidates clients and checks the device until the exit ends, and returns why.
func (e *Exit) awaitEnd(ctx, running context.Context, dev device, p *process) error {
	tick := time.NewTicker(revalidateEvery)
	defer tick.Stop()
	inspect := time.NewTicker(inspectEvery)
	defer inspect.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-inspect.C:
			if err := dev.checkClosed(); err != nil {
				return err
			}
		case <-running.Done():
			return context.Cause(running)
		case <-p.done:
			if p.err != nil {
				return fmt.Errorf("openvpn ended: %w", p.err)
			}
			return errors.New("openvpn ended by itself")
		case <-tick.C:
			e.Revalidate()
		}
	}
}

// socketOf returns the path of a socket of device number n.
func socketOf(dir string, n int, kind string) string {
	return filepath.Join(dir, isolation.Name(n)+"."+kind)
}

func (e *Exit) setProcess(p *process) {
	e.mu.Lock()
	e.proc = p
	e.mu.Unlock()
}
