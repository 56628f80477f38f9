package pptp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// Dial climbs the ladder to a session that is up. The error is an *Error when
// it is a fact about the server or the way to it, an *Unavailable when this
// machine cannot speak GRE, Config.Found's when that said no, and wraps the
// context's when that ended it.
//
// A password outside ASCII has two hashes (see mschap.WidenedNTHash); when the
// server refuses one and hangs up, Dial calls once more with the other.
func Dial(ctx context.Context, cfg Config) (*Session, error) {
	cfg = cfg.withDefaults()
	whole, cancel := context.WithTimeout(ctx, cfg.Timeouts.All)
	defer cancel()
	d := &dialer{cfg: cfg, climb: climb{began: time.Now(), onStep: cfg.OnStep}}
	d.log = &transcript{began: d.climb.began}
	s, err := d.dial(whole, false)
	var again *secondForm
	if errors.As(err, &again) {
		d.climb.rungs = nil
		s, err = d.dial(whole, true)
	}
	if err == nil {
		return s, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("pptp: %s: %w", d.climb.next(), context.Cause(ctx))
	}
	var e *Error
	if errors.As(err, &e) {
		return nil, e
	}
	return nil, err
}

// secondForm marks a refusal that the other form of the password may turn.
type secondForm struct{ first *Error }

func (e *secondForm) Error() string { return e.first.Error() }
func (e *secondForm) Unwrap() error { return e.first }

type dialer struct {
	cfg   Config
	climb climb
	log   *transcript
}

// fail ends the climb with an Error about a step before the session.
func (d *dialer) fail(step Step, code, evidence string, err error) error {
	d.climb.failed(step, code)
	return &Error{Step: step, Code: code, Evidence: evidence, Err: err,
		Rungs: append([]Rung(nil), d.climb.rungs...), Transcript: d.log.events()}
}

func (d *dialer) dial(ctx context.Context, widened bool) (*Session, error) {
	addr, err := d.resolve(ctx)
	if err != nil {
		return nil, err
	}
	if d.cfg.Found != nil {
		if err := d.cfg.Found(addr); err != nil {
			return nil, err
		}
	}
	nc, err := d.connect(ctx, addr)
	if err != nil {
		return nil, err
	}
	s, err := d.call(ctx, nc, addr, widened)
	if err != nil {
		return nil, err
	}
	go s.run()
	return s, d.await(ctx, s)
}

// await waits until the session is up, or has ended and is gone.
func (d *dialer) await(ctx context.Context, s *Session) error {
	select {
	case <-s.up:
		return nil
	case <-s.over:
	case <-ctx.Done():
		s.Close()
	}
	<-s.done
	select {
	case <-s.up: // it came up in the same moment
	default:
	}
	d.climb = s.climb
	if s.err == nil { // our own time is up
		return s.dialError(d.fail(d.climb.next(), "timeout", "the whole probe took too long", ctx.Err()))
	}
	if s.link.err != nil && s.link.canWiden() && errors.As(s.err, new(*Refused)) {
		var e *Error
		if errors.As(s.err, &e) && (e.Code == "691" || e.Code == "refused") && s.link.login.keys {
			return &secondForm{e}
		}
	}
	return s.err
}

func (s *Session) dialError(err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.Server = s.server
	}
	return err
}

func (d *dialer) resolve(ctx context.Context) (netip.Addr, error) {
	if a, err := netip.ParseAddr(d.cfg.Address); err == nil {
		if a = a.Unmap(); !a.Is4() {
			return a, d.fail(StepResolve, "no_ipv4", "PPTP needs an IPv4 address", nil)
		}
		d.climb.reached(StepResolve, "")
		return a, nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeouts.Resolve)
	defer cancel()
	list, err := d.cfg.Resolve(ctx, d.cfg.Address)
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound {
			return netip.Addr{}, d.fail(StepResolve, "nxdomain", "no such host", err)
		}
		return netip.Addr{}, d.fail(StepResolve, "temporary", "the name server did not answer", err)
	}
	for _, a := range list {
		if a = a.Unmap(); a.Is4() {
			d.climb.reached(StepResolve, a.String())
			return a, nil
		}
	}
	return netip.Addr{}, d.fail(StepResolve, "no_ipv4", "the name has no IPv4 address", nil)
}

