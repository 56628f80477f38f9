package pptp

import (
	"context"
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// This file decides whether the server is alive.

// silentSince reports whether GRE has been silent for too long since the call. A
// server whose control connection answers gets more time, because its PPP may start
// late.
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

// rejectedByRouter reports whether a router rejects our GRE packets and nothing shows
// that any of them arrives. The same ICMP error from the server's own machine is not
// enough: it sends that before its PPP has started.
func (s *Session) rejectedByRouter(began, now time.Time) bool {
	if s.seen.icmp == nil || s.seen.ownICMP || now.Sub(began) < s.cfg.Timeouts.GRE/2 || s.call.Stats().PeerAcked {
		return false
	}
	return s.trace.lastReached() == StepCall || s.link.phase == phaseLCP && s.link.isUnanswered()
}

// greTimeout returns how long a session waits for its first GRE packet. A longer wait
// does not help if the packets are rejected on the way or carry another call id.
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

// sendControlEcho sends an Echo-Request on the control connection.
func (s *Session) sendControlEcho() {
	s.endControlEcho()
	ctx, cancel := context.WithTimeout(context.Background(), echoSendTimeout)
	defer cancel()
	answered, forget, err := s.conn.Echo(ctx)
	if err != nil {
		return // Run returns the error of the connection
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
// carry data without answering the Echo-Requests of RFC 2637.
func (s *Session) tunnelWasActive() bool {
	n := s.call.Stats().Received
	return s.lastReceived.Swap(n) != n
}

// controlWasActive reports whether the control connection answered an Echo-Request since
// the last call.
func (s *Session) controlWasActive() bool {
	alive := s.controlAlive
	s.controlAlive = false
	return alive
}
