package ppp

import (
	"bytes"
	"time"
)

// Policy is what one side of a negotiation wants and takes. LCPOptions,
// CCPOptions and IPCPOptions are the policies of this package.
type Policy interface {
	// Request appends the options to ask for.
	Request(b []byte) []byte
	// Judge answers the peer's request: ConfigureAck with the request itself, or
	// ConfigureNak or ConfigureReject with the options in question. When final
	// is true the peer had enough Naks, and gets a Reject in their place.
	Judge(request []byte, final bool) (Code, []byte)
	// Acked tells that the peer took our last request.
	Acked()
	// Refused takes a ConfigureNak or ConfigureReject, so that the next Request
	// is another.
	Refused(code Code, options []byte)
}

// Timing says how often and how long a negotiation tries. The zero value has
// the defaults.
type Timing struct {
	First     time.Duration // wait after each of the first Tries requests; default 1 s
	Tries     int           // default 3
	Restart   time.Duration // wait after each later one; default 3 s
	Configure int           // requests in all; default 10
	Terminate int           // default 2
	Failure   int           // Naks sent before a Reject; default 5
}

func (t Timing) withDefaults() Timing {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	count := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	def(&t.First, time.Second)
	def(&t.Restart, 3*time.Second)
	count(&t.Tries, 3)
	count(&t.Configure, 10)
	count(&t.Terminate, 2)
	count(&t.Failure, 5)
	return t
}

// Hooks are what a negotiation calls. Send must be set.
type Hooks struct {
	Send     func(Protocol, Packet)    // may keep nothing of the packet
	Up       func()                    // both sides agree
	Down     func()                    // they no longer do
	Finished func()                    // it ended: terminated, or nobody answered
	Extra    func(Packet) (taken bool) // a code that the automaton does not know
}

// Negotiation is the automaton of one protocol on one link. It is not safe for
// concurrent use.
type Negotiation struct {
	protocol Protocol
	policy   Policy
	timing   Timing
	hooks    Hooks

	state    State
	id       uint8  // of the last Configure-Request or Terminate-Request
	request  []byte // the options of the last Configure-Request
	left     int    // the restart counter
	tries    int    // requests since the counter was initialized
	naks     int    // sent since the peer's last good request
	deadline time.Time
	now      time.Time
	in       Packet // the packet at hand
	answer   Code   // and our answer to it, when it is a request
	options  []byte
}

// NewNegotiation returns a negotiation in the state Initial.
func NewNegotiation(p Protocol, policy Policy, timing Timing, hooks Hooks) *Negotiation {
	return &Negotiation{protocol: p, policy: policy, timing: timing.withDefaults(), hooks: hooks}
}

// State is the state that the automaton is in.
func (n *Negotiation) State() State { return n.state }

// Begin opens the layer over a lower layer that is up, and sends the first
// request.
func (n *Negotiation) Begin(now time.Time) {
	n.now = now
	n.step(evOpen)
	n.step(evUp)
}

// Close asks the peer to end the layer.
func (n *Negotiation) Close(now time.Time) {
	n.now = now
	n.step(evClose)
}

// Reject tells the layer that the peer does not know its protocol.
func (n *Negotiation) Reject(now time.Time) {
	n.now = now
	n.step(evRejFatal)
}

// Deadline is when Tick must be called, or the zero time.
func (n *Negotiation) Deadline() time.Time { return n.deadline }

// Tick lets time pass.
func (n *Negotiation) Tick(now time.Time) {
	if n.deadline.IsZero() || now.Before(n.deadline) {
		return
	}
	n.now = now
	n.deadline = time.Time{}
	if n.left > 0 {
		n.step(evTimeout)
	} else {
		n.step(evExpired)
	}
}

// Input takes a packet from the peer.
func (n *Negotiation) Input(now time.Time, p Packet) {
	n.now, n.in = now, p
	switch p.Code {
	case ConfigureRequest:
		if n.state == Initial || n.state == Starting {
			return
		}
		n.answer, n.options = n.policy.Judge(p.Data, n.naks >= n.timing.Failure)
		if n.answer == ConfigureAck {
			n.naks = 0
			n.step(evReqGood)
			return
		}
		n.naks++
		n.step(evReqBad)
	case ConfigureAck:
		if n.isAnswer(p) && bytes.Equal(p.Data, n.request) {
			n.policy.Acked()
			n.step(evAck)
		}
	case ConfigureNak, ConfigureReject:
		if n.isAnswer(p) {
			n.policy.Refused(p.Code, p.Data)
			n.step(evNak)
		}
	case TerminateRequest:
		n.step(evTermReq)
	case TerminateAck:
		n.step(evTermAck)
	case CodeReject:
		// Only the codes that every peer must know are worth giving up for.
		if len(p.Data) > 0 && p.Data[0] >= byte(ConfigureRequest) && p.Data[0] <= byte(CodeReject) {
			n.step(evRejFatal)
		} else {
			n.step(evRejOK)
		}
	default:
		if n.hooks.Extra == nil || !n.hooks.Extra(p) {
			n.step(evUnknown)
		}
	}
}

// Assume takes our last request for acknowledged, when the peer could not go on
// as it does without having agreed: its Ack was lost.
func (n *Negotiation) Assume(now time.Time) {
	if n.state != AckSent {
		return
	}
	n.now = now
	n.policy.Acked()
	n.step(evAck)
}

// isAnswer reports whether p answers our last request, which is still open.
func (n *Negotiation) isAnswer(p Packet) bool {
	return n.state >= ReqSent && p.ID == n.id
}

func (n *Negotiation) step(e event) {
	c := automaton[e][n.state]
	if c == nil {
		return
	}
	n.state = c.next
	if n.state < Closing || n.state == Opened {
		n.deadline = time.Time{}
	}
	for _, a := range c.do {
		n.act(a)
	}
}

func (n *Negotiation) act(a action) {
	switch a {
	case tlu:
		call(n.hooks.Up)
	case tld:
		call(n.hooks.Down)
	case tlf:
		call(n.hooks.Finished)
	case irc:
		n.tries = 0
		n.left = n.timing.Configure
		if n.state == Closing || n.state == Stopping {
			n.left = n.timing.Terminate
		}
	case zrc:
		n.left = 0
		n.deadline = n.now.Add(n.timing.Restart)
	case scr:
		n.id++
		n.request = n.policy.Request(n.request[:0])
		n.restart()
		n.send(Packet{ConfigureRequest, n.id, n.request})
	case sca, scn:
		n.send(Packet{n.answer, n.in.ID, n.options})
	case str:
		n.id++
		n.restart()
		n.send(Packet{Code: TerminateRequest, ID: n.id})
	case sta:
		id := n.in.ID
		if n.in.Code != TerminateRequest {
			n.id++
			id = n.id
		}
		n.send(Packet{Code: TerminateAck, ID: id})
	case scj:
		n.id++
		n.send(Packet{CodeReject, n.id, n.in.Append(nil)})
	case tls, ser: // the owner of the lower layer needs no word; echoes go through Extra
	}
}

func (n *Negotiation) restart() {
	wait := n.timing.Restart
	if n.tries < n.timing.Tries {
		wait = n.timing.First
	}
	n.tries++
	n.left--
	n.deadline = n.now.Add(wait)
}

func (n *Negotiation) send(p Packet) { n.hooks.Send(n.protocol, p) }

func call(f func()) {
	if f != nil {
		f()
	}
}
