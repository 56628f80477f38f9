package daemon

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/connexa-panel/connexa/internal/access"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/gateway"
	"github.com/connexa-panel/connexa/internal/jobs"
	"github.com/connexa-panel/connexa/internal/probe"
	"github.com/connexa-panel/connexa/internal/socks5"
	"github.com/connexa-panel/connexa/internal/speed"
)

// proxyConns is how many clients' connections all proxies may have together: each
// is a file descriptor, of which the probes and the panel want some, too.
const proxyConns = 32 << 10

// newGateways makes the manager of the services. No page may show a session as up
// that ended with an earlier process.
func (p *Panel) newGateways(ctx context.Context, publish func(connexa.Event)) error {
	if err := p.db.RecoverGateways(ctx); err != nil {
		return err
	}
	p.servers = gateway.NewServers()
	cfg := gateway.Config{
		Store: p.db, Publish: publish, Log: p.log, Servers: p.servers, Notify: p.notifier.Notify,
		Online: func() bool {
			p.uplink.Suspect() // who asks has failed
			return p.uplink.Online()
		},
		Encryption: func() connexa.EncryptionPolicy { return p.settings.now().Encryption },
		Budget:     socks5.NewBudget(proxyConns),
		Exit:       p.exitOf,
	}
	cfg.Session.GRE = p.mux
	cfg.Login = func(s connexa.Service, user, password string, from netip.Addr) (socks5.Client, bool) {
		return p.access.Client(s.NodeID, user, password, from)
	}
	dir, err := gateway.VPNDir(p.cfg.Data)
	if err != nil {
		return err
	}
	p.doorman = newDoorman(func() *access.Directory { return p.access })
	cfg.VPN = &gateway.VPN{Dir: dir, Authorize: p.doorman.authorize, Stay: p.doorman.stay, Left: p.doorman.left, Title: p.doorman.title}
	p.gateways = gateway.NewManager(cfg)
	p.gateways.AllowAll = p.cfg.Demo
	p.access = access.New(access.Config{Store: p.db, Log: p.log, Publish: publish, Cut: p.gateways.Review, Zone: func() (*time.Location, time.Time) {
		s := p.settings.now()
		return s.Location(), s.ZoneSince
	}})
	if err := p.access.Load(ctx); err != nil {
		return err
	}
	return p.doorman.load(ctx, p.db)
}

// runGateways runs the services. What access users moved until the last of them
// was closed is written down.
func (p *Panel) runGateways(ctx context.Context) error {
	err := p.gateways.Run(ctx)
	return errors.Join(err, p.access.Flush(context.WithoutCancel(ctx)))
}

// followAccess makes the view of the access users current when an admin wrote
// some, when tags of nodes may have changed, and when a node has its first
// service.
func (p *Panel) followAccess(ctx context.Context) error {
	box, done := p.broker.Open(func(e connexa.Event) bool {
		return e.Topic == connexa.AccessChanged || e.Topic == connexa.FleetChanged || e.Topic == connexa.ServiceChanged && !p.access.HasService(e.ID)
	})
	defer done()
	for {
		if _, ok := box.Next(ctx); !ok {
			return nil
		}
		p.access.Wake()
	}
}

// exitOf asks the endpoints of speed tests for the address that the world sees
// behind the tunnel of a service.
func (p *Panel) exitOf(ctx context.Context, t gateway.Tunnel) (netip.Addr, error) {
	endpoints, err := p.db.SpeedEndpoints(ctx)
	if err != nil {
		return netip.Addr{}, err
	}
	return speed.Exit(ctx, serviceTunnel{t}, endpoints)
}

// followNodes makes the manager look whenever nodes were edited or deleted, or
// the settings changed.
func (p *Panel) followNodes(ctx context.Context) error {
	box, done := p.broker.Open(func(e connexa.Event) bool {
		return e.Topic == connexa.FleetChanged || e.Topic == connexa.PanelChanged
	})
	defer done()
	for {
		if _, ok := box.Next(ctx); !ok {
			return nil
		}
		p.gateways.Wake()
	}
}

// A probe that waits for a service to come up or to go, or for another probe, looks
// at first so soon, and at last so seldom: a name is looked up each time.
const (
	askAgain  = 200 * time.Millisecond
	askSeldom = time.Second
)