func (d *dialer) connect(ctx context.Context, addr netip.Addr) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeouts.TCP)
	defer cancel()
	nc, err := d.cfg.DialTCP(ctx, "tcp4", net.JoinHostPort(addr.String(), strconv.Itoa(int(d.cfg.Port))))
	if err == nil {
		d.climb.reached(StepTCP, nc.LocalAddr().String())
		return nc, nil
	}
	code, evidence := "failed", "the connection could not be made"
	var ne net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		code, evidence = "refused", "nothing listens there"
	case errors.Is(err, syscall.ECONNRESET):
		code, evidence = "reset", "the connection was reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		code, evidence = "unreachable", "no way to that address"
	case errors.As(err, &ne) && ne.Timeout():
		code, evidence = "timeout", "no answer"
	}
	return nil, d.fail(StepTCP, code, evidence, err)
}

// call opens the control connection and places the call; the session that it
// returns is to be run.
func (d *dialer) call(ctx context.Context, nc net.Conn, addr netip.Addr, widened bool) (*Session, error) {
	local, err := localAddr(nc)
	if err != nil {
		nc.Close()
		return nil, err
	}
	cc := d.cfg.Control
	cc.Trace = func(sent bool, m control.Message) { d.log.add(describeControl(sent, m)) }
	if cc.Window == 0 {
		cc.Window = gre.Window
	}
	conn := control.NewConn(nc, cc)
	s := &Session{
		cfg: d.cfg, conn: conn, local: local, remote: addr, log: d.log,
		frames: newQueue(controlQueue), data: newQueue(unreadQueue), icmp: make(chan gre.Unreachable, 1),
		up: make(chan struct{}), closing: make(chan struct{}), over: make(chan struct{}), done: make(chan struct{}),
		pings: make(chan chan<- time.Duration), resetWanted: make(chan struct{}, 1), trouble: make(chan *Error, 1), mtu: DefaultMTU,
	}
	if err := d.place(ctx, s); err != nil {
		if s.call != nil {
			s.call.Close()
		}
		conn.Close()
		return nil, s.dialError(err)
	}
	s.link = newLink(&s.cfg, linkHooks{
		send: s.sendFrame, event: s.log.add, keyed: s.keyed, flush: s.flush, astray: s.astray,
		reached: func(step Step, note string) { s.climb.reached(step, note) },
	}, s.server.Vendor == "linux")
	s.link.login.widened = widened
	s.climb = d.climb
	return s, nil
}

func localAddr(nc net.Conn) (netip.Addr, error) {
	a, err := netip.ParseAddrPort(nc.LocalAddr().String())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("pptp: local address of the control connection: %w", err)
	}
	return a.Addr().Unmap(), nil
}

// place does the steps control and call.
func (d *dialer) place(ctx context.Context, s *Session) error {
	start, cancel := context.WithTimeout(ctx, d.cfg.Timeouts.Control)
	defer cancel()
	reply, err := s.conn.Start(start)
	s.server = Server{Vendor: clean(reply.Vendor), Host: clean(reply.Host), Firmware: reply.Firmware}
	if err != nil {
		return d.controlError(StepControl, err)
	}
	d.climb.reached(StepControl, s.server.Vendor)

	// The socket is open before the server knows the call, so that no packet of
	// it meets a closed door.
	s.call, err = d.cfg.GRE.Open(s.local, s.remote, s)
	if err != nil {
		_ = s.conn.Stop(ctx)
		if u, ok := gre.AsUnavailable(err); ok {
			return u
		}
		return err
	}
	calling, cancel := context.WithTimeout(ctx, d.cfg.Timeouts.Call)
	defer cancel()
	ocrp, err := s.conn.Call(calling, s.call.ID(), s.call.ID())
	if err != nil {
		return d.controlError(StepCall, err)
	}
	s.call.SetPeerID(ocrp.CallID)
	if err := s.conn.SetLinkInfo(ctx, ocrp.CallID); err != nil {
		return d.controlError(StepCall, err)
	}
	d.climb.reached(StepCall, fmt.Sprintf("call id %d", ocrp.CallID))
	return nil
}

// controlError makes an Error of what the control connection says.
func (d *dialer) controlError(step Step, err error) error {
	code := control.CodeOf(err)
	if code == "" {
		if errors.Is(err, context.DeadlineExceeded) {
			return d.fail(step, "timeout", "the server did not answer in time", err)
		}
		return fmt.Errorf("pptp: %s: %w", step, err)
	}
	// A server that says "you are connected already" answers the start, and it is
	// the call that this refuses: the step is ours to name.
	_, name, _ := strings.Cut(code, ".")
	return d.fail(step, name, err.Error(), err)
}
