package ppp

import (
	"bytes"
	"time"
)

// requestWindow is the time in which a peer may send 2 * Timing.Refusals different
// requests. A session that lives for months may renegotiate many times.
const requestWindow = time.Minute

// Negotiation runs the automaton of one protocol on one link. It is not safe for
// concurrent use.
type Negotiation struct {
	protocol Protocol
	policy   Policy
	timing   Timing
	hooks    Hooks

	state        State
	id           uint8     // of the last Configure-Request or Terminate-Request
	request      []byte    // the options of the last Configure-Request
	spare        []byte    // memory for the next request
	sentAt       time.Time // when it was first sent
	requestOpen  bool      // it has no answer yet
	repeated     int       // retransmissions of the last Configure-Request
	resent       int       // retransmissions of all Configure-Requests
	lost         int       // packets of both sides that cannot have arrived
	peerRepeats  int       // those of them that are repeated requests of the peer
	rtt          time.Duration
	restartCount int // the restart counter of the RFC
	requestTries int // requests since the counter was initialized
	naksSent     int // since the peer's last acceptable request
	deadline     time.Time

	peerID            int       // id of the request that we acknowledged last; -1 before
	peerOptions       []byte    // the options of that request
	ackedAt           time.Time // when it was acknowledged
	peerRequests      int       // its requests since peerRequestsSince that differ, or that renegotiate
	peerRequestsSince time.Time
	refused           map[uint8]int // how often the peer refused each of our options
	insisted          map[uint8]int // how often we refused each of the peer's options
	disagreed         bool          // Disagree was called
	rejected          Code          // our code that the peer does not know, or 0
	now               time.Time
	event             event
	packet            Packet // the packet being handled
	answer            Code   // our answer, if it is a request
	options           []byte
}

// NewNegotiation returns a negotiation in the state Initial.
func NewNegotiation(p Protocol, policy Policy, timing Timing, hooks Hooks) *Negotiation {
	return &Negotiation{protocol: p, policy: policy, timing: timing.withDefaults(), hooks: hooks, peerID: -1}
}

// RTT returns how long the peer took to answer a Configure-Request that was sent once,
// or 0 if there is no such answer. A retransmitted request does not count, because its
// answer may belong to either copy (Karn's algorithm).
func (n *Negotiation) RTT() time.Duration { return n.rtt }

// Resent returns how many Configure-Requests were retransmitted.
func (n *Negotiation) Resent() int { return n.resent }

// Lost returns how many packets did not arrive in time: our requests that were
// answered only after a retransmission, and requests that the peer repeated long after
// we had acknowledged them.
func (n *Negotiation) Lost() int { return n.lost }

// PeerRepeats returns how many of Lost are repeated requests of the peer.
func (n *Negotiation) PeerRepeats() int { return n.peerRepeats }

// RejectedCode returns the code that the layer requires and the peer rejected, or 0.
func (n *Negotiation) RejectedCode() Code { return n.rejected }

// State returns the state of the automaton.
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

// Reject ends the layer because the peer does not know its protocol.
func (n *Negotiation) Reject(now time.Time) {
	n.now = now
	n.runEvent(evRejFatal)
}

// Deadline returns when Tick must be called, or the zero time.
func (n *Negotiation) Deadline() time.Time { return n.deadline }

// Tick advances the negotiation to the given time.
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

// Input handles a packet from the peer.
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
		// Only a rejection of a mandatory code ends the layer.
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

// inputRequest handles a Configure-Request.
func (n *Negotiation) inputRequest(p Packet) {
	if n.state == Initial || n.state == Starting {
		return
	}
	repeated := int(p.ID) == n.peerID && bytes.Equal(p.Data, n.peerOptions)
	if repeated && n.now.Sub(n.ackedAt) >= n.timing.First { // earlier than that, our Ack may still be on its way
		n.lost++
		n.peerRepeats++
	}
	if repeated && n.state == Opened {
		// Our Ack is late or lost. A retransmission keeps its identifier (RFC 1661
		// section 5.1), so this does not renegotiate.
		n.ackedAt = n.now
		n.sendPacket(Packet{ConfigureAck, p.ID, p.Data})
		return
	}
	// A peer whose requests are acknowledged while ours are not sends the same options
	// with new identifiers, which does not count as another request.
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

// measureRTT records how long the current answer took, or how many requests it missed.
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

// Assume treats our last request as acknowledged. The caller knows that the peer agreed,
// because it has continued; its Ack was lost.
func (n *Negotiation) Assume(now time.Time) {
	if n.state != AckSent {
		return
	}
	n.now, n.requestOpen = now, false
	n.policy.Acked()
	n.runEvent(evAck)
}

// isAnswer reports whether p answers our last request and is its first answer. A request
// that was sent twice may be answered twice.
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
	case tls, ser: // the lower layer's owner needs no signal; Extra handles echoes
	}
}

// sendRequest sends a Configure-Request. A retransmission keeps its identifier, so that
// an answer to either copy counts (RFC 1661 sections 4.6 and 5.1).
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
