package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/probe"
)

// checkTimeout bounds the wait for the connection, and then for the first answer. It is
// that of the last attempt of the panel's probe, which is the longest.
const checkTimeout = 8 * time.Second

// Check logs in to one server, and prints each step and then the result. Questions go to
// errs. A failure has an ExitError.
func Check(ctx context.Context, cfg config.Check, in *os.File, out, errs io.Writer) error {
	c := checker{
		cfg: cfg, out: out, words: i18n.New(i18n.English, nil),
		mux: gre.NewMux(gre.Raw), online: probe.Online,
		ask: func(ctx context.Context, question string) (connexa.Secret, error) {
			return askSecret(ctx, in, errs, question)
		},
	}
	return c.run(ctx)
}

type checker struct {
	cfg     config.Check
	out     io.Writer
	words   *i18n.Printer
	mux     *gre.Mux
	online  func() bool
	dial    func(ctx context.Context, network, address string) (net.Conn, error) // Defaults to that of net.Dialer.
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)         // Defaults to the system's resolver.
	onStep  func(pptp.StepResult)                                                // Optional.
	ask     func(ctx context.Context, question string) (connexa.Secret, error)
}

func (c *checker) run(ctx context.Context) error {
	job, err := askJob(ctx, c.cfg.Target, c.ask)
	if err != nil {
		return err
	}
	found, err := c.probeServer(ctx, job)
	if err != nil {
		return &ExitError{ExitInterrupted, err}
	}
	if c.cfg.JSON {
		err = found.writeJSON(c.out)
	} else {
		err = found.writeText(c.out)
	}
	switch {
	case err != nil:
		return fmt.Errorf("write the result: %w", err)
	case found.code != 0:
		return &ExitError{Code: found.code}
	}
	return nil
}

var errInterrupted = errors.New("interrupted")

// askJob returns the login to a server. It asks for the password if there is none.
func askJob(ctx context.Context, to config.Target, ask func(context.Context, string) (connexa.Secret, error)) (connexa.Job, error) {
	password := to.Password
	if password == "" {
		var err error
		password, err = ask(ctx, fmt.Sprintf("Password of %s on %s: ", to.Login, to.Address))
		if err != nil && ctx.Err() == nil {
			return connexa.Job{}, &ExitError{ExitUsage, err}
		}
	}
	if ctx.Err() != nil {
		return connexa.Job{}, &ExitError{ExitInterrupted, errInterrupted}
	}
	job, err := to.Job(password)
	if err != nil {
		return job, &ExitError{ExitUsage, err}
	}
	return job, nil
}

// probeServer makes the login. Its only error is errInterrupted: every other failure is
// a result.
func (c *checker) probeServer(ctx context.Context, job connexa.Job) (*checkResult, error) {
	told := io.Discard
	if !c.cfg.JSON {
		told = c.out
		fmt.Fprintf(c.out, "%s, port %d, as %s\n\n", job.Address, job.Port, job.Login)
	}
	l := startTracePrinter(told, c.words)
	p := probe.Prober{Attempts: func() int { return 1 }, Online: c.online}
	p.Session = pptp.Config{GRE: c.mux, DialTCP: c.dial, Resolve: c.resolve, OnStep: func(r pptp.StepResult) {
		if ctx.Err() == nil { // failures because of an interrupt are not printed
			l.addStep(r)
		}
		if c.onStep != nil {
			c.onStep(r)
		}
	}}
	p.Session.OnSecondCall = func(why pptp.SecondCall) { l.addRemark(secondCallLines[why]) }
	p.Session.Timeouts.TCP, p.Session.Timeouts.Control = checkTimeout, checkTimeout
	climb := p.Login
	var unmeasured error // why the measurement is incomplete
	if c.cfg.Speed {
		job.Kind, climb = connexa.Speed, p.Speed
		p.Measure = func(ctx context.Context, s *pptp.Session, _ func(connexa.SpeedLive)) (connexa.Measurement, error) {
			m, err := c.measureSession(ctx, s, l)
			unmeasured = err
			return m, err
		}
	}
	probed, err := climb(ctx, job)
	found := &checkResult{Address: job.Address, policy: job.Encryption}
	switch {
	case err != nil && ctx.Err() != nil:
		l.finish(nil, "")
		return nil, errInterrupted
	case err != nil:
		found.setLocalFailure(c.localFailure(err))
	case probed.Result == connexa.ResultNotHere && probed.Outcome.Cause == "":
		found.setLocalFailure("local.gre", c.words.Text(probed.Detail.Text), reasonOf(probed.Detail.Text).Fix(), probed.Detail.Evidence)
	case probed.Outcome.Cause == "resolve.temporary" && !c.online():
		found.setLocalFailure("local.network", noNetwork, "", "")
	default:
		found.setServerResult(probed, unmeasured, c.words)
	}
	note := withoutFullStop(found.Message)
	if found.code == ExitFailed {
		note = causeText(c.words, found.Cause, "")
	}
	found.setSteps(l.finish(probed.Trace, note))
	return found, nil
}

// secondCallLines say why the server is called a second time.
var secondCallLines = map[pptp.SecondCall]string{
	pptp.SecondPassword: "    the password has letters outside ASCII, which servers encode in two ways: calling again with the other encoding",
	pptp.SecondLogin:    "    the server insists on the login method that it asked for first: calling again with that method",
}

const noNetwork = "This machine has no network: it has no route to the outside."

// localFailure describes err, which is a failure of this host.
func (c *checker) localFailure(err error) (cause connexa.Cause, message, fix, seen string) {
	var local *connexa.LocalError
	if errors.As(err, &local) {
		err = local.Err
		if !c.online() {
			return "local.network", noNetwork, "", err.Error()
		}
	}
	return "local.failed", "This machine could not run the check.", "", err.Error()
}

// reasonOf returns the reason in a text of package probe that says why tunnels
// cannot be opened.
func reasonOf(t connexa.Text) gre.Reason {
	for _, r := range []gre.Reason{gre.NoCapability, gre.Forbidden, gre.Unsupported, gre.Filtered} {
		if t.Key == "probe.not_here."+string(r) {
			return r
		}
	}
	return gre.Broken
}
