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

// Needs is implemented by a Policy that cannot do without some of its options: they
// are not given up when the peer has refused them too often.
type Needs interface {
	Needs(option uint8) bool
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
	Refusals  int           // of one option, by either side, before Hooks.Disagree; default 10
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
	count(&t.Refusals, 10)
	return t
}

// Hooks are what a negotiation calls. Send must be set.
type Hooks struct {
	Send     func(Protocol, Packet)    // may keep nothing of the packet
	Up       func()                    // both sides agree
	Down     func()                    // they no longer do
	Finished func()                    // it ended: terminated, or nobody answered
	Extra    func(Packet) (taken bool) // a code that the automaton does not know
	// Disagree is called when the two sides will not agree (RFC 1661 section 4.6,
	// Max-Failure). The negotiation then answers nothing more. Optional: without
	// it a negotiation goes on for as long as the peer does.
	Disagree func(Disagreement)
}

// Disagreement says why a negotiation does not converge.
type Disagreement struct {
	Kind   DisagreementKind
	Option Option // the option in question, with the last value that the peer gave it
	Count  int    // how often it was refused, or how many requests came
}

// DisagreementKind is what the peer does that keeps a negotiation from an end.
type DisagreementKind uint8

// The kinds.
const (
	PeerRefuses  DisagreementKind = iota // the peer refuses our value of an option, and does without it as little
	PeerInsists                          // the peer demands an option that we refuse
	PeerRestarts                         // the peer sends other requests without end
)

// requestWindow is the time in which a peer may ask for 2 * Timing.Refusals different
// things. A session that lives for months may be negotiated again many times.
const requestWindow = time.Minute

// Negotiation is the automaton of one protocol on one link. It is not safe for
// concurrent use.
type Negotiation struct {
	protocol Protocol
	policy   Policy
	timing   Timing
	hooks    Hooks

	state        State
	id           uint8     // of the last Configure-Request or Terminate-Request
	request      []byte    // the options of the last Configure-Request
	spare        []byte    // memory for the one after it
	sentAt       time.Time // when it was sent first
	requestOpen  bool      // it has no answer yet
	repeated     int       // how often the last Configure-Request was sent again
	resent       int       // how often any was
	lost         int       // packets of either side that cannot have arrived
	peerRepeats  int       // and of those the peer's requests that came again
	rtt          time.Duration
	restartCount int // the restart counter
	requestTries int // requests since the counter was initialized
	naksSent     int // sent since the peer's last good request
	deadline     time.Time

	peerID            int       // of the request that we acknowledged last; -1 before
	peerOptions       []byte    // and its options
	ackedAt           time.Time // when
	peerRequests      int       // its requests since peerRequestsSince for something else, or for what was agreed on
	peerRequestsSince time.Time
	refused           map[uint8]int // how often the peer refused each option of ours
	insisted          map[uint8]int // how often we refused each option of the peer
	disagreed         bool          // Disagree was called
	rejected          Code          // the code of ours that the peer does not know, 0 for none
	now               time.Time
	event             event
	packet            Packet // the packet at hand
	answer            Code   // and our answer to it, when it is a request
	options           []byte
}

// NewNegotiation returns a negotiation in the state Initial.
func NewNegotiation(p Protocol, policy Policy, timing Timing, hooks Hooks) *Negotiation {
	return &Negotiation{protocol: p, policy: policy, timing: timing.withDefaults(), hooks: hooks, peerID: -1}
}

// RTT is how long the peer took to answer a Configure-Request that was sent once,
// or 0 when no such answer came. A request that was repeated tells nothing: its
// answer may be to either (Karn).
func (n *Negotiation) RTT() time.Duration { return n.rtt }

// Resent is how many Configure-Requests were sent again for want of an answer.
func (n *Negotiation) Resent() int { return n.resent }

// Lost is how many packets cannot have arrived, or not in time: requests of ours that
// were answered only when they were sent again, and requests of the peer that it sent
// again long after they had been acknowledged.
func (n *Negotiation) Lost() int { return n.lost }

// PeerRepeats is how many of Lost are requests of the peer that it sent again.
func (n *Negotiation) PeerRepeats() int { return n.peerRepeats }

// RejectedCode is the code of ours that the peer rejected and that the layer cannot
// do without, or 0.
func (n *Negotiation) RejectedCode() Code { return n.rejected }

// State is the state that the automaton is in.
func (n *Negotiation) State() State { return n.state }

// Begin opens the layer over a lower layer that is up, and sends the first
// request.
func (n *Negotiation) Begin(now time.Time) {
	n.now = now
	n.runEvent(evOpen)
	n.runEvent(evUp)
}

// Close asks the peer to end the layer.
func (n *Negotiation) Close(now time.Time) {
	n.now = now
	n.runEvent(evClose)
}

// Reject tells the layer that the peer does not know its protocol.
func (n *Negotiation) Reject(now time.Time) {
	n.now = now
	n.runEvent(evRejFatal)
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
	if n.restartCount > 0 {
		n.runEvent(evTimeout)
	} else {
		n.runEvent(evExpired)
	}
}

