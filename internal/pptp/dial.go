package pptp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// Dial opens a session step by step and returns when it is up. The error is an *Error
// if it is a fact about the server or the path to it, an *Unavailable if this machine
// cannot use GRE, or the error of Config.OnAddress; it wraps the context's error if ctx
// ended the dial.
//
// Dial calls a second time after a server refused one form of a password outside
// ASCII, which has two forms (see mschap.WidenedNTHash), or hung up because we asked
// for a stronger login than the one it offered. If the second call gets no further, Dial
// reports the first one.
func Dial(ctx context.Context, cfg Config) (*Session, error) {
	cfg = cfg.withDefaults()
	whole, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := time.AfterFunc(cfg.Timeouts.All, func() { cancel(errDialTimeout) })
	defer limit.Stop()
	d := &dialer{cfg: cfg, wholeTimer: limit, trace: trace{began: time.Now(), onStep: cfg.OnStep}}
	d.log = &transcript{began: d.trace.began}
	s, err := d.dialOnce(whole)
	var first *Error
	for range 2 {
		var again *secondCall
		if !errors.As(err, &again) {
			break
		}
		first = again.first
		s, err = d.dialAgain(whole, again)
	}
	if err == nil {
		return s, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("pptp: %s: %w", d.trace.nextStep(), context.Cause(ctx))
	}
	var e *Error
	if !errors.As(err, &e) {
		return nil, err
	}
	if first != nil && e.Step.index() < first.Step.index() {
		first.Evidence += fmt.Sprintf("; a second call ended earlier, with %s: %s", e.Cause(), e.Evidence)
		e = first
	}
	if cfg.OnStep != nil && len(e.Trace) > 0 {
		cfg.OnStep(e.Trace[len(e.Trace)-1])
	}
	return nil, e
}

// errDialTimeout ends a Dial that exceeded Timeouts.All.
var errDialTimeout = errors.New("pptp: the time for the whole dial is over")

type dialer struct {
	cfg        Config
	trace      trace
	log        *transcript
	wholeTimer *time.Timer // of the whole Dial

	connectTime time.Duration // duration of the TCP connect
	rtt         time.Duration

	widenPassword  bool // log in with the second form of the password
	acceptWeakAuth bool // accept the login that the server offers first
}

// failStep ends the trace and returns the Error of a step before the session exists.
func (d *dialer) failStep(o observed, evidence string, err error) error {
	step, code := o.findCause()
	d.trace.setFailed(step, code)
	return &Error{Step: step, Code: code, Evidence: evidence, Err: err,
		Trace: append([]StepResult(nil), d.trace.results...), Transcript: d.log.events()}
}

func (d *dialer) dialOnce(ctx context.Context) (*Session, error) {
	list, err := d.resolveAddress(ctx)
	if err != nil {
		return nil, err
	}
	nc, addr, err := d.connectTCP(ctx, list)
	if err != nil {
		return nil, err
	}
	s, err := d.setUpSession(ctx, nc, addr)
	if err != nil {
		return nil, err
	}
	go s.run()
	return s, d.awaitSession(ctx, s)
}

// awaitSession waits until the session is up, or has ended and released its resources.
func (d *dialer) awaitSession(ctx context.Context, s *Session) error {
	select {
	case <-s.up:
		return nil
	case <-s.ended:
	case <-ctx.Done():
		s.dialTimedOut.Store(true)
		s.Close()
	}
	<-s.done
	select {
	case <-s.up: // it came up at the same moment
	default:
	}
	d.trace = s.trace
	var e *Error
	if !errors.As(s.err, &e) {
		return context.Cause(ctx) // the caller of Dial gave up
	}
	if why := s.secondCallReason(e); why != "" && ctx.Err() == nil {
		return &secondCall{why, e}
	}
	return e
}

func (s *Session) dialError(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		e.Server = s.server
	}
	return err
}