// beside makes probes and services share servers: while a service holds a server,
// its own node is answered for through its session, and the nodes of other logins
// learn nothing. A login or a speed test holds the server itself, so that a
// service waits for it.
func (p *Panel) beside(work jobs.Work, through func(context.Context, connexa.Job, gateway.Tunnel) (connexa.Probed, error)) jobs.Work {
	return func(ctx context.Context, j connexa.Job) (connexa.Probed, error) {
		for wait := askAgain; ; wait = min(2*wait, askSeldom) {
			if t, ok := p.gateways.Through(j.NodeID); ok {
				return through(ctx, j, t)
			}
			probed, by, ok, err := p.alone(ctx, j, work)
			switch {
			case ok:
				return probed, err
			case by != 0 && by != j.NodeID:
				return connexa.Probed{
					Mark: connexa.MarkInUse, Outcome: connexa.Outcome{Kind: j.Kind, At: time.Now(), Reached: connexa.NoStep},
					Detail: connexa.Detail{Text: connexa.T("probe.in_use", p.gateways.Name(by))},
				}, nil
			}
			// Its own service is dialing, or another probe has the server: both have
			// an end.
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return connexa.Probed{}, ctx.Err()
			}
		}
	}
}

// alone does a job with its server to itself. It is not ok when somebody else has
// the server: by is the node whose service that is, or zero when it is another
// probe.
func (p *Panel) alone(ctx context.Context, j connexa.Job, work jobs.Work) (_ connexa.Probed, by int64, ok bool, _ error) {
	free, by, ok := p.takeServer(j)
	if !ok {
		return connexa.Probed{}, by, false, nil
	}
	defer free()
	probed, err := work(ctx, j)
	var used *gateway.InUse
	if errors.As(err, &used) { // as its name turned out to mean
		return connexa.Probed{}, used.Node, false, nil
	}
	switch probed.Fact {
	case connexa.LoggedIn, connexa.Slow, connexa.Fast:
		p.servers.Ended(j.Address)
	}
	return probed, 0, true, err
}

// found is told at which address the server of a job is. The error is a
// *gateway.InUse.
func (p *Panel) found(j connexa.Job, at netip.Addr) error {
	if j.Kind != connexa.Ping {
		return p.servers.Found(netip.Addr{}, j.Address, at)
	}
	if by := p.servers.User(at.String()); by != 0 && by != j.NodeID {
		return &gateway.InUse{Node: by}
	}
	return nil
}

// takeServer takes the server of a job for it. A ping opens no tunnel and leaves
// the server to others; but some servers take one control connection from an
// address, so it too keeps away from one that a service holds.
func (p *Panel) takeServer(j connexa.Job) (free func(), by int64, ok bool) {
	if j.Kind == connexa.Ping {
		by = p.servers.User(j.Address)
		return func() {}, by, by == 0
	}
	return p.servers.TryProbe(j.Address)
}

// work is what the runner does for each kind of job.
func (p *Panel) work(prober *probe.Prober) map[connexa.Kind]jobs.Work {
	return map[connexa.Kind]jobs.Work{
		connexa.Ping: p.beside(prober.Ping, func(ctx context.Context, _ connexa.Job, t gateway.Tunnel) (connexa.Probed, error) {
			return prober.PingThrough(ctx, t)
		}),
		connexa.Login: p.beside(prober.Login, func(ctx context.Context, _ connexa.Job, t gateway.Tunnel) (connexa.Probed, error) {
			return prober.LoginThrough(ctx, t)
		}),
		connexa.Speed: p.beside(prober.Speed, func(ctx context.Context, j connexa.Job, t gateway.Tunnel) (connexa.Probed, error) {
			return prober.SpeedThrough(ctx, j, t, func(ctx context.Context, live func(connexa.SpeedLive)) (connexa.Measurement, error) {
				return p.measureOn(ctx, serviceTunnel{t}, live)
			})
		}),
	}
}

// serviceTunnel is the tunnel of a service as one that is measured.
type serviceTunnel struct{ gateway.Tunnel }

// Dial implements speed.Tunnel.
func (t serviceTunnel) Dial(ctx context.Context, to netip.AddrPort) (speed.Conn, error) {
	return speed.DialOn(ctx, t.Stack(), to)
}
