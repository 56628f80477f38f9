// Package daemon wires the parts of a panel and runs them: New builds, Run blocks
// until everything that it started has ended.
package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/crypto/acme/autocert"
	"golang.org/x/sync/errgroup"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/handlers"
	"github.com/connexa-panel/connexa/internal/access"
	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/conns"
	"github.com/connexa-panel/connexa/internal/events"
	"github.com/connexa-panel/connexa/internal/gateway"
	"github.com/connexa-panel/connexa/internal/jobs"
	"github.com/connexa-panel/connexa/internal/metrics"
	"github.com/connexa-panel/connexa/internal/monitor"
	"github.com/connexa-panel/connexa/internal/notify"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/probe"
)

// Panel is a running panel on one data folder.
type Panel struct {
	cfg       config.Serve
	log       *slog.Logger
	db        *db.DB
	broker    *events.Broker
	settings  settings
	runner    *jobs.Runner
	gateways  *gateway.Manager
	access    *access.Directory
	uplink    *monitor.Uplink
	monitor   *monitor.Monitor
	notifier  *notify.Notifier
	vpnAuth   *access.VPNAuthorizer
	preflight gateway.VPNPreflight
	app       app.App
	server    *http.Server
	listener  net.Listener
	mux       *gre.Mux

	metrics         *metrics.Metrics
	metricsServer   *http.Server // nil if the metrics have no port of their own
	metricsListener net.Listener

	// FirstPassword is the generated password of the admin. It is set only if this start
	// created the account and no password was given.
	FirstPassword connexa.Secret
}

// shutdownTimeout bounds the requests that run at shutdown.
const shutdownTimeout = 3 * time.Second

// New opens the data folder and the port; wires carry the GRE of its tunnels. The
// caller must call Run, which closes both. After an error nothing is left open.
func New(ctx context.Context, cfg config.Serve, wires gre.Opener, version string, log *slog.Logger) (_ *Panel, err error) {
	p := &Panel{cfg: cfg, log: log, broker: &events.Broker{}, mux: gre.NewMux(wires), metrics: metrics.New(version, log)}
	var open []io.Closer
	defer func() {
		if err != nil {
			for _, o := range slices.Backward(open) {
				err = errors.Join(err, o.Close())
			}
		}
	}()
	if p.db, err = db.Open(ctx, db.Options{Dir: cfg.Data, Key: cfg.Key, Log: log, OnWrite: p.metrics.ObserveWrite}); err != nil {
		return nil, err
	}
	open = append(open, p.db)
	if err := p.settings.followZone(ctx, p.db); err != nil {
		return nil, err
	}
	p.notifier = newNotifier(p.db, cfg.Public, p.outboundGuard(), log)
	gate := jobs.NewLimiter(p.settings.get)
	prober := &probe.Prober{
		Attempts: func() int { return p.settings.get().PingAttempts }, BeforeRetry: gate.Wait,
		Encryption: func() connexa.EncryptionPolicy { return p.settings.get().Encryption },
		OnAddress:  func(j connexa.Job, at netip.Addr) error { return p.gateways.Resolved(j, at) },
	}
	prober.Session.GRE = p.mux
	p.configureMeasuring(prober)
	p.uplink = monitor.NewUplink(probe.Online, func() []string { return p.allowedTargets(p.settings.get().Monitor.TargetList()) }, p.uplinkChanged)
	p.uplink.Dial = p.outboundGuard().DialContext
	if err := p.newServices(ctx, p.broker.Publish); err != nil {
		return nil, err
	}
	p.runner = p.newRunner(prober, gate)
	p.monitor = monitor.New(monitor.Config{
		Store: p.db, Settings: func() connexa.MonitorSettings { return p.settings.get().Monitor }, Online: p.uplink.Online,
		Wake: p.runner.Wake, Publish: p.broker.Publish, Notify: p.notifier.Notify, Log: log,
	})
	p.app = p.newApp()
	if _, p.FirstPassword, err = p.app.Accounts.FirstStart(ctx, cfg.AdminPassword, !cfg.Demo); err != nil {
		return nil, fmt.Errorf("add the first account: %w", err)
	}
	sign, encrypt := p.db.CookieKeys()
	h, err := handlers.New(handlers.Deps{
		App: p.app, Broker: p.broker, Sessions: p.db.SessionStore(), CookieSign: sign, CookieEncrypt: encrypt,
		PublicURL: cfg.Public, Trusted: cfg.Proxies, TLS: cfg.TLS(), Hosts: cfg.Hosts, InClear: cfg.InClear(), AsRoot: !cfg.Demo && os.Geteuid() == 0, NoTunnels: tunnelBanner(ctx, wires, log), Version: version, Now: time.Now, Log: log,
		Metrics: p.metrics.Handler(), MetricsToken: cfg.MetricsToken,
	})
	if err != nil {
		return nil, err
	}
	p.registerMetrics(h.Readers)
	p.server = p.newServer(h.Routes())
	if p.listener, err = listenPanel(ctx, cfg, panelBounds(cfg.Proxies), p.server); err != nil {
		return nil, err
	}
	open = append(open, p.listener)
	if err := p.openMetrics(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// newRunner returns the runner of jobs, which does not run yet.
func (p *Panel) newRunner(prober *probe.Prober, gate *jobs.Limiter) *jobs.Runner {
	return jobs.NewRunner(jobs.Config{
		Store: meteredStore{p.db, p.metrics}, Settings: p.settings.get, Publish: p.broker.Publish, Log: p.log, Online: p.uplink.Online, Uplink: p.uplink, Notify: p.notifier.Notify,
		Work:      p.workByKind(prober),
		Timeout:   p.timeoutOf,
		SpeedHold: func(ctx context.Context, inHand int) (connexa.Text, error) { return p.app.Speed.SpeedHold(ctx, inHand) },
		GREPassed: !p.settings.get().GREPassed.IsZero(), OnGREPassed: p.noteGRE,
	}, gate)
}

// newServer returns the HTTP server of the panel's pages.
func (p *Panel) newServer(routes http.Handler) *http.Server {
	s := &http.Server{
		Handler:        routes,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(p.log.Handler(), slog.LevelDebug), // broken handshakes of strangers
	}
	conns.UsualTimes.Apply(s)
	s.RegisterOnShutdown(p.broker.Close) // Shutdown waits for open streams
	return s
}

// loginTimeout covers three attempts, the last of which calls twice, over a path whose
// packets take seconds (pptp.Timeouts).
const loginTimeout = 2 * time.Minute

// timeoutOf returns the time limit of a job: the sum of its steps' timeouts and a
// margin. Only a hanging probe reaches it.
func (p *Panel) timeoutOf(k connexa.Kind) time.Duration {
	switch k {
	case connexa.Ping:
		return 30 * time.Second
	case connexa.Speed:
		return loginTimeout + p.settings.get().Speed.Deadline()
	default:
		return loginTimeout
	}
}

// noteGRE stores that GRE works from this host.
func (p *Panel) noteGRE() {
	err := p.db.ChangeSettings(context.Background(), func(s *connexa.Settings) error {
		s.GREPassed = time.Now()
		return nil
	})
	if err != nil {
		p.log.Error("note that GRE works", "err", err)
	}
}

// Bounds of the connections to the panel. They allow the streams that one address may
// have, and its pages.
const (
	connsPerAddress = 320
	maxConns        = 4096
)

// panelBounds returns the bounds of the connections to the panel: at most half of the
// file descriptors of this process, so that the other half is left for tunnels and the
// database. A reverse proxy has its own bounds and is exempt from that per address.
func panelBounds(proxies []netip.Prefix) conns.Bounds {
	b := conns.Bounds{Total: maxConns, PerAddress: connsPerAddress, Exempt: proxies}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil {
		b.Total = int(min(files.Cur/2, maxConns))
	}
	b.PerAddress = min(b.PerAddress, max(1, b.Total/2))
	return b
}

// listenPanel opens the port of the panel with bounded connections.
func listenPanel(ctx context.Context, cfg config.Serve, b conns.Bounds, server *http.Server) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	ln = conns.BoundServer(ln, b, server)
	switch {
	case cfg.TLSCert != "":
		if err := db.CheckTLSKey(cfg.TLSKey); err != nil {
			return nil, errors.Join(err, ln.Close())
		}
		cert, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read the certificate: %w", err), ln.Close())
		}
		return tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}), nil
	case cfg.ACMEDomain != "":
		m := autocert.Manager{Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(cfg.ACMEDomain), Cache: autocert.DirCache(cfg.Data + "/acme")}
		return tls.NewListener(ln, m.TLSConfig()), nil
	}
	return ln, nil
}

