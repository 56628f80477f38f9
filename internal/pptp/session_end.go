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

// This file is the end of a session: what is told of it, and the leave.

// conclude makes the Error of a session that ended, from all that was observed.
func (s *Session) conclude(evidence string, why error) error {
	for drained := false; !drained; {
		select {
		case u := <-s.icmp:
			s.noteICMP(u)
		default:
			drained = true
		}
	}
	o, l := &s.seen, s.link
	o.up = s.upInfo.MTU != 0
	o.gre = s.call.Stats()
	o.missed, o.unheard = l.missedPackets(), l.unheard()
	o.step = s.climb.next()
	if o.end == endTime && o.negotiates() && !o.lossy() {
		evidence = l.explainStall(evidence)
	}
	if o.step == StepEncryption && o.serverEnded() && !o.ccpHeard && o.ipcpHeard {
		o.step = StepIP // the server had gone on to that
	}
	step, code := o.cause()
	e := &Error{Step: step, Code: code, Evidence: s.withCounts(code, evidence), PeerText: o.text, Err: why, Server: s.server}
	if step == StepAuth && code == "refused" && e.Err == nil {
		e.Err = &Refused{Text: o.text}
	}
	s.climb.failed(step, code)
	e.Rungs = append([]Rung(nil), s.climb.rungs...)
	e.Transcript = s.log.events()
	return e
}

// withCounts adds to the evidence what was counted and what came from elsewhere.
func (s *Session) withCounts(code, evidence string) string {
	o := &s.seen
	notes := []string{evidence}
	n := o.gre
	switch {
	case o.lossy() && !o.up:
		notes = []string{fmt.Sprintf("%d of %d packets were lost", o.lost(), o.lost()+n.Received), evidence}
	case code == "timeout" || code == "loss":
		notes = append(notes, fmt.Sprintf("%d GRE packets came, %d were lost, ours acknowledged: %v", n.Received, n.Lost, n.PeerAcked))
	}
	if again := s.link.resentRequests(); again > 0 && (o.end == endTime || code == "loss") {
		notes = append(notes, fmt.Sprintf("%d of our requests were sent again", again))
	}
	if code == "no_outbound" {
		notes = append(notes, fmt.Sprintf("the server sent its request %d times and acknowledged none of our packets", s.link.sameReq+1))
	}
	if o.icmp != nil && !strings.Contains(evidence, o.icmp.String()) {
		notes = append(notes, o.icmp.String())
	}
	if o.step == StepGRE && n.Strays > 0 {
		notes = append(notes, fmt.Sprintf("%d GRE packets came for calls that do not exist", n.Strays))
	}
	if s.rtt >= slowWay {
		notes = append(notes, fmt.Sprintf("the way is slow: packets take %s there and back", s.rtt.Round(10*time.Millisecond)))
	}
	return strings.Join(slices.DeleteFunc(notes, func(n string) bool { return n == "" }), "; ")
}

// slowWay is the round-trip time from which on a failure is told with it.
const slowWay = 400 * time.Millisecond

func (s *Session) unreadableNote() string {
	if s.seen.unreadable == serverSendsPlain {
		return "the server sends IP packets in clear, although encryption was agreed on"
	}
	return "packets of the server decrypt to nonsense"
}

// hungUp is the error of a session whose control connection or call ended.
func (s *Session) hungUp(why error) error {
	s.seen.end, s.seen.said = endHungUp, "lost"
	evidence := fmt.Sprintf("the control connection ended %s after the call", s.seen.afterCall.Round(time.Millisecond))
	var (
		bye *control.Disconnected
		bad *control.Error
	)
	switch {
	case errors.As(why, &bye):
		s.seen.said = "disconnected"
		evidence = describeNotify(bye.Notify)
	case errors.As(why, &bad):
		if unsent := (*control.Error)(nil); bad.Seen == control.SeenClosed && errors.As(s.unsent, &unsent) {
			bad = unsent // the write took the reset that the read would have met
		}
		s.seen.said = string(bad.Seen)
		if bad.Seen == control.SeenTimeout {
			s.seen.said = "no_echo"
		}
		evidence = bad.Error()
		if s.upInfo.MTU == 0 {
			evidence += fmt.Sprintf(", %s after the call", s.seen.afterCall.Round(time.Millisecond))
		}
	}
	if s.seen.declined != "" {
		evidence = "the server asks for " + s.link.declinedName + "; " + evidence
	}
	return s.conclude(evidence, why)
}

// leave says goodbye on both layers, within the time that Close may take.
func (s *Session) leave(cancel context.CancelFunc, ended <-chan error) {
	ctx, stop := context.WithTimeout(context.Background(), s.cfg.Timeouts.Close)
	defer stop()
	s.link.close(time.Now())
	s.terminate(ctx)
	cancel()
	if err, first := <-ended; first && errors.Is(err, context.Canceled) {
		_ = s.conn.Hangup(ctx, s.call.ID()) // its errors are the server's last word, or none
	}
	s.conn.Close()
}

// terminate waits for the server's Terminate-Ack, for a quarter of the time.
func (s *Session) terminate(ctx context.Context) {
	timer := time.NewTimer(s.cfg.Timeouts.Close / 4)
	defer timer.Stop()
	for !s.link.quiet() {
		select {
		case <-s.frames.wake:
			s.drain(time.Now())
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
