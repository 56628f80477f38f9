package openvpn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// Client is a connected client.
type Client struct {
	Name     string // common name of the certificate
	Serial   string
	User     string // empty if it sent none
	From     netip.AddrPort
	Address  netip.Addr // inside the VPN
	Since    time.Time
	Version  string
	Platform string
	Up, Down uint64 // bytes of IP packets in this connection
	Flows    int    // current number

	cid string
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

// session is an admitted client.
type session struct {
	client       Client
	established  bool
	disconnected bool       // its end is requested
	baseline     nat.Counts // counts of its address before this session
}

// lease is the address of a client name.
type lease struct {
	name    string
	cid     string    // empty if the client is disconnected
	freedAt time.Time // when the client disconnected
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

// Clients returns the connected clients, ordered by name.
func (e *Exit) Clients() []Client {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []Client
	for _, s := range e.sessions {
		if s.established && !s.disconnected {
			list = append(list, e.withCounts(s))
		}
	}
	slices.SortFunc(list, func(a, b Client) int { return strings.Compare(a.Name+a.cid, b.Name+b.cid) })
	return list
}

// withCounts returns the client of s with its current counts. mu is held.
func (e *Exit) withCounts(s *session) Client {
	c := s.client
	if s.disconnected {
		return c
	}
	now, ok := e.bridge.nat.Client(c.Address)
	if ok && now.Up >= s.baseline.Up && now.Down >= s.baseline.Down {
		c.Up, c.Down, c.Flows = now.Up-s.baseline.Up, now.Down-s.baseline.Down, now.Flows
	}
	return c
}

// Disconnect ends the connections of a client name. The client may reconnect if Authorize
// allows it.
func (e *Exit) Disconnect(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for cid, s := range e.sessions {
		if s.client.Name == name {
			e.disconnectClient(cid, s)
		}
	}
}

// disconnectClient stops a client's packets at once and asks openvpn to end its
// connection. mu is held.
func (e *Exit) disconnectClient(cid string, s *session) {
	if !s.disconnected {
		s.client = e.withCounts(s)
		s.disconnected = true
		e.bridge.nat.Expel(s.client.Address)
	}
	if e.proc != nil {
		_ = e.proc.management.killClient(cid) // fails only if openvpn ends, which ends the client as well
	}
}

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
	opts := serverOptions{
		Identity: e.cfg.Identity, device: name, management: socket, listen: e.cfg.Listen, tcp: e.cfg.TCP,
		network: e.cfg.Network, certAlone: e.cfg.CertAlone, clients: min(maxClients, 1<<(32-e.cfg.Network.Bits())-leaseFirst-2),
		keepaliveTimeout: int(e.cfg.KeepaliveTimeout / time.Second),
	}
	dev.setOptions(&opts)
	p, err := startProcess(ctx, openvpnCommand(e.cfg.Programs, uid, groupOf(uid)), opts.renderConfig(), socket, record, e.cfg.Log)
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
	tick := time.NewTicker(revalidateEvery)
	defer tick.Stop()
	look := time.NewTicker(inspectEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
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

// disconnectTimeout is how long openvpn may take to inform its clients.
const disconnectTimeout = 300 * time.Millisecond

// disconnectAll asks openvpn to inform all clients, so that they reconnect at once and not
// after the keepalive timeout.
func (e *Exit) disconnectAll(p *process) {
	e.mu.Lock()
	n := 0
	for cid, s := range e.sessions {
		if s.established {
			_ = p.management.killClient(cid)
			n++
		}
	}
	e.mu.Unlock()
	if n == 0 {
		return
	}
	t := time.NewTimer(disconnectTimeout)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
	}
}

// endSessions ends all sessions after the end of openvpn.
func (e *Exit) endSessions() {
	e.mu.Lock()
	var gone []Client
	for cid, s := range e.sessions {
		if s.established {
			gone = append(gone, e.withCounts(s))
		}
		e.endSession(cid, s)
	}
	e.mu.Unlock()
	for _, c := range gone {
		e.cfg.OnEvent(Event{Kind: Disconnected, Client: c})
	}
}

// Revalidate checks the connected clients and releases addresses whose grace is over.
func (e *Exit) Revalidate() {
	for _, c := range e.Clients() {
		if err := e.cfg.Revalidate(c); err != nil {
			e.mu.Lock()
			if s := e.sessions[c.cid]; s != nil {
				e.disconnectClient(c.cid, s)
			}
			e.mu.Unlock()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for a, l := range e.leases {
		if l.cid == "" && time.Since(l.freedAt) > leaseGrace {
			e.releaseAddress(a)
		}
	}
}

// releaseAddress ends the lease of an address. mu is held.
func (e *Exit) releaseAddress(a netip.Addr) {
	e.bridge.nat.Expel(a)
	delete(e.names, e.leases[a].name)
	delete(e.leases, a)
}

// handleNotification handles a notification of openvpn.
func (e *Exit) handleNotification(ctx context.Context, p *process, n notification, places chan struct{}, work *sync.WaitGroup) {
	switch n.kind {
	case "CONNECT", "REAUTH":
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		work.Go(func() {
			defer func() { <-places }()
			e.decideLogin(ctx, p, n)
		})
	case "ESTABLISHED":
		e.mu.Lock()
		s := e.sessions[n.cid]
		var c Client
		if s != nil {
			s.established = true
			c = e.withCounts(s)
		}
		e.mu.Unlock()
		if s != nil {
			e.cfg.OnEvent(Event{Kind: Connected, Client: c})
		}
	case "DISCONNECT":
		e.mu.Lock()
		s := e.sessions[n.cid]
		var c Client
		if s != nil {
			c = e.withCounts(s)
			e.endSession(n.cid, s)
		}
		e.mu.Unlock()
		if s != nil && s.established {
			e.cfg.OnEvent(Event{Kind: Disconnected, Client: c})
		}
	}
}

// endSession ends a session. Its address stays leased. mu is held.
func (e *Exit) endSession(cid string, s *session) {
	delete(e.sessions, cid)
	if l := e.leases[s.client.Address]; l != nil && l.cid == cid {
		l.cid, l.freedAt = "", time.Now()
	}
}

// decideLogin calls Authorize and answers openvpn. A failed answer ends the management
// connection, and with it openvpn.
func (e *Exit) decideLogin(ctx context.Context, p *process, n notification) {
	login := n.parseLogin()
	asking, done := context.WithTimeout(ctx, authorizeTimeout)
	err := e.cfg.Authorize(asking, login)
	done()
	if ctx.Err() != nil {
		return // the exit ends
	}
	login.Password = ""
	if err == nil && !login.Reauth {
		err = e.admitClient(p, n, login)
	} else if err == nil {
		_ = p.management.acceptReauth(n)
	}
	if err == nil {
		return
	}
	words := retryPrefix + "This exit cannot check logins at the moment."
	if no, ok := errors.AsType[*Denied](err); ok {
		words = no.Message
	}
	_ = p.management.denyClient(n, words)
	if login.Reauth { // openvpn would keep the old keys for a while
		e.mu.Lock()
		if s := e.sessions[n.cid]; s != nil {
			e.disconnectClient(n.cid, s)
		}
		e.mu.Unlock()
	}
	e.cfg.OnEvent(Event{Kind: Refused, Login: login, Err: err})
}

// retryPrefix before a message makes clients since 2.6 retry by themselves.
const retryPrefix = "TEMP[backoff 10]:"

// admitClient leases an address and admits the client.
func (e *Exit) admitClient(p *process, n notification, login Login) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	a, ok := e.leaseAddress(login.Name, n.cid)
	if !ok {
		return &Denied{Message: retryPrefix + "This exit is full."}
	}
	e.bridge.nat.Admit(a)
	began, _ := e.bridge.nat.Client(a)
	e.sessions[n.cid] = &session{baseline: began, client: Client{
		Name: login.Name, Serial: login.Serial, User: login.User, From: login.From, Address: a, Since: time.Now(),
		Version: login.Version, Platform: login.Platform, cid: n.cid,
	}}
	dns := e.bridge.nat.DNS()
	return p.management.admitClient(n,
		fmt.Sprintf("ifconfig-push %s %s", a, netmask(e.cfg.Network)),
		fmt.Sprintf(`push "dhcp-option DNS %s"`, dns[0]), fmt.Sprintf(`push "dhcp-option DNS %s"`, dns[1]),
		`push "redirect-gateway def1 ipv6"`,
		// The address leads nowhere. It routes IPv6 into the tunnel, where the client itself
		// rejects it instead of sending it outside the tunnel.
		`push "block-ipv6"`,
		fmt.Sprintf(`push "ifconfig-ipv6 %s/64 %s"`, innerIPv6(a), innerIPv6(firstHost(e.cfg.Network))),
	)
}

// innerIPv6 returns a unique local address (RFC 4193) that ends with the client's IPv4
// address.
func innerIPv6(a netip.Addr) netip.Addr {
	b := [16]byte{0xfd, 0x63, 0x78, 0x6f, 0x76, 0x70, 0x6e}
	four := a.As4()
	copy(b[12:], four[:])
	return netip.AddrFrom16(b)
}

// leaseFirst is the offset of the first address for clients. The gateway uses the ones
// before.
const leaseFirst = 10

// leaseAddress leases an address for a client name. A name keeps its address as long as no
// other name takes it, also after a restart: with another address a client would recreate
// its device, and traffic in that moment would leave outside the tunnel.
func (e *Exit) leaseAddress(name, cid string) (netip.Addr, bool) {
	if a, has := e.names[name]; has {
		e.leases[a].cid = cid
		return a, true
	}
	room := uint32(1)<<(32-e.cfg.Network.Bits()) - leaseFirst - 1
	h := uint32(2166136261) // FNV-1a
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	var free netip.Addr
	for i := range room {
		if a := offsetAddr(e.cfg.Network.Addr(), leaseFirst+(h%room+i)%room); e.leases[a] == nil {
			free = a
			break
		}
	}
	if !free.IsValid() {
		free = e.reclaimOldest()
	}
	if !free.IsValid() {
		return free, false
	}
	e.leases[free], e.names[name] = &lease{name: name, cid: cid}, free
	return free, true
}

// reclaimOldest releases and returns the address of the client that has been disconnected
// longest.
func (e *Exit) reclaimOldest() netip.Addr {
	var at netip.Addr
	for a, l := range e.leases {
		if l.cid == "" && (!at.IsValid() || l.freedAt.Before(e.leases[at].freedAt)) {
			at = a
		}
	}
	if at.IsValid() {
		e.releaseAddress(at)
	}
	return at
}

func offsetAddr(a netip.Addr, n uint32) netip.Addr {
	b := a.As4()
	v := (uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])) + n
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}
