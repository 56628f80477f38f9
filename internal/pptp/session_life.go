package pptp

import (
	"context"
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// This file is how a session finds out whether its server lives.

// silentSince reports whether GRE has been silent for too long since the call. A
// server whose control connection answers gets more time: its PPP may be slow to
// start.
func (s *Session) silentSince(began, now time.Time) bool {
	if s.trace.lastReached() != StepCall {
		return false
	}
	after := now.Sub(began)
	if after >= s.cfg.Timeouts.GRE/3 && !s.seen.controlEchoSent {
		s.seen.controlEchoSent = true
		s.sendControlEcho()
	}
	if s.controlAlive {
		s.seen.controlEchoAnswered = true
	}
	return after >= s.greTimeout()
}

// rejectedByRouter reports whether a router has said that it rejects our GRE packets,
// and nothing has shown that any of them arrives. The server's own machine is not
// believed so soon: it says the same before its PPP has started.
func (s *Session) rejectedByRouter(began, now time.Time) bool {
	if s.seen.icmp == nil || s.seen.ownICMP || now.Sub(began) < s.cfg.Timeouts.GRE/2 || s.call.Stats().PeerAcked {
		return false
	}
	return s.trace.lastReached() == StepCall || s.link.phase == phaseLCP && s.link.isUnanswered()
}

// greTimeout is how long a session waits for its first GRE packet. More of it helps
// nothing when the packets are rejected on the way, or go elsewhere.
func (s *Session) greTimeout() time.Duration {
	patience := s.cfg.Timeouts.GRE
	if s.controlAlive && s.seen.icmp == nil && s.call.Stats().Strays == 0 {
		patience += patience * 2 / 3
	}
	return patience
}

func (s *Session) silenceNote(after time.Duration) string {
	if s.trace.lastReached() != StepCall {
		return fmt.Sprintf("GRE packets of the server came, and none of ours was acknowledged within %s", after.Round(time.Second))
	}
	answer := "an Echo-Request on the control connection was answered"
	if !s.seen.controlEchoAnswered {
		answer = "an Echo-Request on the control connection was not answered either"
	}
	return fmt.Sprintf("no GRE packet within %s of the call; %s", after.Round(time.Second), answer)
}

func (s *Session) noteICMP(u gre.Unreachable) {
	s.seen.icmp, s.seen.ownICMP = &u, u.From == s.remote
	s.log.add(Event{Protocol: "GRE", Name: "unreachable", ID: -1, Note: u.String()})
}

// sendControlEcho asks the server for a sign of life on the control connection.
func (s *Session) sendControlEcho() {
	s.endControlEcho()
	ctx, cancel := context.WithTimeout(context.Background(), echoSendTimeout)
	defer cancel()
	answered, forget, err := s.conn.Echo(ctx)
	if err != nil {
		return // the connection's own end tells why
	}
	s.controlEcho, s.cancelEcho = answered, forget
}

func (s *Session) endControlEcho() {
	if s.cancelEcho != nil {
		s.cancelEcho()
	}
	s.controlEcho, s.cancelEcho = nil, nil
}

// tunnelWasActive reports whether GRE packets came since the last call. A server may
// answer no Echo-Request of RFC 2637 and yet carry data.
func (s *Session) tunnelWasActive() bool {
	n := s.call.Stats().Received
	return s.lastReceived.Swap(n) != n
}

// controlWasActive reports whether the control connection was alive since the last
// call.
func (s *Session) controlWasActive() bool {
	alive := s.controlAlive
	s.controlAlive = false
	return alive
}
