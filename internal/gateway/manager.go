// Package gateway runs services: for each node with an enabled service it keeps a tunnel
// up and serves a proxy, and if wanted an OpenVPN exit, whose traffic can leave through
// the tunnel only.
//
// A service has a state of its own and never changes the status of its node.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/socks5"
)

const (
	// maxDialing is the number of concurrent dials.
	maxDialing = 16
	// startStagger is the delay between the starts of two services at the start of the panel.
	startStagger = 20 * time.Millisecond
	// reconcileEvery is the interval of comparing enabled with running services without a
	// wake-up.
	reconcileEvery = 30 * time.Second
	// sampleEvery is the interval of saving traffic.
	sampleEvery = 10 * time.Second
	// uplinkEvery is the interval of uplink checks while this host is offline.
	uplinkEvery = 2 * time.Second
	// revalidateEvery is the interval of checking whether clients may stay connected, without
	// a wake-up.
	revalidateEvery = 2 * time.Second
	saveTimeout     = 5 * time.Second
)

var (
	errUnwanted = errors.New("the service is not wanted any more")
	errShutdown = errors.New("the panel is shutting down")
)

// Manager runs the enabled services until its context ends.
type Manager struct {
	Config
	loginLimiter  *socks5.LoginLimiter
	dialSlots     chan struct{}
	changed       chan struct{}
	revalidateNow chan struct{} // holds a token when clients must be checked again
	outages       outageDetector

	mu      sync.Mutex
	runners map[int64]*startedRunner
	offline bool
	unsaved []connexa.Traffic // of closed proxies
	ended   chan struct{}     // holds a token when a service has ended
}

// startedRunner is a runner with its cancel function.
type startedRunner struct {
	*runner
	cancel context.CancelCauseFunc
}

// NewManager returns a Manager that runs no services yet.
func NewManager(cfg Config) *Manager {
	m := &Manager{
		Config: cfg, loginLimiter: socks5.NewLoginLimiter(), dialSlots: make(chan struct{}, maxDialing), changed: make(chan struct{}, 1), revalidateNow: make(chan struct{}, 1),
		runners: map[int64]*startedRunner{}, ended: make(chan struct{}, 1),
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

// Run runs the enabled services until ctx is done, then closes them and returns. The
// services stay enabled.
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
	var left []*startedRunner
	for _, g := range m.runners {
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

// Wake makes the manager compare enabled with running services now. It never blocks.
func (m *Manager) Wake() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// reconcile starts enabled services that do not run and stops the others.
func (m *Manager) reconcile(ctx context.Context) {
	list, err := m.Store.WantedServices(ctx)
	if err != nil {
		if ctx.Err() == nil {
			m.Log.Error("list the services", "err", err) // the next comparison retries
		}
		return
	}
	wanted := make(map[int64]bool, len(list))
	for _, s := range list {
		wanted[s.NodeID] = true
	}
	m.mu.Lock()
	for node, g := range m.runners {
		select {
		case <-g.done:
			delete(m.runners, node)
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

// startService starts a service, or updates the settings of a running one. A service
// that is ending is started by the comparison that follows its end.
func (m *Manager) startService(ctx context.Context, s connexa.Service, after time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g := m.runners[s.NodeID]; g != nil {
		g.setService(s)
		return
	}
	// The service closes its connections after ctx ends.
	run, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(errShutdown) })
	g := &startedRunner{&runner{
		manager: m, node: s.NodeID, service: s, changed: make(chan struct{}, 1), done: make(chan struct{}), startDelay: after,
		seen: connexa.ServiceReport{NodeID: s.NodeID, State: connexa.ServiceOff}, vpn: newVPN(), failureSent: s.Down,
	}, cancel}
	m.runners[s.NodeID] = g
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

// Stop ends the service of a node and waits for its end. The caller must have disabled
// the service before.
func (m *Manager) Stop(ctx context.Context, node int64) error {
	g := m.runnerOf(node)
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

// Retry makes a service start an attempt now with cleared failure counts.
func (m *Manager) Retry(node int64) {
	if g := m.runnerOf(node); g != nil {
		g.requestRetry()
	}
}

// Live returns the state of a service and the traffic of its proxy since the port was
// opened. It returns false if the service does not run.
func (m *Manager) Live(node int64) (connexa.ServiceReport, socks5.Counts, bool) {
	g := m.runnerOf(node)
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

// Tunnel returns the tunnel of a service for a measurement. It returns false if none is
// up. Closing the result does not close the tunnel.
func (m *Manager) Tunnel(node int64) (Tunnel, bool) {
	g := m.runnerOf(node)
	if g == nil {
		return nil, false
	}
	t := g.currentTunnel()
	if t == nil {
		return nil, false
	}
	return sharedTunnel{t}, true
}

// sharedTunnel is a tunnel that its user cannot close.
type sharedTunnel struct{ Tunnel }

// Close does nothing, because the runner owns the tunnel.
func (sharedTunnel) Close() error { return nil }

func (m *Manager) listRunners() []*runner {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]*runner, 0, len(m.runners))
	for _, g := range m.runners {
		list = append(list, g.runner)
	}
	return list
}

func (m *Manager) runnerOf(node int64) *startedRunner {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.runners[node]
}

// Name returns the name of the service of a node, or "" if none runs.
func (m *Manager) Name(node int64) string {
	if g := m.runnerOf(node); g != nil {
		return g.currentSpec().Name
	}
	return ""
}

// acquireDialSlot waits for a dial slot. It returns false if ctx ends first.
func (m *Manager) acquireDialSlot(ctx context.Context) bool {
	select {
	case m.dialSlots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (m *Manager) releaseDialSlot() { <-m.dialSlots }

// saveState saves and publishes the state of a service.
func (m *Manager) saveState(ctx context.Context, g connexa.ServiceReport) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	if err := m.Store.SaveServiceReport(ctx, g); err != nil {
		// The service of a deleted node has no row.
		if connexa.CodeOf(err) != connexa.NotFound {
			m.Log.Error("write the state of a service", "node", g.NodeID, "state", g.State, "err", err)
		}
		return
	}
	m.Publish(connexa.Event{Topic: connexa.ServiceChanged, ID: g.NodeID})
}

// flushTraffic keeps the traffic of a service for the next sample, before its counters
// are dropped.
func (m *Manager) flushTraffic(g *runner) {
	t, changed := g.sampleTraffic()
	if !changed {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unsaved = append(m.unsaved, t)
}

// saveTraffic saves the traffic of all services since the last sample.
func (m *Manager) saveTraffic(ctx context.Context) {
	m.mu.Lock()
	list := m.unsaved
	m.unsaved = nil
	for _, g := range m.runners {
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

// noteOffline records that this host has no uplink.
func (m *Manager) noteOffline() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.offline = true
}

// checkUplink makes every service start an attempt when this host is online again.
func (m *Manager) checkUplink() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.offline || !m.Online() {
		return
	}
	m.offline = false
	for _, g := range m.runners {
		g.noteUplinkBack()
	}
}
