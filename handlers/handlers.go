// Package handlers is HTTP in, HTML out: one file per action. What an action
// means is decided in package app, what it looks like in package views.
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

// Deps is what the handlers work with. All but the marked fields are needed.
type Deps struct {
	App           app.App
	Broker        *events.Broker
	Sessions      scs.CtxStore
	CookieSign    []byte         // 32 bytes; cookies with content are signed with it
	CookieEncrypt []byte         // 32 bytes; and encrypted with this one
	PublicURL     *url.URL       // optional: where browsers reach the panel, when a proxy stands before it
	Trusted       []netip.Prefix // optional: proxies whose X-Forwarded-For is believed
	Hosts         []string       // optional: names and addresses of the panel, in lower case, beside that of PublicURL
	TLS           bool           // the panel itself speaks TLS
	InClear       bool           // browsers of other machines come without TLS, as the admin said
	AsRoot        bool           // the process has the user id 0
	NoTunnels     connexa.Text   // optional: this machine cannot open tunnels, why, and what mends it
	Version       string         // optional: shown below the settings
	Metrics       http.Handler   // optional: answers /metrics
	MetricsToken  connexa.Secret // to who has this; empty: to nobody
	Times         conns.Times    // of requests that were not let in; zero: conns.UsualTimes
	Now           func() time.Time
	Log           *slog.Logger
}

// Handlers answers every request of the panel.
type Handlers struct {
	accounts *app.Accounts
	audit    *app.Audit
	channels *app.Channels
	clients  *app.Clients
	history  *app.History
	imports  *app.Imports
	monitor  *app.Monitor
	nodes    *app.Nodes
	profiles *app.Profiles
	runs     *app.Runs
	services *app.Services
	settings *app.Settings
	speed    *app.Speed
	vpns     *app.VPNs

	broker  *events.Broker
	login   *scs.SessionManager
	prefs   *sessions.CookieStore
	known   *securecookie.SecureCookie
	origin  *http.CrossOriginProtection
	trusted []netip.Prefix
	secure  bool     // browsers come by https
	public  *url.URL // Deps.PublicURL
	hosts   []string // Deps.Hosts, and that of public
	inClear bool     // Deps.InClear
	asRoot  bool     // Deps.AsRoot
	version string
	now     func() time.Time
	log     *slog.Logger
	noGRE   connexa.Text // Deps.NoTunnels
	streams streamLimiter
	watches sessionWatches // of the sessions that have streams
	times   conns.Times

	figures    http.Handler   // Deps.Metrics
	figuresFor connexa.Secret // Deps.MetricsToken
}

// New returns the handlers. It starts nothing.
func New(d Deps) (*Handlers, error) {
	if len(d.CookieSign) != 32 || len(d.CookieEncrypt) != 32 {
		return nil, errors.New("the cookie keys have 32 bytes each")
	}
	h := &Handlers{
		broker: d.Broker, trusted: d.Trusted, noGRE: d.NoTunnels, version: d.Version, now: d.Now, log: d.Log,
		secure: d.TLS || d.PublicURL != nil && d.PublicURL.Scheme == "https",
		origin: http.NewCrossOriginProtection(), public: d.PublicURL, figures: d.Metrics, figuresFor: d.MetricsToken,
		hosts: slices.Clone(d.Hosts), inClear: d.InClear, asRoot: d.AsRoot,
	}
	if d.PublicURL != nil {
		h.hosts = append(h.hosts, strings.ToLower(d.PublicURL.Hostname()))
		// Behind a proxy that rewrites Host, a form's Origin is not the Host we see.
		if err := h.origin.AddTrustedOrigin(d.PublicURL.Scheme + "://" + d.PublicURL.Host); err != nil {
			return nil, fmt.Errorf("public url: %w", err)
		}
	}
	if h.times = d.Times; h.times == (conns.Times{}) {
		h.times = conns.UsualTimes
	}
	h.setServices(d.App)
	h.origin.SetDenyHandler(http.HandlerFunc(h.crossOrigin))
	h.login = h.newLogin(d.Sessions)
	h.prefs = h.newPreferences(d.CookieSign, d.CookieEncrypt)
	h.known = newKnown(d.CookieSign, d.CookieEncrypt)
	return h, nil
}

func (h *Handlers) setServices(a app.App) {
	h.accounts, h.audit, h.channels, h.clients, h.history = a.Accounts, a.Audit, a.Channels, a.Clients, a.History
	h.imports, h.monitor, h.nodes, h.profiles, h.runs = a.Imports, a.Monitor, a.Nodes, a.Profiles, a.Runs
	h.services, h.settings, h.speed, h.vpns = a.Services, a.Settings, a.Speed, a.VPNs
}

// cookieName gives a cookie the prefix with which browsers hold it to this very
// host and to https, where there is https.
func (h *Handlers) cookieName(name string) string {
	if h.secure {
		return "__Host-" + name
	}
	return name
}

// account is who is logged in.
type account struct {
	id   int64
	name string
}

type accountKey struct{}

// accountOf returns who asks; the zero person on the pages before the login.
func accountOf(ctx context.Context) account {
	p, _ := ctx.Value(accountKey{}).(account)
	return p
}
