package gre

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Reason says why this machine cannot use GRE.
type Reason string

const (
	// NoCapability means that the process lacks CAP_NET_RAW.
	NoCapability Reason = "no_cap_net_raw"
	// Forbidden means that the process has CAP_NET_RAW but seccomp or a security
	// module refuses the socket.
	Forbidden Reason = "forbidden"
	// Unsupported means that the kernel has no raw sockets, as in some sandboxes.
	Unsupported Reason = "unsupported"
	// Filtered means that a packet was sent and did not arrive, so a local firewall drops
	// IP protocol 47.
	Filtered Reason = "filtered"
	// Broken means another error; see Unavailable.Err.
	Broken Reason = "broken"
)

// Unavailable is the error of SelfTest: a fact about this machine, never about
// a server.
type Unavailable struct {
	Reason Reason
	Err    error
}

func (e *Unavailable) Error() string {
	if e.Err == nil {
		return "GRE is not available here: " + string(e.Reason)
	}
	return fmt.Sprintf("GRE is not available here: %s: %v", e.Reason, e.Err)
}

func (e *Unavailable) Unwrap() error { return e.Err }

// selfTestWait bounds the time of a packet over the loopback interface.
const selfTestWait = 2 * time.Second

// SelfTest sends a packet from 127.0.0.1 to 127.0.0.2 through wires that open
// returns, and waits for it. Every error is an *Unavailable.
func SelfTest(ctx context.Context, open Opener) error {
	ctx, cancel := context.WithTimeout(ctx, selfTestWait)
	defer cancel()
	from, to := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.AddrFrom4([4]byte{127, 0, 0, 2})
	ear := &selfTestHandler{received: make(chan struct{}, 1)}
	mux := NewMux(open)
	b, err := mux.Open(to, from, ear)
	if err != nil {
		return classifyError(err)
	}
	defer b.Close()
	a, err := mux.Open(from, to, ear)
	if err != nil {
		return classifyError(err)
	}
	defer a.Close()
	a.SetPeerID(b.ID())
	frame := make([]byte, Headroom, Headroom+8)
	for range 8 {
		frame = append(frame, byte(rand.Uint32()))
	}
	if err := a.Send(frame); err != nil {
		return classifyError(err)
	}
	select {
	case <-ear.received:
		return nil
	case <-ctx.Done():
		return &Unavailable{Reason: Filtered, Err: ctx.Err()}
	}
}

type selfTestHandler struct{ received chan struct{} }

func (e *selfTestHandler) Deliver(b *Buffer) {
	b.Release()
	select {
	case e.received <- struct{}{}:
	default:
	}
}
func (e *selfTestHandler) Flush()                  {}
func (e *selfTestHandler) Unreachable(Unreachable) {}

// classifyError converts the error of opening or using a wire to an *Unavailable.
func classifyError(err error) error {
	if known, ok := errors.AsType[*Unavailable](err); ok {
		return known
	}
	u := &Unavailable{Reason: Broken, Err: err}
	switch {
	case errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES):
		u.Reason = NoCapability
		if hasNetRaw() {
			u.Reason = Forbidden
		}
	case errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EPROTONOSUPPORT) || errors.Is(err, errors.ErrUnsupported):
		u.Reason = Unsupported
	}
	return u
}

// AsUnavailable reports whether err, from Mux.Open, is about this machine.
func AsUnavailable(err error) (*Unavailable, bool) {
	var u *Unavailable
	if errors.As(classifyError(err), &u) && u.Reason != Broken {
		return u, true
	}
	return nil, false
}

// hasNetRaw reads the effective capabilities of this process, proc(5).
func hasNetRaw() bool {
	const capNetRaw = 13
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "CapEff:"); ok {
			bits, err := strconv.ParseUint(strings.TrimSpace(v), 16, 64)
			return err == nil && bits>>capNetRaw&1 == 1
		}
	}
	return false
}
