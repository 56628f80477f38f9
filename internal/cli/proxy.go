package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/gateway"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/probe"
)

// Proxy runs one gateway in the foreground, tells out each change of its state,
// and returns the exit code: 0 when it was interrupted after it had been online,
// else as Check does.
func Proxy(ctx context.Context, cfg config.Proxy, in *os.File, out, errs io.Writer) int {
	p := proxy{
		cfg: cfg, out: out, errs: errs, words: i18n.New(i18n.English, nil), mux: gre.NewMux(gre.Raw), online: probe.Online,
		diagnose: func(ctx context.Context) *gre.Unavailable { return gre.Diagnose(ctx, gre.Raw) }, now: time.Now,
		ask: func(ctx context.Context, question string) (connexa.Secret, error) {
			return askSecret(ctx, in, errs, question)
		},
	}
	return p.run(ctx)
}

type proxy struct {
	cfg       config.Proxy
	out, errs io.Writer
	words     *i18n.Printer
	mux       *gre.Mux
	online    func() bool
	diagnose  func(context.Context) *gre.Unavailable // what this machine lacks for tunnels
	now       func() time.Time
	ask       func(ctx context.Context, question string) (connexa.Secret, error)

	service      connexa.Service
	manager      *gateway.Manager
	passwordFile string // the file that holds the proxy's password; empty: it was given
	passwordMade bool   // the proxy's password was made just now
	cancel       context.CancelCauseFunc

	mu        sync.Mutex
	seen      connexa.ServiceReport
	wasOnline bool // it has been online
}

// errGaveUp ends a proxy that can do no more.
var errGaveUp = errors.New("gave up")

func (p *proxy) run(ctx context.Context) int {
	password := p.cfg.Password
	if password == "" {
		var err error
		password, err = p.ask(ctx, fmt.Sprintf("Password of %s on %s: ", p.cfg.Login, p.cfg.Address))
		if err != nil && ctx.Err() == nil {
			return p.fail(ExitUsage, err)
		}
	}
	if ctx.Err() != nil {
		return p.fail(ExitInterrupted, errInterrupted)
	}
	job, err := p.cfg.Job(password)
	if err != nil {
		return p.fail(ExitUsage, err)
	}
	secret, err := p.proxyPassword()
	if err != nil {
		return p.fail(ExitFailed, err)
	}
	p.service = connexa.Service{
		NodeID: 1, Name: job.Address, Address: job.Address, Port: job.Port, Login: job.Login, Password: job.Password,
		Encryption: job.Encryption, AllowPAP: job.AllowPAP, Revision: 1,
		Listen: p.cfg.At, User: p.cfg.User, Secret: secret, Private: true, Mail: true,
	}
	fmt.Fprintf(p.out, "%s, port %d, as %s\n\n", job.Address, job.Port, job.Login)
	vpn, err := p.openVPN()
	if err != nil {
		return p.fail(ExitFailed, err)
	}
	cfg := gateway.Config{VPN: vpn, Store: p, Publish: func(connexa.Event) {}, Log: slog.New(slog.DiscardHandler), Online: p.online}
	cfg.Session.GRE = p.mux
	p.manager = gateway.NewManager(cfg)
	run, give := context.WithCancelCause(ctx)
	defer give(nil)
	p.cancel = give
	if err := p.manager.Run(run); err != nil {
		return p.fail(ExitFailed, err)
	}
	return p.exitCode(ctx)
}

// exitCode is the exit code once everything is closed.
func (p *proxy) exitCode(ctx context.Context) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case ctx.Err() != nil && p.wasOnline:
		p.printLine("stopped", "")
		return 0
	case ctx.Err() != nil:
		return p.fail(ExitInterrupted, errInterrupted)
	case p.seen.Reason.Key == "service.reason.not_here":
		p.printFix(ctx)
		return ExitHere
	case p.seen.Reason.Key == "service.reason.port":
		return ExitHere
	}
	return ExitFailed
}

// printFix says what this machine lacks and what gives it that.
func (p *proxy) printFix(ctx context.Context) {
	u := p.diagnose(ctx)
	if u == nil {
		return // by now it can
	}
	fmt.Fprintln(p.out, "  "+p.words.T("probe.not_here."+string(u.Reason)))
	if fix := u.Reason.Fix(); fix != "" {
		fmt.Fprintln(p.out, "  To mend it  "+fix)
	}
}

func (p *proxy) fail(code int, err error) int {
	fmt.Fprintln(p.errs, "connexa:", Explain(err))
	return code
}

