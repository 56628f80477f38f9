package gateway

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/openvpn"
	"github.com/connexa-panel/connexa/internal/openvpn/pki"
)

const (
	// exitRetryEvery is the interval of attempts to start an exit while this host lacks
	// something for it.
	exitRetryEvery = time.Minute
	// keptLines is the number of openvpn log lines that a page shows.
	keptLines = 30
	// linesBurst and linesEvery limit the lines that an exit adds to the history, so that a
	// client that reconnects all the time does not displace everything else.
	linesBurst = 20
	linesEvery = 15 * time.Second
	linesQueue = 64
)

// VPN holds the settings of all OpenVPN exits.
type VPN struct {
	// Dir holds sockets and records. The account of openvpn must have access to it.
	Dir string
	// Authorize and Revalidate are those of openvpn.Config, for the exit of a service.
	Authorize  func(ctx context.Context, s connexa.Service, l openvpn.Login) error
	Revalidate func(s connexa.Service, c openvpn.Client) error
	// OnDisconnect is called with the last counts of a client after its end. Optional.
	OnDisconnect func(s connexa.Service, c openvpn.Client)
	// Title returns what the client with a certificate is called. Defaults to its name.
	Title func(name, serial string) string
	// Find returns the programs. Defaults to openvpn.FindPrograms.
	Find func(ctx context.Context) (openvpn.Programs, error)
}

func (v *VPN) clientTitle(name, serial string) string {
	if v.Title == nil {
		return name
	}
	return v.Title(name, serial)
}

// vpn is the OpenVPN exit of a service. It runs as long as the service does, with or
// without a tunnel.
type vpn struct {
	changed chan struct{} // holds a token when the service may want another exit
	lines   chan historyLine

	// Guarded by runner.mu.
	exit    *openvpn.Exit // nil if none runs
	seen    connexa.VPNSeen
	sampled byteCounts // counts at the last sample
	dropped int        // lines that found the queue full
}

// byteCounts are the bytes of an exit.
type byteCounts struct{ up, down uint64 }

// historyLine is an event for the history of a node.
type historyLine struct {
	text  connexa.Text
	lines []string
}

func newVPN() vpn {
	return vpn{changed: make(chan struct{}, 1), lines: make(chan historyLine, linesQueue), seen: connexa.VPNSeen{State: connexa.VPNOff}}
}

// superviseVPN runs the exit that the service wants until ctx is done.
func (g *runner) superviseVPN(ctx context.Context) {
	if g.manager.VPN == nil {
		return
	}
	var notes sync.WaitGroup
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	notes.Go(func() { g.writeLines(writing) })
	defer notes.Wait()
	defer stop()
	for ctx.Err() == nil {
		want := g.currentSpec().VPN
		running, end := context.WithCancel(ctx)
		var run sync.WaitGroup
		if want != nil {
			run.Go(func() { g.runVPN(running, *want) })
		}
		for same := true; same; {
			select {
			case <-g.vpn.changed:
				same = sameVPN(want, g.currentSpec().VPN)
			case <-ctx.Done():
				same = false
			}
		}
		end()
		run.Wait()
	}
}

func sameVPN(a, b *connexa.VPN) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// runVPN runs one exit until ctx is done.
func (g *runner) runVPN(ctx context.Context, v connexa.VPN) {
	defer g.setVPNState(connexa.VPNOff, connexa.Text{}, "")
	g.setVPNState(connexa.VPNStarting, connexa.Text{}, "")
	for {
		err := g.runExit(ctx, v)
		if ctx.Err() != nil {
			return
		}
		g.noteVPNFailure(err)
		if !g.sleep(ctx, exitRetryEvery) {
			return
		}
	}
}

