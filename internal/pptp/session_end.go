package pptp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/control"
)

// This file contains the end of a session: its error and its termination.

// makeError returns the Error of an ended session from all observations.
func (s *Session) makeError(evidence string, why error) error {
	for drained := false; !drained; {
		select {
		case u := <-s.icmp:
			s.noteICMP(u)
		default:
			drained = true
		}
	}
	o, l := &s.seen, s.link
	o.up = s.info.MTU != 0
	o.gre = s.call.Stats()
	o.missed, o.unanswered = l.missedPackets(), l.isUnanswered()
	o.step = s.trace.nextStep()
	if o.end == endTime && o.isNegotiating() && !o.isLossy() {
		evidence = l.explainStall(evidence)
	}
	if o.step == StepEncryption && o.serverEnded() && !o.ccpHeard && o.ipcpHeard {
		o.step = StepIP // the server had moved on to IPCP
	}
	step, code := o.findCause()
	e := &Error{Step: step, Code: code, Evidence: s.withCounts(code, evidence), PeerText: o.peerText, Err: why, Server: s.server}
	if step == StepAuth && code == "refused" && e.Err == nil {
		e.Err = &Refused{Text: o.peerText}
	}
	s.trace.setFailed(step, code)
	e.Trace = append([]StepResult(nil), s.trace.results...)
	e.Transcript = s.log.events()
	return e
}

// withCounts appends packet counts and other observations to the evidence.
func (s *Session) withCounts(code, evidence string) string {
	o := &s.seen
	notes := []string{evidence}
	n := o.gre
	switch {
	case o.isLossy() && !o.up:
		notes = []string{fmt.Sprintf("%d of %d packets were lost", o.lostPackets(), o.lostPackets()+n.Received), evidence}
	case code == "timeout" || code == "loss":
		notes = append(notes, fmt.Sprintf("%d GRE packets came, %d were lost, ours acknowledged: %v", n.Received, n.Lost, n.PeerAcked))
	}
	if again := s.link.resentRequests(); again > 0 && (o.end == endTime || code == "loss") {
		notes = append(notes, fmt.Sprintf("%d of our requests were sent again", again))
	}
	if code == "no_outbound" {
		notes = append(notes, fmt.Sprintf("the server sent its request %d times and acknowledged none of our packets", s.link.repeatedRequests+1))
	}
	if o.icmp != nil && !strings.Contains(evidence, o.icmp.String()) {
		notes = append(notes, o.icmp.String())
	}
	if o.step == StepGRE && n.Strays > 0 {
		notes = append(notes, fmt.Sprintf("%d GRE packets came for calls that do not exist", n.Strays))
	}
	if s.rtt >= slowRTT {
		notes = append(notes, fmt.Sprintf("the way is slow: packets take %s there and back", s.rtt.Round(10*time.Millisecond)))
	}
	return strings.Join(slices.DeleteFunc(notes, func(n string) bool { return n == "" }), "; ")
}

// slowRTT is the minimum round-trip time that the evidence mentions.
const slowRTT = 400 * time.Millisecond

func (s *Session) unreadableNote() string {
	if s.seen.unreadableReason == serverSendsPlain {
		return "the server sends IP packets in clear, although encryption was agreed on"
	}
	return "packets of the server decrypt to nonsense"
}

// peerClosedError returns the error of a session whose control connection or call ended.
func (s *Session) peerClosedError(why error) error {
	s.seen.end, s.seen.code = endPeerClosed, "lost"
	evidence := fmt.Sprintf("the control connection ended %s after the call", s.seen.afterCall.Round(time.Millisecond))
	var (
		bye *control.Disconnected
		bad *control.Error
	)
	switch {
	case errors.As(why, &bye):
		s.seen.code = "disconnected"
		evidence = describeNotify(bye.Notify)
	case errors.As(why, &bad):
		if unsent := (*control.Error)(nil); bad.Failure == control.FailureClosed && errors.As(s.linkInfoErr, &unsent) {
			bad = unsent // the write consumed the reset that the read would have returned
		}
		s.seen.code = string(bad.Failure)
		if bad.Failure == control.FailureTimeout {
			s.seen.code = "no_echo"
		}
		evidence = bad.Error()
		if s.info.MTU == 0 {
			evidence += fmt.Sprintf(", %s after the call", s.seen.afterCall.Round(time.Millisecond))
		}
	}
	if s.seen.declined != "" {
		evidence = "the server asks for " + s.link.declinedName + "; " + evidence
	}
	return s.makeError(evidence, why)
}

// terminateSession ends both layers within Timeouts.Close.
func (s *Session) terminateSession(cancel context.CancelFunc, ended <-chan error) {
	ctx, stop := context.WithTimeout(context.Background(), s.cfg.Timeouts.Close)
	defer stop()
	s.link.close(time.Now())
	s.awaitTerminateAck(ctx)
	cancel()
	if err, first := <-ended; first && errors.Is(err, context.Canceled) {
		_ = s.conn.Hangup(ctx, s.call.ID()) // its error is the server's last message, or nothing
	}
	s.conn.Close()
}

// awaitTerminateAck waits for the server's Terminate-Ack, at most a quarter of Timeouts.Close.
func (s *Session) awaitTerminateAck(ctx context.Context) {
	timer := time.NewTimer(s.cfg.Timeouts.Close / 4)
	defer timer.Stop()
	for !s.link.closeConfirmed() {
		select {
		case <-s.frames.wake:
			s.processFrames(time.Now())
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
