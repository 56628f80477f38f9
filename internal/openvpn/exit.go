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
	// revalidateEvery is how often it is asked whether connected clients may stay.
	revalidateEvery = 2 * time.Second
	// inspectEvery is how often it is looked whether the device is still closed.
	inspectEvery = 15 * time.Second
	// authorizeTimeout is how long an answer about a login may take.
	authorizeTimeout = 10 * time.Second
	// maxAuthorizing bounds the logins that are being asked about.
	maxAuthorizing = 8
	// leaseGrace is how long the address and the flows of a client wait for it to
	// come back.
	leaseGrace       = 2 * time.Minute
	defaultKeepalive = 30 * time.Second // the default of Config.Patience

	maxClients = 500

	firstBackoff = time.Second
	maxBackoff   = time.Minute
	stableAfter  = time.Minute // running for so long is a success
)

// Config is what an exit takes. All but Network, Together, CertAlone,
// PerClient, Total, Patience, Log and Seen is needed.
type Config struct {
	Device   int // its device is isolation.Name(Device)
	Programs Programs
	Dir      string // for sockets and records; openvpn's account has to reach it
	Identity Identity
	Listen   netip.AddrPort
	TCP      bool

	Network        netip.Prefix // of the clients; default DefaultNetwork, at most a /16 and at least a /28
	ClientToClient bool         // clients may reach each other

	// Authorize says whether a client may come in: an error refuses it, a *Denied
	// with words for it. It is called by several goroutines, with a deadline.
	Authorize func(context.Context, Login) error
	// Revalidate says whether a connected client may stay, every two seconds: an error
	// ends its connection. It must be quick.
	Revalidate func(Client) error
	// Allows says where clients may go: a network, tcp, udp or icmp, and an
	// address. It must be quick.
	Allows func(network string, to netip.AddrPort) bool
	// CertAlone also asks Authorize about clients that send no password.
	CertAlone bool

	PerClient, Total int // flows; 0: the defaults of package nat

	// KeepaliveTimeout is how long a client hears nothing before it looks for the server
	// again; 0: 30 seconds. Both sides send something every third of that.
	KeepaliveTimeout time.Duration

	// Log takes lines of openvpn, at most a few in a second. They name clients and
	// their addresses, and hold no secrets.
	Log func(line string)
	// OnEvent takes what happens. Neither may wait for the exit.
	OnEvent func(Event)
}

// Client is somebody who is connected.
type Client struct {
	Name     string // in its certificate
	Serial   string
	User     string // empty: it sent none
	From     netip.AddrPort
	Address  netip.Addr // inside
	Since    time.Time
	Version  string
	Platform string
	Up, Down uint64 // bytes of IP packets in this connection
	Flows    int    // as they stand

	cid string
}

// EventKind is what happened.
type EventKind string

// What happens to an exit.
const (
	Listening    EventKind = "listening"    // openvpn is up
	Stopped      EventKind = "stopped"      // it ended and will be started again: Err
	Connected    EventKind = "connected"    // Client
	Disconnected EventKind = "disconnected" // Client, with its last counts
	Refused      EventKind = "refused"      // Login, Err
	Orphan       EventKind = "orphan"       // one that was left of a panel that was killed was ended
)

// Event is something that happened to an exit.
type Event struct {
	Kind   EventKind
	Client Client
	Login  Login // its password is empty
	Err    error
	Retry  time.Duration // of Stopped: until the next start
}

// Exit is an OpenVPN server whose clients leave by a tunnel. Its methods are safe
// for concurrent use.
type Exit struct {
	cfg    Config
	bridge *bridge

	mu       sync.Mutex
	proc     *process
	sessions map[string]*session // by cid
	leases   map[netip.Addr]*lease
	names    map[string]netip.Addr // of leases
}

// session is a client that was let in.
type session struct {
	client       Client
	established  bool
	disconnected bool       // it is as good as gone
	baseline     nat.Counts // of its address, which it may have had before
}

// lease is an address that a name has.
type lease struct {
	name    string
	cid     string    // empty: the client is away
	freedAt time.Time // since
}

// New makes an exit that does nothing until it runs.
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