// resolveAddress returns the addresses to dial, at most MaxAddresses.
func (d *dialer) resolveAddress(ctx context.Context) ([]netip.Addr, error) {
	failed := func(reason, evidence string, err error) ([]netip.Addr, error) {
		return nil, d.failStep(observed{end: endLookup, step: StepResolve, code: reason}, evidence, err)
	}
	if a, err := netip.ParseAddr(d.cfg.Address); err == nil {
		if a = a.Unmap(); !a.Is4() {
			return failed("no_ipv4", "PPTP needs an IPv4 address", nil)
		}
		d.trace.addReached(StepResolve, "")
		return []netip.Addr{a}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeouts.Resolve)
	defer cancel()
	found, err := d.cfg.Resolve(ctx, d.cfg.Address)
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound {
			return failed("nxdomain", "no such host", err)
		}
		return failed("temporary", "the name server did not answer", err)
	}
	list := UsableAddresses(found)
	if len(list) == 0 {
		return failed("no_ipv4", "the name has no IPv4 address", nil)
	}
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.String()
	}
	d.trace.addReached(StepResolve, strings.Join(names, ", "))
	return list, nil
}

// MaxAddresses is how many addresses of a name are tried.
const MaxAddresses = 4

// UsableAddresses returns the IPv4 addresses of list in their order, without duplicates,
// at most MaxAddresses.
func UsableAddresses(list []netip.Addr) []netip.Addr {
	var usable []netip.Addr
	for _, a := range list {
		if a = a.Unmap(); a.Is4() && !slices.Contains(usable, a) && len(usable) < MaxAddresses {
			usable = append(usable, a)
		}
	}
	return usable
}

// connectTCP opens the control connection to the first address that accepts it.
func (d *dialer) connectTCP(ctx context.Context, list []netip.Addr) (net.Conn, netip.Addr, error) {
	var (
		errs  []error
		notes []string
		code  string
	)
	each := max(d.cfg.Timeouts.TCP/time.Duration(len(list)), min(minConnectTime, d.cfg.Timeouts.TCP))
	for _, addr := range list {
		if d.cfg.OnAddress != nil {
			if err := d.cfg.OnAddress(addr); err != nil {
				return nil, addr, err
			}
		}
		began := time.Now()
		one, cancel := context.WithTimeout(ctx, each)
		nc, err := d.cfg.DialTCP(one, "tcp4", net.JoinHostPort(addr.String(), strconv.Itoa(int(d.cfg.Port))))
		cancel()
		if err == nil {
			d.connectTime = time.Since(began)
			d.trace.addReached(StepTCP, strings.Join(append([]string{nc.LocalAddr().String()}, notes...), "; "))
			return nc, addr, nil
		}
		reason, evidence := connectFailure(err)
		if code == "" || reason == "refused" {
			code = reason // a refusal is better evidence than silence
		}
		if len(list) > 1 {
			evidence = addr.String() + ": " + evidence
		}
		errs, notes = append(errs, err), append(notes, evidence)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, list[0], d.failStep(observed{end: endConnect, step: StepTCP, code: code}, strings.Join(notes, "; "), errors.Join(errs...))
}

// minConnectTime is the minimum connect timeout for each address of a name.
const minConnectTime = 2 * time.Second

// connectFailure returns why a connect failed, as a code and in words.
func connectFailure(err error) (code, evidence string) {
	var ne net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused", "nothing listens there"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset", "the connection was reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EHOSTDOWN), errors.Is(err, syscall.ENOPROTOOPT):
		return "unreachable", "no route to that address (host unreachable)"
	case errors.Is(err, syscall.ENETUNREACH):
		return "unreachable", "no route to that address (network unreachable)"
	case errors.As(err, &ne) && ne.Timeout(), errors.Is(err, context.Canceled): // the timeout of the whole Dial expired
		return "timeout", "no answer"
	}
	return "failed", "the connection could not be made"
}

// estimateRTT sets the round-trip time from the times that the server took to answer the
// start and the call. The RTT is at most the shorter of them, and at least the time of
// the connect, which a host that forwards the port may answer in place of the server.
func (d *dialer) estimateRTT(start, call time.Duration) { d.rtt = max(d.connectTime, min(start, call)) }

