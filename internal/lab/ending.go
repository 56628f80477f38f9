package lab

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/control"
)

// Stage is a point of a session's way up.
type Stage string

// The stages, in their order.
const (
	StageCall       Stage = "call"        // the call was taken, no GRE packet was sent
	StageLCP        Stage = "lcp"         // the client's first Configure-Request of LCP came
	StageLogin      Stage = "login"       // the client's answer to the login came, and is not judged
	StageAfterLogin Stage = "after-login" // the login was accepted, nothing followed
	StageCCP        Stage = "ccp"         // the client asked for a key length that the server has, or refused that
	StageIP         Stage = "ip"          // the client's first Configure-Request of IPCP came
)

var stages = []Stage{StageCall, StageLCP, StageLogin, StageAfterLogin, StageCCP, StageIP}

// How is the way in which a server ends a session.
type How string

// The ways.
const (
	HowClosed    How = "closed"    // closes the control connection
	HowReset     How = "reset"     // resets it
	HowCDN       How = "cdn"       // sends a Call-Disconnect-Notify
	HowStop      How = "stop"      // sends a Stop-Control-Connection-Request
	HowTerminate How = "terminate" // sends an LCP Terminate-Request
)

// Ending is where and how a server ends each session. The zero value ends none.
type Ending struct {
	At   Stage
	How  How
	Text string // HowTerminate: the text of the request, possibly empty

	Result  control.DisconnectResult // HowCDN: 1 to 4
	General control.GeneralError     // HowCDN: up to 6
	Cause   control.Cause            // HowCDN: of Q.931
	Reason  control.StopReason       // HowStop: 1 to 3
}

const endingHint = "a stage (call, lcp, login, after-login, ccp, ip) and a way (closed, reset, cdn:2/4/34, stop:3, terminate, terminate:Text)," +
	" as in ends-at:login:cdn:3"

// statistics is what a Call-Disconnect-Notify of the lab says beside its numbers.
const statistics = "frames 0 octets 0 errors 0"

func setEnding(s *Session, param string) error {
	var e Ending
	at, rest, _ := strings.Cut(param, ":")
	for _, stage := range stages {
		if string(stage) == at {
			e.At = stage
		}
	}
	how, detail, has := strings.Cut(rest, ":")
	e.How = How(how)
	var err error
	switch e.How {
	case HowCDN:
		err = e.setNumbers(detail)
	case HowStop:
		var n uint64
		n, err = strconv.ParseUint(detail, 10, 8)
		e.Reason = control.StopReason(n)
		if n < uint64(control.StopNone) || n > uint64(control.StopLocalShutdown) {
			err = errParam
		}
	case HowTerminate:
		if has {
			e.Text, err = parseText(detail, "+,= ")
		}
		if e.At == StageCall { // a Terminate-Request is a GRE packet
			err = errParam
		}
	case HowClosed, HowReset:
		if has {
			err = errParam
		}
	default:
		err = errParam
	}
	if e.At == "" || err != nil {
		return errParam
	}
	s.End = e
	return nil
}

// setNumbers reads the result, the general error and the cause of a
// Call-Disconnect-Notify, as in "2/4/34". The last two may be left out.
func (e *Ending) setNumbers(text string) error {
	most := []uint64{uint64(control.DisconnectRequested), uint64(control.ErrorPAC), 255}
	var numbers [3]uint64
	parts := strings.Split(text, "/")
	if len(parts) > len(most) {
		return errParam
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil || n > most[i] || i == 0 && n == 0 {
			return errParam
		}
		numbers[i] = n
	}
	e.Result = control.DisconnectResult(numbers[0])
	e.General = control.GeneralError(numbers[1])
	e.Cause = control.Cause(numbers[2])
	return nil
}

func getEnding(s *Session) (string, bool) { return s.End.String(), s.End.At != "" }

// String returns the ending in the form that setEnding parses.
func (e Ending) String() string {
	words := []string{string(e.At), string(e.How)}
	switch {
	case e.How == HowStop:
		words = append(words, strconv.Itoa(int(e.Reason)))
	case e.How == HowCDN && e.Cause != 0:
		words = append(words, fmt.Sprintf("%d/%d/%d", e.Result, e.General, e.Cause))
	case e.How == HowCDN && e.General != 0:
		words = append(words, fmt.Sprintf("%d/%d", e.Result, e.General))
	case e.How == HowCDN:
		words = append(words, strconv.Itoa(int(e.Result)))
	case e.Text != "":
		words = append(words, formatText(e.Text))
	}
	return strings.Join(words, ":")
}

// endsAt reports whether the session ends at this stage, and lets it end. s.mu is
// held.
func (s *session) endsAt(at Stage) bool {
	if s.what.End.At != at || s.phase == phaseLeaving {
		return s.ending
	}
	if !s.ending {
		s.ending = true
		s.endAt = s.now.Add(s.what.EndAfter)
		if s.what.EndAfter == 0 {
			s.end()
		}
	}
	return true
}

// end ends the session as its Ending has it. s.mu is held.
func (s *session) end() {
	s.endAt = time.Time{}
	e := s.what.End
	if e.How == HowTerminate {
		s.terminate(e.Text)
		return
	}
	s.phase = phaseLeaving
	s.again = time.Time{}
	switch e.How {
	case HowCDN:
		s.disconnect(e.Result, e.General, e.Cause)
	case HowStop:
		s.door.tell(control.StopCCRQ{Reason: e.Reason})
		s.giveUp = s.now.Add(leaveWait)
	case HowReset:
		s.door.abort()
	default:
		s.door.closeWrite()
		s.giveUp = s.now.Add(leaveWait)
	}
}

// disconnect ends the call with a Call-Disconnect-Notify, and leaves it to the
// client to end the control connection. s.mu is held.
func (s *session) disconnect(r control.DisconnectResult, g control.GeneralError, c control.Cause) {
	s.phase = phaseLeaving
	s.again = time.Time{}
	s.giveUp = s.now.Add(leaveWait)
	s.door.tell(control.CDN{CallID: s.call.ID(), Result: r, General: g, Cause: c, Statistics: statistics})
}

// door is the control connection as a session sees it.
type door interface {
	tell(m control.Message)
	close()
	closeWrite()
	abort()
}