// Attach leads clients to a tunnel, until that is closed or Part. Without one their
// packets are dropped.
func (e *Exit) Attach(j *PacketMux) { e.bridge.attach(j) }

// Detach leads clients nowhere.
func (e *Exit) Detach() { e.bridge.detachAny() }

// Counts is what the exit moved since it was made.
func (e *Exit) Counts() nat.Counts { return e.bridge.nat.Counts() }

// Clients are those that are connected, by name.
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

// withCounts is the client of s with its counts. mu is held.
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

// Disconnect ends the connections of clients with a name: they connect again, if
// Authorize lets them.
func (e *Exit) Disconnect(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for cid, s := range e.sessions {
		if s.client.Name == name {
			e.disconnectClient(cid, s)
		}
	}
}

// disconnectClient cuts a client off, whatever openvpn does. mu is held.
func (e *Exit) disconnectClient(cid string, s *session) {
	if !s.disconnected {
		s.client = e.withCounts(s)
		s.disconnected = true
		e.bridge.nat.Expel(s.client.Address)
	}
	if e.proc != nil {
		_ = e.proc.management.killClient(cid) // it fails when openvpn ends, and the client with it
	}
}

// Run runs the exit until ctx is done, whatever ends in between. Then nothing of
// it is left but its device.
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

// dropAll lets nobody's packets through any more.
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
	defer cancel(nil) // before waiting

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

// socketOf is the path of a socket of device number n.
func socketOf(dir string, n int, kind string) string {
	return filepath.Join(dir, isolation.Name(n)+"."+kind)
}

func (e *Exit) setProcess(p *process) {
	e.mu.Lock()
	e.proc = p
	e.mu.Unlock()
}

// disconnectTimeout is how long openvpn has for telling its clients.
const disconnectTimeout = 300 * time.Millisecond

// disconnectAll lets clients look for the server again at once, and not when they
// have heard nothing for a while.
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

// endSessions notes that all clients are gone with their server.
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

// Revalidate asks about those who are connected, and forgets those who stay away.
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

// handleNotification takes a notification of openvpn.
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

// endSession ends a session; its address waits for the client. mu is held.
func (e *Exit) endSession(cid string, s *session) {
	delete(e.sessions, cid)
	if l := e.leases[s.client.Address]; l != nil && l.cid == cid {
		l.cid, l.freedAt = "", time.Now()
	}
}

// decideLogin asks whether a client may come in or stay, and answers openvpn. What
// cannot be told to openvpn ends the connection to it, and so everything.
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
	if login.Reauth { // openvpn would let it go on with the old keys for a while
		e.mu.Lock()
		if s := e.sessions[n.cid]; s != nil {
			e.disconnectClient(n.cid, s)
		}
		e.mu.Unlock()
	}
	e.cfg.OnEvent(Event{Kind: Refused, Login: login, Err: err})
}

// retryPrefix, before words, lets clients since 2.6 try again by themselves.
const retryPrefix = "TEMP[backoff 10]:"

// admitClient gives a client an address.
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
		// An address that leads nowhere, so that IPv6 is routed here and refused by
		// the client itself, instead of leaving beside the tunnel.
		`push "block-ipv6"`,
		fmt.Sprintf(`push "ifconfig-ipv6 %s/64 %s"`, innerIPv6(a), innerIPv6(firstHost(e.cfg.Network))),
	)
}

// innerIPv6 is an address of a network of its own (RFC 4193) with that of a
// client at its end.
func innerIPv6(a netip.Addr) netip.Addr {
	b := [16]byte{0xfd, 0x63, 0x78, 0x6f, 0x76, 0x70, 0x6e}
	four := a.As4()
	copy(b[12:], four[:])
	return netip.AddrFrom16(b)
}

// leaseFirst is the place of the first address for clients: those before are the
// gateway's.
const leaseFirst = 10

// leaseAddress takes an address for a name. It is the same one as long as nobody else
// has it, also after a restart: a client that got another would have to make its
// device anew, and what it sends at that moment would leave beside the tunnel.
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

// reclaimOldest takes the address of the client that has been away longest.
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
