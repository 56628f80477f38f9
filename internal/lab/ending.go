package lab

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/control"
)

// Stage is a point in the setup of a session.
type Stage string

// The stages, in order.
const (
	StageCall       Stage = "call"        // the call was accepted, no GRE packet was sent
	StageLCP        Stage = "lcp"         // the client's first Configure-Request of LCP arrived
	StageLogin      Stage = "login"       // the client's answer to the login arrived and gets no reply
	StageAfterLogin Stage = "after-login" // the login was accepted, nothing followed
	StageCCP        Stage = "ccp"         // the client requested a key length that the server supports, or refused one
	StageIP         Stage = "ip"          // the client's first Configure-Request of IPCP arrived
)

var stages = []Stage{StageCall, StageLCP, StageLogin, StageAfterLogin, StageCCP, StageIP}

// EndMethod is how a server ends a session.
type EndMethod string

// The methods.
const (
	EndClosed    EndMethod = "closed"    // closes the control connection
	EndReset     EndMethod = "reset"     // resets the control connection
	EndCDN       EndMethod = "cdn"       // sends a Call-Disconnect-Notify
	EndStop      EndMethod = "stop"      // sends a Stop-Control-Connection-Request
	EndTerminate EndMethod = "terminate" // sends an LCP Terminate-Request
)

// Ending says where and how a server ends each session. The zero value ends none.
type Ending struct {
	At     Stage
	Method EndMethod
	Text   string // EndTerminate: the text of the request, possibly empty

	Result  control.DisconnectResult // EndCDN: 1 to 4
	General control.GeneralError     // EndCDN: up to 6
	Cause   control.Cause            // EndCDN: of Q.931
	Reason  control.StopReason       // EndStop: 1 to 3
}

const endingHint = "a stage (call, lcp, login, after-login, ccp, ip) and a way (closed, reset, cdn:2/4/34, stop:3, terminate, terminate:Text)," +
	" as in ends-at:login:cdn:3"

// statistics is the text in every Call-Disconnect-Notify of the lab.
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
	e.Method = EndMethod(how)
	var err error
	switch e.Method {
	case EndCDN:
		err = e.setNumbers(detail)
	case EndStop:
		var n uint64
		n, err = strconv.ParseUint(detail, 10, 8)
		e.Reason = control.StopReason(n)
		if n < uint64(control.StopNone) || n > uint64(control.StopLocalShutdown) {
			err = errParam
		}
	case EndTerminate:
		if has {
			e.Text, err = parseText(detail, "+,= ")
		}
		if e.At == StageCall { // a Terminate-Request is a GRE packet
			err = errParam
		}
	case EndClosed, EndReset:
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

// setNumbers parses the result, the general error and the cause of a
// Call-Disconnect-Notify, as in "2/4/34". The last two are optional.
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
	words := []string{string(e.At), string(e.Method)}
	switch {
	case e.Method == EndStop:
		words = append(words, strconv.Itoa(int(e.Reason)))
	case e.Method == EndCDN && e.Cause != 0:
		words = append(words, fmt.Sprintf("%d/%d/%d", e.Result, e.General, e.Cause))
	case e.Method == EndCDN && e.General != 0:
		words = append(words, fmt.Sprintf("%d/%d", e.Result, e.General))
	case e.Method == EndCDN:
		words = append(words, strconv.Itoa(int(e.Result)))
	case e.Text != "":
		words = append(words, formatText(e.Text))
	}
	return strings.Join(words, ":")
}

// endsAt reports whether the session ends at this stage, and begins that end. s.mu must
// be held.
func (s *session) endsAt(at Stage) bool {
	if s.spec.End.At != at || s.phase == phaseLeaving {
		return s.ending
	}
	if !s.ending {
		s.ending = true
		s.endAt = s.now.Add(s.spec.EndAfter)
		if s.spec.EndAfter == 0 {
			s.endSession()
		}
	}
	return true
}

// endSession ends the session as its Ending says. s.mu must be held.
func (s *session) endSession() {
	s.endAt = time.Time{}
	e := s.spec.End
	if e.Method == EndTerminate {
		s.terminateLink(e.Text)
		return
	}
	s.phase = phaseLeaving
	s.repeatAt = time.Time{}
	switch e.Method {
	case EndCDN:
		s.sendDisconnect(e.Result, e.General, e.Cause)
	case EndStop:
		s.control.sendMessage(control.StopCCRQ{Reason: e.Reason})
		s.giveUp = s.now.Add(leaveWait)
	case EndReset:
		s.control.abort()
	default:
		s.control.closeWrite()
		s.giveUp = s.now.Add(leaveWait)
	}
}

// sendDisconnect ends the call with a Call-Disconnect-Notify; the client must then end
// the control connection. s.mu must be held.
func (s *session) sendDisconnect(r control.DisconnectResult, g control.GeneralError, c control.Cause) {
	s.phase = phaseLeaving
	s.repeatAt = time.Time{}
	s.giveUp = s.now.Add(leaveWait)
	s.control.sendMessage(control.CDN{CallID: s.call.ID(), Result: r, General: g, Cause: c, Statistics: statistics})
}

// controlConn is the control connection of a session.
type controlConn interface {
	sendMessage(m control.Message)
	close()
	closeWrite()
	abort()
}
