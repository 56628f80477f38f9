// Package gateway keeps the gateways of nodes running: for each that is wanted a
// tunnel, and a proxy whose traffic has no other way out than the tunnel.
//
// A gateway never writes a node's status. What it does is told by its own state.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/socks5"
)

const (
	// maxDialing is how many sessions are dialed at once.
	maxDialing = 16
	// startStagger is between the starts of two gateways when the panel starts.
	startStagger = 20 * time.Millisecond
	// reconcileEvery is how often wanted is compared with seen though nobody asked.
	reconcileEvery = 30 * time.Second
	// sampleEvery is how often traffic is written down.
	sampleEvery = 10 * time.Second
	// uplinkEvery is how often an offline machine is looked at.
	uplinkEvery = 2 * time.Second
	// revalidateEvery is how often it is asked whether clients may stay though nobody
	// lost anything.
	revalidateEvery = 2 * time.Second
	saveTimeout     = 5 * time.Second
)

// Store keeps what is wanted and what is seen.
type Store interface {
	// WantedServices lists the services that ought to run.
	WantedServices(ctx context.Context) ([]connexa.Service, error)
	// SaveServiceReport writes what is seen of a gateway, and a change of its state into
	// the history of its node.
	SaveServiceReport(ctx context.Context, g connexa.ServiceReport) error
	// SampleServices adds what gateways moved to their counters, and notes that
	// those that are online were at that time.
	SampleServices(ctx context.Context, at time.Time, list []connexa.Traffic) error
	// RecordServiceEvent writes something that happened to a gateway into the history of its
	// node, with lines that bear it out.
	RecordServiceEvent(ctx context.Context, node int64, what connexa.Text, lines []string) error
}

// Config is what a Manager works with. Store, Publish and Log are needed.
type Config struct {
	Store   Store
	Publish func(connexa.Event)  // after a change was written; never blocks
	Notify  func(connexa.Notice) // likewise; nil: nobody is told
	Log     *slog.Logger
	Locks   *SessionLocks // shared with the probes; nil: nobody else has sessions

	// Session is how every session is dialed, but for whom; Encryption is the
	// policy of services that have none of their own (nil: preferred).
	Session    pptp.Config
	Encryption func() connexa.EncryptionPolicy
	// Locals are the local addresses to dial from. A server takes one session from
	// each. None: one, which the routes choose.
	Locals []netip.Addr
	// Dial opens a tunnel; nil: Dial of this package with Session.
	Dial func(ctx context.Context, s connexa.Service, local netip.Addr) (Tunnel, error)
	// Listen opens the port of a proxy; nil: TCP.
	Listen func(ctx context.Context, at netip.AddrPort) (net.Listener, error)

	// Online says whether this machine has any way to the outside; nil: always.
	Online func() bool
	// Targets are asked whether there is internet behind a tunnel. Fewer than two
	// prove nothing, and are not asked. nil: public ones.
	Targets func() []netip.AddrPort
	// Exit asks for the address that the world sees; nil: it is not known.
	Exit func(ctx context.Context, t Tunnel) (netip.Addr, error)

	// Login checks the access users that may use a service; nil: there are none. It
	// must not wait.
	Login func(s connexa.Service, user, password string, from netip.Addr) (socks5.Client, bool)
	// AllowAll lets private networks and TCP port 25 through every service, whatever
	// it says itself: behind a simulated fleet there is nobody to harm.
	AllowAll bool
	// VPN is for OpenVPN exits; nil: there are none.
	VPN *VPN

	Limits    socks5.Limits     // of each proxy
	ConnLimit *socks5.ConnLimit // of all of them; nil: none
}

var (
	errUnwanted = errors.New("the service is not wanted any more")
	errShutdown = errors.New("the panel is shutting down")
)

// Manager keeps gateways running until its context ends.
type Manager struct {
	Config
	loginLimiter  *socks5.LoginLimiter
	dialSlots     chan struct{}
	changed       chan struct{}
	revalidateNow chan struct{} // holds a token when clients are to be reviewed
	outages       outageDetector

	mu       sync.Mutex
	gateways map[int64]*running
	offline  bool
	unsaved  []connexa.Traffic // of proxies that have closed
	ended    chan struct{}     // holds a token when a gateway has ended
}

// running is a gateway with what ends it.
type running struct {
	*gateway
	cancel context.CancelCauseFunc
}