// setUpSession opens the control connection and places the call. The caller must run
// the session that it returns.
func (d *dialer) setUpSession(ctx context.Context, nc net.Conn, addr netip.Addr) (*Session, error) {
	local, err := localAddr(nc)
	if err != nil {
		nc.Close()
		return nil, err
	}
	s := &Session{
		cfg: d.cfg, local: local, remote: addr, log: d.log,
		frames: newQueue(controlQueue), data: newQueue(unreadQueue), icmp: make(chan gre.Unreachable, 1),
		up: make(chan struct{}), closing: make(chan struct{}), ended: make(chan struct{}), done: make(chan struct{}),
		echoRequests: make(chan chan<- time.Duration), resetWanted: make(chan struct{}, 1), unreadableSeen: make(chan unreadableReason, 1), mtu: DefaultMTU,
	}
	cc := d.cfg.Control
	cc.OnMessage = func(sent bool, m control.Message) { d.log.add(describeControl(sent, m)) }
	cc.Alive = s.tunnelWasActive
	if cc.Window == 0 {
		cc.Window = gre.Window
	}
	s.conn = control.NewConn(nc, cc)
	if err := d.placeCall(ctx, s); err != nil {
		if s.call != nil {
			s.call.Close()
		}
		s.conn.Close()
		return nil, s.dialError(err)
	}
	s.rtt = d.rtt
	s.cfg.Timeouts.extendForRTT(d.rtt)
	d.wholeTimer.Reset(s.cfg.Timeouts.All - time.Since(d.trace.began))
	s.link = newLink(&s.cfg, &s.seen, linkHooks{
		send: s.sendFrame, event: s.log.add, setKeys: s.setKeys, flush: s.flushStream, keyMismatch: s.handleKeyMismatch,
		reached:         func(step Step, note string) { s.trace.addReached(step, note) },
		sendControlEcho: s.sendControlEcho, controlAlive: s.controlWasActive, countRejection: func() { s.rejections.Add(1) },
	}, s.server.Vendor == "linux", d.rtt)
	s.link.auth.widened, s.link.acceptWeakAuth = d.widenPassword, d.acceptWeakAuth
	s.trace = d.trace
	return s, nil
}

func localAddr(nc net.Conn) (netip.Addr, error) {
	a, err := netip.ParseAddrPort(nc.LocalAddr().String())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("pptp: local address of the control connection: %w", err)
	}
	return a.Addr().Unmap(), nil
}

// placeCall performs the steps control and call.
func (d *dialer) placeCall(ctx context.Context, s *Session) error {
	start, cancel := context.WithTimeout(ctx, d.cfg.Timeouts.Control)
	defer cancel()
	asked := time.Now()
	reply, err := s.conn.Start(start)
	s.server = Server{Vendor: cleanText(reply.Vendor), Host: cleanText(reply.Host), Firmware: reply.Firmware}
	if err != nil {
		return d.controlError(StepControl, err)
	}
	started := time.Since(asked)
	d.trace.addReached(StepControl, s.server.Vendor)

	// Open the socket before the server learns of the call, so that none of its packets
	// is rejected.
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
	asked = time.Now()
	ocrp, err := s.conn.Call(calling, s.call.ID(), s.call.ID())
	if err != nil {
		return d.controlError(StepCall, err)
	}
	d.estimateRTT(started, time.Since(asked))
	s.call.SetPeerID(ocrp.CallID)
	d.trace.addReached(StepCall, fmt.Sprintf("call id %d", ocrp.CallID))
	// If the server has closed the connection by now, it may have said why; the session reads that.
	s.linkInfoErr = s.conn.SetLinkInfo(ctx, ocrp.CallID)
	return nil
}

// controlError converts an error of the control connection to an Error.
func (d *dialer) controlError(step Step, err error) error {
	failed := func(reason, evidence string) error {
		return d.failStep(observed{end: endControl, step: step, code: reason}, evidence, err)
	}
	code := control.CodeOf(err)
	if code == "" {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return failed("timeout", "the server did not answer in time")
		}
		return fmt.Errorf("pptp: %s: %w", step, err)
	}
	evidence := err.Error()
	if bye, ok := errors.AsType[*control.Disconnected](err); ok {
		evidence = describeNotify(bye.Notify)
	}
	// "You are connected already" answers the start but refuses the call, so the error
	// names our step, not the one in the code.
	_, reason, _ := strings.Cut(code, ".")
	return failed(reason, evidence)
}
