package ppp

import (
	"cmp"
	"time"
)

// Policy says what one side of a negotiation requests and accepts. LCPOptions,
// CCPOptions and IPCPOptions implement it.
type Policy interface {
	// Request appends the options to request.
	Request(b []byte) []byte
	// Judge answers the peer's request: ConfigureAck with the request itself, or
	// ConfigureNak or ConfigureReject with the affected options. If final is true, the
	// peer has received enough Naks and must get a Reject instead.
	Judge(request []byte, final bool) (Code, []byte)
	// Acked is called when the peer acknowledged our last request.
	Acked()
	// Refused is called with a ConfigureNak or ConfigureReject. The next Request
	// must differ.
	Refused(code Code, options []byte)
}

// Needs is implemented by a Policy that requires some of its options: these are not
// dropped after the peer has refused them too often.
type Needs interface {
	Needs(option uint8) bool
}

// Timing says how often and for how long a negotiation tries. A zero field has its
// default.
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
	t.First = cmp.Or(t.First, time.Second)
	t.Restart = cmp.Or(t.Restart, 3*time.Second)
	t.Tries = cmp.Or(t.Tries, 3)
	t.Configure = cmp.Or(t.Configure, 10)
	t.Terminate = cmp.Or(t.Terminate, 2)
	t.Failure = cmp.Or(t.Failure, 5)
	t.Refusals = cmp.Or(t.Refusals, 10)
	return t
}

// Hooks are the functions that a negotiation calls. Send is required.
type Hooks struct {
	Send     func(Protocol, Packet)    // must not keep the packet
	Up       func()                    // both sides agree
	Down     func()                    // they no longer agree
	Finished func()                    // the layer was terminated, or the peer did not answer
	Extra    func(Packet) (taken bool) // handles codes that the automaton does not know
	// Disagree is called when the two sides do not converge (RFC 1661 section 4.6,
	// Max-Failure). The negotiation then stops answering. Optional: without it a
	// negotiation continues as long as the peer does.
	Disagree func(Disagreement)
}