// URL returns the URL of the panel.
func (p *Panel) URL() string {
	if p.cfg.Public != nil {
		return p.cfg.Public.String()
	}
	scheme := "http"
	if p.cfg.TLS() {
		scheme = "https"
	}
	return scheme + "://" + p.listener.Addr().String()
}

// Run serves until ctx is done, then shuts down in order: it accepts no new requests
// and ends the streams, claims no more jobs, gives back the running ones, and closes
// the database.
func (p *Panel) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, p.db.Close()) }()
	// The background work continues while the server drains, and ends after it.
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	g, failed := errgroup.WithContext(work)
	g.Go(func() error { return p.runner.Run(work) })
	g.Go(func() error { return p.runServices(work) })
	g.Go(func() error { return p.uplink.Run(work) })
	g.Go(func() error { return p.monitor.Run(work) })
	g.Go(func() error { return p.notifier.Run(work) })
	g.Go(func() error { return p.followNodes(work) })
	g.Go(func() error { return p.access.Run(work) })
	g.Go(func() error { return p.followAccess(work) })
	g.Go(func() error { return p.followProfiles(work) })
	g.Go(func() error { return p.app.Imports.RunImports(work) })
	g.Go(func() error { return p.app.Acts.RunActs(work) })
	g.Go(func() error { return p.db.RunCheckpoints(work) })
	g.Go(func() error {
		return p.db.RunHistory(work, func() connexa.Retention { return p.settings.get().Retention() })
	})
	g.Go(func() error { return p.settings.followChanges(work, p.broker, p.db, p.log) })
	g.Go(func() error { return p.serveMetrics(work) })
	g.Go(func() error { return p.measureUplink(work) })
	g.Go(func() error {
		if err := p.server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		defer stopWork()
		select {
		case <-ctx.Done():
		case <-failed.Done(): // one part failed: stop the others
		}
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		p.broker.Close()
		if err := p.server.Shutdown(stop); err != nil {
			p.log.Warn("requests were cut off", "err", err)
			return p.server.Close()
		}
		return nil
	})
	return g.Wait()
}
