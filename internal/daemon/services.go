package daemon

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/connexa-panel/connexa/internal/access"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/gateway"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/jobs"
	"github.com/connexa-panel/connexa/internal/probe"
	"github.com/connexa-panel/connexa/internal/socks5"
	"github.com/connexa-panel/connexa/internal/speed"
)

// proxyConns bounds the client connections of all proxies together. Each is a file
// descriptor, and the probes and the panel need some too.
const proxyConns = 32 << 10

// newServices builds the manager of the services. It first clears the sessions of an
// earlier process, so that no page shows them as up.
func (p *Panel) newServices(ctx context.Context, publish func(connexa.Event)) error {
	if err := p.db.RecoverServices(ctx); err != nil {
		return err
	}
	cfg := gateway.Config{
		Store: p.db, Publish: publish, Log: p.log, Notify: p.notifier.Notify,
		Online: func() bool {
			p.uplink.Suspect() // a dial has failed
			return p.uplink.Online()
		},
		Encryption: func() connexa.EncryptionPolicy { return p.settings.get().Encryption },
		ConnLimit:  socks5.NewConnLimit(proxyConns),
		Exit:       p.exitAddr,
	}
	cfg.Session.GRE = p.mux
	cfg.Login = func(s connexa.Service, user, password string, from netip.Addr) (socks5.Client, bool) {
		return p.access.Client(s.NodeID, user, password, from)
	}
	dir, err := gateway.VPNDir(p.cfg.Data)
	if err != nil {
		return err
	}
	p.vpnAuth = access.NewVPNAuthorizer(func() *access.Directory { return p.access }, i18n.New(i18n.English, nil).Text)
	cfg.VPN = &gateway.VPN{Dir: dir, Authorize: p.vpnAuth.Authorize, Revalidate: p.vpnAuth.Revalidate, OnDisconnect: p.vpnAuth.OnDisconnect, Title: p.vpnAuth.Title}
	p.gateways = gateway.NewManager(cfg)
	p.gateways.AllowAll = p.cfg.Demo
	p.access = access.New(access.Config{Store: p.db, Log: p.log, Publish: publish, OnRevoked: p.gateways.Revalidate, Zone: func() (*time.Location, time.Time) {
		s := p.settings.get()
		return s.Location(), s.ZoneSince
	}})
	if err := p.access.Load(ctx); err != nil {
		return err
	}
	return p.vpnAuth.LoadProfiles(ctx, p.db)
}

// runServices runs the services, and then writes the last traffic counts of clients.
func (p *Panel) runServices(ctx context.Context) error {
	err := p.gateways.Run(ctx)
	return errors.Join(err, p.access.Flush(context.WithoutCancel(ctx)))
}

// followAccess reloads the clients when an admin has changed them, when tags of nodes
// may have changed, and when a node gets its first service.
func (p *Panel) followAccess(ctx context.Context) error {
	box, done := p.broker.Subscribe(func(e connexa.Event) bool {
		return e.Topic == connexa.ClientChanged || e.Topic == connexa.FleetChanged || e.Topic == connexa.ServiceChanged && !p.access.HasService(e.ID)
	})
	defer done()
	for {
		if _, ok := box.Next(ctx); !ok {
			return nil
		}
		p.access.Wake()
	}
}

// followProfiles loads the profiles whenever they change, and closes the connections of
// clients that may not stay.
func (p *Panel) followProfiles(ctx context.Context) error {
	box, done := p.broker.Subscribe(func(e connexa.Event) bool {
		return e.Topic == connexa.ProfilesChanged || e.Topic == connexa.ClientChanged // a deleted client's profiles are deleted too
	})
	defer done()
	for {
		if _, ok := box.Next(ctx); !ok {
			return nil
		}
		if err := p.vpnAuth.LoadProfiles(ctx, p.db); err != nil && ctx.Err() == nil {
			p.log.Error("read the profiles", "err", err) // until the next change
		}
		p.gateways.Revalidate()
	}
}

// exitAddr asks the endpoints of speed tests for the public address behind the tunnel
// of a service.
func (p *Panel) exitAddr(ctx context.Context, t gateway.Tunnel) (netip.Addr, error) {
	endpoints, err := p.db.SpeedEndpoints(ctx)
	if err != nil {
		return netip.Addr{}, err
	}
	return speed.Exit(ctx, serviceTunnel{t}, endpoints)
}

// followNodes wakes the manager when nodes were edited or deleted, or the settings
// changed.
func (p *Panel) followNodes(ctx context.Context) error {
	box, done := p.broker.Subscribe(func(e connexa.Event) bool {
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

// workByKind returns the runner's work for each kind of job.
func (p *Panel) workByKind(prober *probe.Prober) map[connexa.Kind]jobs.Work {
	return map[connexa.Kind]jobs.Work{
		connexa.Ping: p.gateways.ShareServers(prober.Ping, func(ctx context.Context, _ connexa.Job, t gateway.Tunnel) (connexa.Probed, error) {
			return prober.PingThrough(ctx, t)
		}),
		connexa.Login: p.gateways.ShareServers(prober.Login, func(ctx context.Context, _ connexa.Job, t gateway.Tunnel) (connexa.Probed, error) {
			return prober.LoginThrough(ctx, t)
		}),
		connexa.Speed: p.gateways.ShareServers(prober.Speed, func(ctx context.Context, j connexa.Job, t gateway.Tunnel) (connexa.Probed, error) {
			return prober.SpeedThrough(ctx, j, t, func(ctx context.Context, live func(connexa.SpeedLive)) (connexa.Measurement, error) {
				return p.measureTunnel(ctx, serviceTunnel{t}, live)
			})
		}),
	}
}

// serviceTunnel adapts the tunnel of a service to package speed.
type serviceTunnel struct{ gateway.Tunnel }

// Dial implements speed.Tunnel.
func (t serviceTunnel) Dial(ctx context.Context, to netip.AddrPort) (speed.Conn, error) {
	return speed.DialOn(ctx, t.Stack(), to)
}