// proxyPassword is the password of the proxy: the given one, the one that was kept,
// or one that is made now.
func (p *proxy) proxyPassword() (connexa.Secret, error) {
	if p.cfg.ProxyPassword != "" {
		return p.cfg.ProxyPassword, nil
	}
	p.passwordMade = true
	secret := connexa.Secret(rand.Text())
	if p.cfg.Data == "" {
		return secret, nil
	}
	if err := os.MkdirAll(p.cfg.Data, 0o700); err != nil {
		return "", fmt.Errorf("--data: %w", err)
	}
	p.passwordFile = filepath.Join(p.cfg.Data, "proxy-password")
	// Made only if it is not there: two starts at once end up with one password.
	f, err := os.OpenFile(p.passwordFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		p.passwordMade = false
		if err := db.CheckPrivate(p.passwordFile); err != nil {
			return "", err
		}
		text, err := os.ReadFile(p.passwordFile)
		if err != nil {
			return "", fmt.Errorf("read the proxy's password: %w", err)
		}
		if secret = connexa.Secret(strings.TrimSpace(string(text))); secret == "" {
			return "", fmt.Errorf("%s is empty: delete it, and a password is made anew", p.passwordFile)
		}
		return secret, nil
	}
	if err != nil {
		return "", fmt.Errorf("keep the proxy's password: %w", err)
	}
	_, err = f.WriteString(secret.Reveal() + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("keep the proxy's password: %w", err)
	}
	return secret, nil
}

// --- gateway.Store

// WantedServices implements gateway.Store.
func (p *proxy) WantedServices(context.Context) ([]connexa.Service, error) {
	return []connexa.Service{p.service}, nil
}

// SampleServices implements gateway.Store: nobody looks at the counters later.
func (p *proxy) SampleServices(context.Context, time.Time, []connexa.Traffic) error { return nil }

// RecordServiceEvent implements gateway.Store.
func (p *proxy) RecordServiceEvent(_ context.Context, _ int64, what connexa.Text, lines []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.printLine("openvpn", p.words.Text(what))
	for _, l := range lines {
		fmt.Fprintln(p.out, "                        "+l)
	}
	return nil
}

// SaveServiceReport implements gateway.Store. It tells a person what has changed.
func (p *proxy) SaveServiceReport(_ context.Context, g connexa.ServiceReport) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.seen
	p.seen = g
	switch {
	case g.State == connexa.ServiceOnline && old.State != g.State:
		p.printLine(string(g.State), p.sessionText())
		if !p.wasOnline {
			p.wasOnline = true
			p.printUsage()
		}
	case g.State == connexa.ServiceOnline && g.Reason.IsZero():
	case g.Reason.Key == "service.reason.dialing" && g.State == connexa.ServiceReconnecting: // only another try
	case g.Reason.IsZero():
	default:
		p.printLine(string(g.State), p.reasonText(g))
	}
	if g.State == connexa.ServiceFailed {
		p.cancel(errGaveUp)
	}
	return nil
}

// printLine writes one change of state.
func (p *proxy) printLine(state, text string) {
	fmt.Fprintln(p.out, strings.TrimRight(fmt.Sprintf("%s  %-12s  %s", p.now().Format(time.TimeOnly), state, text), " "))
}

// reasonText is the reason of a state with its cause.
func (p *proxy) reasonText(g connexa.ServiceReport) string {
	text := p.words.Text(g.Reason)
	if g.Cause != "" {
		text += " " + asSentence(causeText(p.words, g.Cause, ""))
	}
	if wait := g.RetryAt.Sub(p.now()); !g.RetryAt.IsZero() && g.State == connexa.ServiceReconnecting {
		text += fmt.Sprintf(" Again in %s.", max(wait, 0).Round(time.Second))
	}
	return text
}

// sessionText describes the session that is up.
func (p *proxy) sessionText() string {
	t, ok := p.manager.Tunnel(p.service.NodeID)
	if !ok {
		return ""
	}
	i := t.Info()
	return fmt.Sprintf("%s inside, %s, encryption: %s, MTU %d", i.LocalIP, i.Auth, i.Encryption, i.MTU)
}

// printUsage says how the proxy is used.
func (p *proxy) printUsage() {
	secret := "the given one"
	switch {
	case p.passwordMade:
		secret = p.service.Secret.Reveal()
	case p.passwordFile != "":
		secret = "as kept in " + p.passwordFile
	}
	fmt.Fprintf(p.out, "\n  SOCKS5 and HTTP proxy at %s\n  User      %s\n  Password  %s\n", p.service.Listen, p.service.User, secret)
	if !p.service.Listen.Addr().IsLoopback() {
		fmt.Fprintf(p.out, "  Other machines reach this proxy; it lets nobody in without the password, which SOCKS5 and HTTP send unencrypted.\n")
	}
	fmt.Fprintln(p.out)
}