// NewManager returns a Manager that runs nothing yet.
func NewManager(cfg Config) *Manager {
	m := &Manager{
		Config: cfg, loginLimiter: socks5.NewLoginLimiter(), dialSlots: make(chan struct{}, maxDialing), changed: make(chan struct{}, 1), revalidateNow: make(chan struct{}, 1),
		gateways: map[int64]*running{}, ended: make(chan struct{}, 1),
	}
	if m.Locks == nil {
		m.Locks = NewSessionLocks()
	}
	if m.Listen == nil {
		m.Listen = listenTCP
	}
	if m.Online == nil {
		m.Online = func() bool { return true }
	}
	if m.Dial == nil {
		m.Dial = m.dialSession
	}
	return m
}

func (m *Manager) dialSession(ctx context.Context, s connexa.Service, local netip.Addr) (Tunnel, error) {
	if s.Encryption == connexa.EncryptionDefault {
		s.Encryption = connexa.EncryptionPreferred
		if m.Encryption != nil {
			s.Encryption = m.Encryption()
		}
	}
	base := m.Session
	base.OnAddress = func(at netip.Addr) error { return m.Locks.LockAddress(local, s.Address, at) }
	return Dial(ctx, base, s, local)
}

// Run keeps the wanted gateways running until ctx is done, then closes them all
// and returns when nothing of them is left. What is wanted stays wanted.
func (m *Manager) Run(ctx context.Context) error {
	m.endOrphans(ctx)
	defer m.removeTable()
	list, err := m.Store.WantedServices(ctx)
	if err != nil {
		return fmt.Errorf("list the services: %w", err)
	}
	for i, s := range list {
		m.startService(ctx, s, time.Duration(i)*startStagger)
	}
	var reviews sync.WaitGroup
	reviews.Go(func() { m.runRevalidation(ctx) })
	defer reviews.Wait()
	m.runLoop(ctx)
	m.mu.Lock()
	var left []*running
	for _, g := range m.gateways {
		g.cancel(errShutdown)
		left = append(left, g)
	}
	m.mu.Unlock()
	for _, g := range left {
		<-g.done
	}
	m.saveTraffic(ctx)
	return nil
}

func (m *Manager) runLoop(ctx context.Context) {
	compare, sample, uplink := time.NewTicker(reconcileEvery), time.NewTicker(sampleEvery), time.NewTicker(uplinkEvery)
	defer compare.Stop()
	defer sample.Stop()
	defer uplink.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.changed:
			m.reconcile(ctx)
		case <-m.ended:
			m.reconcile(ctx)
		case <-compare.C:
			m.reconcile(ctx)
		case <-sample.C:
			m.saveTraffic(ctx)
		case <-uplink.C:
			m.checkUplink()
		}
	}
}

// Wake makes the manager compare what is wanted with what runs, at once. It never
// blocks.
func (m *Manager) Wake() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// reconcile starts what is wanted and does not run, and stops what runs and is not
// wanted.
func (m *Manager) reconcile(ctx context.Context) {
	list, err := m.Store.WantedServices(ctx)
	if err != nil {
		if ctx.Err() == nil {
			m.Log.Error("list the services", "err", err) // the next look will do
		}
		return
	}
	wanted := make(map[int64]bool, len(list))
	for _, s := range list {
		wanted[s.NodeID] = true
	}
	m.mu.Lock()
	for node, g := range m.gateways {
		select {
		case <-g.done:
			delete(m.gateways, node)
		default:
			if !wanted[node] {
				g.cancel(errUnwanted)
			}
		}
	}
	m.mu.Unlock()
	for _, s := range list {
		m.startService(ctx, s, 0)
	}
}

// startService starts the gateway of a service, or tells the one that runs what the
// service is now. One that is about to end is looked at again when it has.
func (m *Manager) startService(ctx context.Context, s connexa.Service, after time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g := m.gateways[s.NodeID]; g != nil {
		g.setService(s)
		return
	}
	// The gateway outlives ctx by what it takes to close it.
	run, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(errShutdown) })
	g := &running{&gateway{
		manager: m, node: s.NodeID, service: s, changed: make(chan struct{}, 1), done: make(chan struct{}), startDelay: after,
		seen: connexa.ServiceReport{NodeID: s.NodeID, State: connexa.ServiceOff}, vpn: newVPN(), failureSent: s.Down,
	}, cancel}
	m.gateways[s.NodeID] = g
	go func() {
		g.run(run)
		stop()
		cancel(errShutdown)
		select {
		case m.ended <- struct{}{}:
		default:
		}
	}()
}

// Stop ends the gateway of a node and returns when nothing of it is left. Whoever
// calls it has made sure that it is not wanted any more.
func (m *Manager) Stop(ctx context.Context, node int64) error {
	g := m.gatewayOf(node)
	if g == nil {
		return nil
	}
	g.cancel(errUnwanted)
	select {
	case <-g.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the service of node %d: %w", node, ctx.Err())
	}
}