// runExit creates an exit and runs it. It returns early only if none can be created.
func (g *runner) runExit(ctx context.Context, v connexa.VPN) error {
	find := g.manager.VPN.Find
	if find == nil {
		find = openvpn.FindPrograms
	}
	programs, err := find(ctx)
	if err != nil {
		return err
	}
	exit, err := openvpn.New(openvpn.Config{
		Device: v.Device, Programs: programs, Dir: g.manager.VPN.Dir, Listen: v.Listen, TCP: v.TCP, ClientToClient: v.Together, CertAlone: true,
		Identity: openvpn.Identity{
			CA: []byte(v.CA), Server: pki.Pair{Cert: []byte(v.Cert), Key: []byte(v.Key.Reveal())}, TLSCrypt: []byte(v.TLSCrypt.Reveal()),
		},
		Authorize: func(ctx context.Context, l openvpn.Login) error {
			return g.manager.VPN.Authorize(ctx, g.currentSpec(), l)
		},
		Revalidate: func(c openvpn.Client) error { return g.manager.VPN.Revalidate(g.currentSpec(), c) },
		Allows:     func(network string, to netip.AddrPort) bool { return g.proxyRules().Allows(network, to) },
		Log:        g.appendVPNLog, OnEvent: g.onExitEvent,
	})
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.vpn.exit, g.vpn.sampled = exit, byteCounts{}
	g.attachExit()
	g.mu.Unlock()
	err = exit.Run(ctx)
	g.manager.flushTraffic(g)
	g.mu.Lock()
	g.vpn.exit, g.vpn.sampled = nil, byteCounts{}
	g.mu.Unlock()
	return errors.Join(err, openvpn.RemoveDevice(v.Device))
}

// attachExit attaches the exit to the tunnel if both exist. mu is held.
func (g *runner) attachExit() {
	if g.vpn.exit == nil || g.tunnel == nil {
		return
	}
	if j := g.tunnel.PacketMux(); j != nil {
		g.vpn.exit.Attach(j)
	}
}

// setVPNState sets and publishes the state of the exit.
func (g *runner) setVPNState(to connexa.VPNState, reason connexa.Text, fix string) {
	g.mu.Lock()
	if g.vpn.seen.State != to {
		g.vpn.seen.State, g.vpn.seen.Since = to, time.Now()
	}
	g.vpn.seen.Reason, g.vpn.seen.Fix = reason, fix
	g.mu.Unlock()
	g.manager.Publish(connexa.Event{Topic: connexa.ServiceChanged, ID: g.node})
}

// noteVPNFailure sets why the exit does not run, and adds a new reason to the history.
func (g *runner) noteVPNFailure(err error) {
	reason, fix := connexa.T("vpn.reason.stopped", truncateError(err)), ""
	if lack, ok := errors.AsType[*openvpn.MissingError](err); ok {
		reason, fix = connexa.T("vpn.lack."+lack.Code), lack.Fix
	}
	g.mu.Lock()
	old := g.vpn.seen
	g.mu.Unlock()
	lines := old.Log[max(0, len(old.Log)-5):]
	if fix != "" {
		lines = []string{fix}
	}
	g.manager.Log.Warn("an OpenVPN exit stopped", "node", g.node, "err", err)
	g.setVPNState(connexa.VPNFailed, reason, fix)
	if old.State != connexa.VPNFailed || old.Reason.String() != reason.String() {
		g.queueLine(connexa.T("vpn.history.failed", reason), lines...)
	}
}

