package ppp

import (
	"bytes"
	"time"
)

// Disagreement says why a negotiation does not converge.
type Disagreement struct {
	Kind   DisagreementKind
	Option Option // the affected option, with the last value that the peer gave it
	Count  int    // number of refusals, or of requests
}

// DisagreementKind is the behavior of the peer that prevents an agreement.
type DisagreementKind uint8

// The kinds.
const (
	PeerRefuses  DisagreementKind = iota // the peer refuses our value of an option, and its absence too
	PeerInsists                          // the peer demands an option that we refuse
	PeerRestarts                         // the peer sends different requests without end
)

// countInsisted counts the options of a request that we refuse, and reports whether the
// peer has demanded one of them too often.
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

// findOption returns the option of o's type in a request, or o if there is none.
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

// inputRefusal handles a Configure-Nak or a Configure-Reject. An option is dropped after
// Timing.Refusals refusals, unless it is needed; a further refusal is a disagreement.
func (n *Negotiation) inputRefusal(p Packet) {
	code := p.Code
	list, err := ParseOptions(p.Data)
	if err != nil {
		list = []Option{{}} // counts as one option of an unused type
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

// Stalled reports what has prevented an agreement so far: an option that one side
// refused at least three times, or twice as many different requests. The caller asks
// after a timeout.
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

// reportDisagreement ends the negotiation if there is a hook, and reports whether it did.
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