// Input takes a packet from the peer.
func (n *Negotiation) Input(now time.Time, p Packet) {
	if n.disagreed {
		return
	}
	n.now, n.packet = now, p
	switch p.Code {
	case ConfigureRequest:
		n.inputRequest(p)
	case ConfigureAck:
		if n.isAnswer(p) && bytes.Equal(p.Data, n.request) {
			n.measureRTT()
			n.policy.Acked()
			n.runEvent(evAck)
		}
	case ConfigureNak, ConfigureReject:
		if n.isAnswer(p) {
			n.measureRTT()
			n.inputRefusal(p)
		}
	case TerminateRequest:
		n.runEvent(evTermReq)
	case TerminateAck:
		n.runEvent(evTermAck)
	case CodeReject:
		// Only the codes that every peer must know are worth giving up for.
		if len(p.Data) > 0 && p.Data[0] >= byte(ConfigureRequest) && p.Data[0] <= byte(CodeReject) {
			n.rejected = Code(p.Data[0])
			n.runEvent(evRejFatal)
		} else {
			n.runEvent(evRejOK)
		}
	default:
		if n.hooks.Extra == nil || !n.hooks.Extra(p) {
			n.runEvent(evUnknown)
		}
	}
}

// inputRequest takes a Configure-Request.
func (n *Negotiation) inputRequest(p Packet) {
	if n.state == Initial || n.state == Starting {
		return
	}
	repeated := int(p.ID) == n.peerID && bytes.Equal(p.Data, n.peerOptions)
	if repeated && n.now.Sub(n.ackedAt) >= n.timing.First { // before, our Ack may be on its way
		n.lost++
		n.peerRepeats++
	}
	if repeated && n.state == Opened {
		// Our Ack is late or lost. A retransmission keeps its identifier (RFC 1661
		// section 5.1), so this is no wish to negotiate again.
		n.ackedAt = n.now
		n.sendPacket(Packet{ConfigureAck, p.ID, p.Data})
		return
	}
	// A peer whose requests are acknowledged and ours are not sends the same options
	// under new identifiers: that is no other request.
	if n.state == Opened || !bytes.Equal(p.Data, n.peerOptions) {
		if n.now.Sub(n.peerRequestsSince) > requestWindow {
			n.peerRequests, n.peerRequestsSince = 0, n.now
		}
		n.peerRequests++
	}
	n.answer, n.options = n.policy.Judge(p.Data, n.naksSent >= n.timing.Failure)
	if n.answer == ConfigureAck {
		n.naksSent = 0
		n.ackedAt = n.now
		n.peerID, n.peerOptions = int(p.ID), append(n.peerOptions[:0], p.Data...)
		if n.peerRequests > 2*n.timing.Refusals && n.reportDisagreement(PeerRestarts, Option{}, n.peerRequests) {
			return
		}
		n.runEvent(evReqGood)
		return
	}
	n.naksSent++
	if n.countInsisted(p.Data) {
		return
	}
	n.runEvent(evReqBad)
}

// countInsisted counts the options that we refuse of a request, and reports whether one
// of them was demanded too often.
func (n *Negotiation) countInsisted(request []byte) bool {
	refused, err := ParseOptions(n.options)
	if err != nil {
		return n.naksSent >= n.timing.Refusals && n.reportDisagreement(PeerInsists, Option{}, n.naksSent)
	}
	if n.insisted == nil {
		n.insisted = make(map[uint8]int)
	}
	for _, o := range refused {
		n.insisted[o.Type]++
		if count := n.insisted[o.Type]; count >= n.timing.Refusals && n.reportDisagreement(PeerInsists, findOption(request, o), count) {
			return true
		}
	}
	return false
}

// findOption is the option of o's type in a request, or o when the request has none.
func findOption(request []byte, o Option) Option {
	list, err := ParseOptions(request)
	if err != nil {
		return o
	}
	for _, r := range list {
		if r.Type == o.Type {
			return r
		}
	}
	return o
}

// inputRefusal takes a Configure-Nak or a Configure-Reject. An option that was
// refused Refusals times is given up, unless it is needed; a peer that refuses it
// even so disagrees.
func (n *Negotiation) inputRefusal(p Packet) {
	code := p.Code
	list, err := ParseOptions(p.Data)
	if err != nil {
		list = []Option{{}} // counted as one option, of a type that there is not
	}
	if n.refused == nil {
		n.refused = make(map[uint8]int)
	}
	for _, o := range list {
		n.refused[o.Type]++
		switch count := n.refused[o.Type]; {
		case count < n.timing.Refusals:
		case (n.needsOption(o.Type) || count > n.timing.Refusals) && n.reportDisagreement(PeerRefuses, o, count):
			return
		default:
			code = ConfigureReject
		}
	}
	n.policy.Refused(code, p.Data)
	if !n.disagreed {
		n.runEvent(evNak)
	}
}