// truncateError returns a short text of an error for people, on one line.
func truncateError(err error) string {
	if err == nil {
		return "?"
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}

// onExitEvent handles an event of the exit.
func (g *runner) onExitEvent(e openvpn.Event) {
	switch e.Kind {
	case openvpn.Listening:
		g.setVPNState(connexa.VPNListening, connexa.Text{}, "")
		g.queueLine(connexa.T("vpn.history.listening"))
	case openvpn.Stopped:
		g.noteVPNFailure(e.Err)
	case openvpn.Orphan:
		g.queueLine(connexa.T("vpn.history.orphan"))
	case openvpn.Connected:
		g.queueLine(connexa.T("vpn.history.connected", g.manager.VPN.clientTitle(e.Client.Name, e.Client.Serial), e.Client.From.Addr().String()))
	case openvpn.Disconnected:
		if g.manager.VPN.OnDisconnect != nil {
			g.manager.VPN.OnDisconnect(g.currentSpec(), e.Client)
		}
		g.queueLine(connexa.T("vpn.history.disconnected", g.manager.VPN.clientTitle(e.Client.Name, e.Client.Serial), time.Since(e.Client.Since).Round(time.Second)))
	case openvpn.Refused:
		why := truncateError(e.Err)
		if no, ok := errors.AsType[*openvpn.Denied](e.Err); ok {
			why = no.Message
		}
		g.queueLine(connexa.T("vpn.history.refused", g.manager.VPN.clientTitle(e.Login.Name, e.Login.Serial), e.Login.From.Addr().String(), why))
	}
	g.manager.Publish(connexa.Event{Topic: connexa.ServiceChanged, ID: g.node})
}

// appendVPNLog keeps a log line of openvpn.
func (g *runner) appendVPNLog(line string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	// A new slice each time, because pages read the old one.
	kept := g.vpn.seen.Log
	g.vpn.seen.Log = append(kept[max(0, len(kept)-keptLines+1):len(kept):len(kept)], time.Now().UTC().Format(time.DateTime)+" "+line)
}

// queueLine queues an event for the history. It never blocks.
func (g *runner) queueLine(text connexa.Text, lines ...string) {
	select {
	case g.vpn.lines <- historyLine{text, lines}:
	default:
		g.mu.Lock()
		g.vpn.dropped++
		g.mu.Unlock()
	}
}

// writeLines writes queued events to the history until ctx is done and the queue is
// empty. It counts the events above the limit.
func (g *runner) writeLines(ctx context.Context) {
	budget, last, left := linesBurst, time.Now(), 0
	write := func(n historyLine) {
		if more := int(time.Since(last) / linesEvery); more > 0 {
			budget, last = min(budget+more, linesBurst), time.Now()
		}
		g.mu.Lock()
		left += g.vpn.dropped
		g.vpn.dropped = 0
		g.mu.Unlock()
		if budget == 0 {
			left++
			return
		}
		budget--
		if left > 0 {
			n.text, left = connexa.T("vpn.history.more", n.text, left), 0
		}
		saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
		defer cancel()
		if err := g.manager.Store.RecordServiceEvent(saving, g.node, n.text, n.lines); err != nil && connexa.CodeOf(err) != connexa.NotFound {
			g.manager.Log.Error("write the history of an OpenVPN exit", "node", g.node, "err", err)
		}
	}
	for {
		select {
		case n := <-g.vpn.lines:
			write(n)
			continue
		default:
		}
		select {
		case n := <-g.vpn.lines:
			write(n)
		case <-ctx.Done():
			return
		}
	}
}

// --- Called by other goroutines.

// SeenVPN returns the state of the OpenVPN exit of a node and its connected clients.
func (m *Manager) SeenVPN(node int64) connexa.VPNSeen {
	g := m.runnerOf(node)
	if g == nil {
		return connexa.VPNSeen{State: connexa.VPNOff}
	}
	g.mu.Lock()
	seen, exit := g.vpn.seen, g.vpn.exit
	g.mu.Unlock()
	if exit == nil {
		return seen
	}
	for _, c := range exit.Clients() {
		seen.Clients = append(seen.Clients, connexa.VPNClient{
			Name: c.Name, Serial: c.Serial, From: c.From, Address: c.Address, Since: c.Since, Version: c.Version, Platform: c.Platform,
			Up: c.Up, Down: c.Down,
		})
	}
	return seen
}

// Disconnect ends the OpenVPN connections of a certificate name at the exit of a node.
// Clients reconnect if they may.
func (m *Manager) Disconnect(node int64, name string) {
	if e := m.exitOf(node); e != nil {
		e.Disconnect(name)
	}
}

// revalidateExits makes every exit check now whether its clients may stay.
func (m *Manager) revalidateExits() {
	for _, g := range m.listRunners() {
		if e := m.exitOf(g.node); e != nil {
			e.Revalidate()
		}
	}
}

func (m *Manager) exitOf(node int64) *openvpn.Exit {
	g := m.runnerOf(node)
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.vpn.exit
}

// endOrphans ends openvpn processes that a killed panel left running.
func (m *Manager) endOrphans(ctx context.Context) {
	if m.VPN == nil {
		return
	}
	n, err := openvpn.EndOrphans(ctx, m.VPN.Dir)
	if n > 0 {
		m.Log.Warn("ended openvpn processes that an earlier panel had left", "number", n)
	}
	if err != nil {
		m.Log.Error("find openvpn processes of an earlier panel", "err", err)
	}
}

// removeTable removes the nftables table if no exit needs it.
func (m *Manager) removeTable() {
	if m.VPN == nil {
		return
	}
	if err := openvpn.RemoveTable(); err != nil {
		m.Log.Error("remove the table of OpenVPN exits", "err", err)
	}
}