// Retry makes the gateway of a node try again now, as if it had never failed.
func (m *Manager) Retry(node int64) {
	if g := m.gatewayOf(node); g != nil {
		g.requestRetry()
	}
}

// Live is what is seen of the gateway of a node, with what its proxy has moved
// since it began to listen; false: none runs.
func (m *Manager) Live(node int64) (connexa.ServiceReport, socks5.Counts, bool) {
	g := m.gatewayOf(node)
	if g == nil {
		return connexa.ServiceReport{}, socks5.Counts{}, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var c socks5.Counts
	if g.proxy != nil {
		c = g.proxy.Counts()
	}
	return g.seen, c, true
}

// Tunnel is the tunnel of the gateway of a node, to measure through; false: none
// is up. Only the gateway closes it.
func (m *Manager) Tunnel(node int64) (Tunnel, bool) {
	g := m.gatewayOf(node)
	if g == nil {
		return nil, false
	}
	t := g.currentTunnel()
	if t == nil {
		return nil, false
	}
	return sharedTunnel{t}, true
}

// sharedTunnel is a tunnel that whoever measures through it cannot close.
type sharedTunnel struct{ Tunnel }

// Close does nothing: the tunnel is the gateway's.
func (sharedTunnel) Close() error { return nil }

// Revalidate ends the connections of access users that may not stay, at every service.
// It never blocks.
func (m *Manager) Revalidate() {
	select {
	case m.revalidateNow <- struct{}{}:
	default:
	}
}

// runRevalidation ends connections as they are to be until ctx is done. It has a goroutine
// of its own: the others wait for the store at times.
func (m *Manager) runRevalidation(ctx context.Context) {
	tick := time.NewTicker(revalidateEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.revalidateNow:
			m.revalidateExits()
		case <-tick.C: // OpenVPN exits ask by themselves
		}
		m.revalidateProxies()
	}
}

func (m *Manager) revalidateProxies() {
	for _, g := range m.listGateways() {
		g.mu.Lock()
		server := g.proxy
		g.mu.Unlock()
		if server != nil {
			server.Revalidate()
		}
	}
}

func (m *Manager) listGateways() []*gateway {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]*gateway, 0, len(m.gateways))
	for _, g := range m.gateways {
		list = append(list, g.gateway)
	}
	return list
}

func (m *Manager) gatewayOf(node int64) *running {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gateways[node]
}

// Name is the name of the service of a node; empty: none runs.
func (m *Manager) Name(node int64) string {
	if g := m.gatewayOf(node); g != nil {
		return g.currentSpec().Name
	}
	return ""
}

// acquireDialSlot waits for the right to dial; false says that the gateway is to end.
func (m *Manager) acquireDialSlot(ctx context.Context) bool {
	select {
	case m.dialSlots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (m *Manager) releaseDialSlot() { <-m.dialSlots }

// saveState writes what is seen of a gateway and tells about it.
func (m *Manager) saveState(ctx context.Context, g connexa.ServiceReport) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	if err := m.Store.SaveServiceReport(ctx, g); err != nil {
		// A node that was deleted has no gateway to write about.
		if connexa.CodeOf(err) != connexa.NotFound {
			m.Log.Error("write the state of a service", "node", g.NodeID, "state", g.State, "err", err)
		}
		return
	}
	m.Publish(connexa.Event{Topic: connexa.ServiceChanged, ID: g.NodeID})
}

// flushTraffic keeps what a proxy moved for the next sample: its counters are about to
// end.
func (m *Manager) flushTraffic(g *gateway) {
	t, changed := g.sampleTraffic()
	if !changed {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unsaved = append(m.unsaved, t)
}

// saveTraffic writes down what the proxies moved.
func (m *Manager) saveTraffic(ctx context.Context) {
	m.mu.Lock()
	list := m.unsaved
	m.unsaved = nil
	for _, g := range m.gateways {
		if t, changed := g.sampleTraffic(); changed {
			list = append(list, t)
		}
	}
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	if err := m.Store.SampleServices(ctx, time.Now(), list); err != nil {
		m.Log.Error("write the traffic of services", "err", err)
		return
	}
	for _, t := range list {
		m.Publish(connexa.Event{Topic: connexa.ServiceChanged, ID: t.NodeID})
	}
}

// noteOffline notes that this machine has no way to the outside.
func (m *Manager) noteOffline() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.offline = true
}

// checkUplink makes every gateway try at once when this machine is online again.
func (m *Manager) checkUplink() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.offline || !m.Online() {
		return
	}
	m.offline = false
	for _, g := range m.gateways {
		g.noteUplinkBack()
	}
}
