// Package handlers answers HTTP requests with HTML, one file per page or act. Package
// app has the rules, package views the markup.
package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/conns"
	"github.com/connexa-panel/connexa/internal/events"
)

// Deps is the configuration of Handlers. All fields are required unless marked.
type Deps struct {
	App           app.App
	Broker        *events.Broker
	Sessions      scs.CtxStore
	CookieSign    []byte         // 32 bytes; signs the cookies
	CookieEncrypt []byte         // 32 bytes; encrypts the cookies
	PublicURL     *url.URL       // Optional. The URL of the panel behind a proxy.
	Trusted       []netip.Prefix // Optional. Proxies whose X-Forwarded-For is trusted.
	Hosts         []string       // Optional. Lower-case names and addresses of the panel besides that of PublicURL.
	TLS           bool           // the panel serves TLS itself
	InClear       bool           // the admin allows plain HTTP from other hosts
	AsRoot        bool           // the process runs as root
	NoTunnels     connexa.Text   // Optional. Says why this host cannot open tunnels, and how to fix it.
	Version       string         // Optional. Shown below the settings.
	Metrics       http.Handler   // Optional. Answers /metrics.
	MetricsToken  connexa.Secret // the bearer token of /metrics; without one /metrics is off
	Times         conns.Times    // of requests without a login. Defaults to conns.UsualTimes.
	Now           func() time.Time
	Log           *slog.Logger
}

// Handlers answers all requests to the panel.
type Handlers struct {
	accounts  *app.Accounts
	acts      *app.Acts
	audit     *app.Audit
	channels  *app.Channels
	clients   *app.Clients
	history   *app.History
	imports   *app.Imports
	monitor   *app.Monitor
	nodes     *app.Nodes
	profiles  *app.Profiles
	runs      *app.Runs
	services  *app.Services
	settings  *app.Settings
	speed     *app.Speed
	templates *app.Templates
	views     *app.Views
	vpns      *app.VPNs

	broker    *events.Broker
	login     *scs.SessionManager
	prefs     *sessions.CookieStore
	known     *securecookie.SecureCookie
	origin    *http.CrossOriginProtection
	trusted   []netip.Prefix
	secure    bool     // browsers use https
	public    *url.URL // Deps.PublicURL
	hosts     []string // Deps.Hosts and the host of public
	inClear   bool     // Deps.InClear
	asRoot    bool     // Deps.AsRoot
	version   string
	now       func() time.Time
	log       *slog.Logger
	noTunnels connexa.Text // Deps.NoTunnels
	streams   streamLimiter
	shared    sharedParts // of the streams
	told      toldActs
	sessions  sessionMonitor // sessions that have streams
	times     conns.Times
	compress  compression

	metrics      http.Handler   // Deps.Metrics
	metricsToken connexa.Secret // Deps.MetricsToken
}

// New returns the handlers. It starts nothing.
func New(d Deps) (*Handlers, error) {
	if len(d.CookieSign) != 32 || len(d.CookieEncrypt) != 32 {
		return nil, errors.New("the cookie keys have 32 bytes each")
	}
	h := &Handlers{
		broker: d.Broker, trusted: d.Trusted, noTunnels: d.NoTunnels, version: d.Version, now: d.Now, log: d.Log,
		secure: d.TLS || d.PublicURL != nil && d.PublicURL.Scheme == "https",
		origin: http.NewCrossOriginProtection(), public: d.PublicURL, metrics: d.Metrics, metricsToken: d.MetricsToken,
		hosts: slices.Clone(d.Hosts), inClear: d.InClear, asRoot: d.AsRoot,
	}
	if d.PublicURL != nil {
		h.hosts = append(h.hosts, strings.ToLower(d.PublicURL.Hostname()))
		// Behind a proxy that rewrites Host, the Origin of a form differs from the Host.
		if err := h.origin.AddTrustedOrigin(d.PublicURL.Scheme + "://" + d.PublicURL.Host); err != nil {
			return nil, fmt.Errorf("public url: %w", err)
		}
	}
	if h.times = d.Times; h.times == (conns.Times{}) {
		h.times = conns.UsualTimes
	}
	var err error
	if h.compress, err = newCompression(); err != nil {
		return nil, err
	}
	h.setServices(d.App)
	h.origin.SetDenyHandler(http.HandlerFunc(h.crossOrigin))
	h.login = h.newLogin(d.Sessions)
	h.prefs = h.newPreferences(d.CookieSign, d.CookieEncrypt)
	h.known = newKnown(d.CookieSign, d.CookieEncrypt)
	return h, nil
}

func (h *Handlers) setServices(a app.App) {
	h.acts = a.Acts
	h.accounts, h.audit, h.channels, h.clients, h.history = a.Accounts, a.Audit, a.Channels, a.Clients, a.History
	h.imports, h.monitor, h.nodes, h.profiles, h.runs = a.Imports, a.Monitor, a.Nodes, a.Profiles, a.Runs
	h.services, h.settings, h.speed, h.templates, h.views, h.vpns = a.Services, a.Settings, a.Speed, a.Templates, a.Views, a.VPNs
}

// cookieName adds the prefix __Host- if browsers use https. It binds the cookie to this
// host and to https.
func (h *Handlers) cookieName(name string) string {
	if h.secure {
		return "__Host-" + name
	}
	return name
}

// account is the logged-in account.
type account struct {
	id   int64
	name string
}

type accountKey struct{}

// accountOf returns the account of the request, or the zero account before the login.
func accountOf(ctx context.Context) account {
	p, _ := ctx.Value(accountKey{}).(account)
	return p
}