// Stalled reports what kept the negotiation from an end until now: an option that one
// side refused at least three times, or as many different requests as two agreements
// take. It is for a negotiation whose time is over.
func (n *Negotiation) Stalled() (d Disagreement, ok bool) {
	const often, restless = 3, 6
	if n.state == Opened {
		return d, false
	}
	for option, count := range n.refused {
		if count >= often && count > d.Count {
			d, ok = Disagreement{PeerRefuses, Option{Type: option}, count}, true
		}
	}
	for option, count := range n.insisted {
		if count >= often && count > d.Count {
			d, ok = Disagreement{PeerInsists, Option{Type: option}, count}, true
		}
	}
	if !ok && n.peerRequests >= restless {
		return Disagreement{Kind: PeerRestarts, Count: n.peerRequests}, true
	}
	return d, ok
}

func (n *Negotiation) needsOption(option uint8) bool {
	p, ok := n.policy.(Needs)
	return ok && p.Needs(option)
}

// reportDisagreement ends the negotiation and reports whether it did.
func (n *Negotiation) reportDisagreement(kind DisagreementKind, o Option, count int) bool {
	if n.hooks.Disagree == nil {
		return false
	}
	n.disagreed = true
	n.deadline = time.Time{}
	o.Value = bytes.Clone(o.Value)
	n.hooks.Disagree(Disagreement{kind, o, count})
	return true
}

// measureRTT notes how long the answer at hand took, or how often it was missed.
func (n *Negotiation) measureRTT() {
	switch {
	case !n.requestOpen:
	case n.repeated == 0:
		n.rtt = n.now.Sub(n.sentAt)
	default:
		n.lost += n.repeated
	}
	n.requestOpen = false
}

// Assume takes our last request for acknowledged, when the peer could not go on
// as it does without having agreed: its Ack was lost.
func (n *Negotiation) Assume(now time.Time) {
	if n.state != AckSent {
		return
	}
	n.now, n.requestOpen = now, false
	n.policy.Acked()
	n.runEvent(evAck)
}

// isAnswer reports whether p answers our last request, which is still open. A request
// that was sent twice may be answered twice: the second answer is none.
func (n *Negotiation) isAnswer(p Packet) bool {
	return n.state >= ReqSent && p.ID == n.id && n.requestOpen
}

func (n *Negotiation) runEvent(e event) {
	c := automaton[e][n.state]
	if c == nil {
		return
	}
	n.event = e
	n.state = c.next
	if n.state < Closing || n.state == Opened {
		n.deadline = time.Time{}
	}
	for _, a := range c.do {
		n.runAction(a)
	}
}

func (n *Negotiation) runAction(a action) {
	switch a {
	case tlu:
		callHook(n.hooks.Up)
	case tld:
		callHook(n.hooks.Down)
	case tlf:
		callHook(n.hooks.Finished)
	case irc:
		n.requestTries = 0
		n.restartCount = n.timing.Configure
		if n.state == Closing || n.state == Stopping {
			n.restartCount = n.timing.Terminate
		}
	case zrc:
		n.restartCount = 0
		n.deadline = n.now.Add(n.timing.Restart)
	case scr:
		n.sendRequest()
	case sca, scn:
		n.sendPacket(Packet{n.answer, n.packet.ID, n.options})
	case str:
		n.id++
		n.restartTimer()
		n.sendPacket(Packet{Code: TerminateRequest, ID: n.id})
	case sta:
		id := n.packet.ID
		if n.packet.Code != TerminateRequest {
			n.id++
			id = n.id
		}
		n.sendPacket(Packet{Code: TerminateAck, ID: id})
	case scj:
		n.id++
		n.sendPacket(Packet{CodeReject, n.id, n.packet.Append(nil)})
	case tls, ser: // the owner of the lower layer needs no word; echoes go through Extra
	}
}

// sendRequest sends a Configure-Request. One that is sent again because no answer
// came keeps its identifier, so that the answer to either counts (RFC 1661 sections
// 4.6 and 5.1).
func (n *Negotiation) sendRequest() {
	n.spare = n.policy.Request(n.spare[:0])
	if n.event == evTimeout && n.requestOpen && bytes.Equal(n.spare, n.request) {
		n.repeated++
		n.resent++
	} else {
		n.id++
		n.repeated, n.sentAt, n.requestOpen = 0, n.now, true
	}
	n.request, n.spare = n.spare, n.request
	n.restartTimer()
	n.sendPacket(Packet{ConfigureRequest, n.id, n.request})
}

func (n *Negotiation) restartTimer() {
	wait := n.timing.Restart
	if n.requestTries < n.timing.Tries {
		wait = n.timing.First
	}
	n.requestTries++
	n.restartCount--
	n.deadline = n.now.Add(wait)
}

func (n *Negotiation) sendPacket(p Packet) { n.hooks.Send(n.protocol, p) }

func callHook(f func()) {
	if f != nil {
		f()
	}
}
