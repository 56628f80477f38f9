package pptp

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/mppe"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// phase is the stage of a link. Each phase has one deadline.
type phase uint8

const (
	phaseLCP phase = iota
	phaseAuth
	phaseEncryption
	phaseIP
	phaseUp
	phaseDead
)

// ccpWait is how long we wait for the server to say first which strength it wants. Its
// request usually follows directly after the success of the login.
const ccpWait = 50 * time.Millisecond

// minAckDelay is the minimum time, at the server, between its first CCP request and
// our Configure-Ack. accel-ppp sends the request first and configures its kernel second;
// a kernel that receives the Configure-Ack before that never decrypts anything. Over a
// path of 4 ms this lost 4 of 6 sessions. pppd uses the other order.
const minAckDelay = 30 * time.Millisecond

// unknownProtocolWindow is the time in which several Protocol-Rejects of protocols that
// we never sent mean that the keys differ; a single one may be a damaged packet.
const unknownProtocolWindow = 10 * time.Second

// resyncPause is how long after a correction of the stateful stream complaints
// may still concern earlier packets: pptpd delays some for 0.3 s.
const resyncPause = 500 * time.Millisecond

// minRejectSpan is the minimum time between the first and the last of the
// Protocol-Rejects of MPPE that prove that the server does not decrypt. A server may
// reject packets that arrive before it has set up the keys.
const minRejectSpan = 200 * time.Millisecond

// maxRTT limits how far a measured round trip extends the timeouts.
const maxRTT = 6 * time.Second

// linkHooks are the functions that a link calls, always from within its own methods.
type linkHooks struct {
	send        func(ppp.Protocol, ppp.Packet) // must not keep the packet
	event       func(Event)
	reached     func(Step, string)
	setKeys     func(*mppe.Encryptor, *mppe.Decryptor) // nil means that direction is not encrypted
	flush       func()                                 // the server lost packets and requests a new stream
	keyMismatch func()                                 // the server decrypts the stream with another key
	// sendControlEcho sends an Echo-Request on the control connection, and controlAlive
	// reports whether one was answered since the last call.
	sendControlEcho func()
	controlAlive    func() bool
	countRejection  func() // the server rejected an encrypted packet, or what it decrypted from one
}

// link is the client's end of a PPP link. It negotiates LCP, the login, CCP and IPCP
// one after the other, because pppd ignores an IPCP packet that comes before the
// encryption it requires. A link has no goroutine and no clock of its own.
type link struct {
	cfg           *Config
	hooks         linkHooks
	phase         phase
	phaseDeadline time.Time // when the phase expires
	seen          *observed // facts about the server, and finally why the link ended
	ended         bool      // the link has ended; seen says why
	evidence      string    // the evidence for the end
	rtt           time.Duration
	limiter       packetLimiter

	lcp  *ppp.Negotiation
	ccp  *ppp.Negotiation // nil until there are keys
	ipcp *ppp.Negotiation
	lcpo ppp.LCPOptions
	ccpo ppp.CCPOptions
	ipo  ppp.IPCPOptions

	auth             authState
	deferredIPCP     *ppp.Packet // an IPCP request that came too early, answered later
	ccpAt            time.Time   // when we begin CCP, unless the server begins it
	deferredCCP      *ppp.Packet // the server's first request, answered at deferredUntil
	deferredUntil    time.Time
	firstCCPAnswered bool // the first request was answered

	pppd                 bool       // the server is pptpd with pppd, whose quirks are known
	acceptWeakAuth       bool       // accept the login that the server offers first, if it is acceptable at all
	namedAuths           []ppp.Auth // the logins that the server offered
	postponedAuth        ppp.Auth   // an acceptable one for which we proposed a stronger one
	declinedName         string     // the name of the login that seen.declined is about
	refusal              *Refused   // the server's refusal of the login
	mppeWanted           bool       // the server asked for MPPE in its own direction
	ccpClosed            int        // Terminate-Acks to our CCP requests
	mppeRejects          int        // Protocol-Rejects of MPPE, since firstReject
	firstReject          time.Time
	unknownProtocols     int // Protocol-Rejects of protocols that we never sent, in the current window
	firstUnknownProtocol time.Time
	peerSentReset        bool // the server has requested a new stream at least once
	resyncedAt           time.Time
	enc                  *mppe.Encryptor
	dec                  *mppe.Decryptor
	lastReqID            int // of the server's last LCP Configure-Request
	repeatedRequests     int // how often it was repeated
	gotAnswer            bool
	echoID               uint8
	unansweredEchoes     int  // Echo-Requests since the last activity
	echoAnswered         bool // the server has answered at least one
	nextEcho             time.Time
	pendingEchoes        map[uint8]pendingEcho
	id                   uint8 // id of packets outside the negotiations
	now                  time.Time
	terminateConfirmed   bool // the server acknowledged our Terminate-Request, or sent its own
}

// newLink returns a link over a path with the round-trip time rtt. It records in seen
// what the server does.
func newLink(cfg *Config, seen *observed, hooks linkHooks, pppd bool, rtt time.Duration) *link {
	l := &link{cfg: cfg, seen: seen, hooks: hooks, pppd: pppd, rtt: rtt, lastReqID: -1}
	seen.policy = cfg.Encryption
	l.lcpo = ppp.LCPOptions{MRU: DefaultMTU, Magic: l.newMagic(), Compress: true, AcceptAuth: l.acceptAuth, NewMagic: l.newMagic}
	l.lcp = ppp.NewNegotiation(ppp.LCP, &l.lcpo, l.negotiationTiming(), ppp.Hooks{
		Send: l.sendPacket, Up: l.lcpUp, Finished: l.lcpFinished, Extra: l.lcpExtra, Disagree: l.disagreeHook(ppp.LCP),
	})
	return l
}

// negotiationTiming returns how long a negotiation waits for an answer: never less than
// a round trip, because a server may take a retransmission for a new request.
func (l *link) negotiationTiming() ppp.Timing {
	return ppp.Timing{
		First:   max(time.Second, l.rtt*3/2+l.rtt/4),
		Restart: max(3*time.Second, l.rtt*2),
	}
}

// noteRTT records the round-trip time that a negotiation measured.
func (l *link) noteRTT(n *ppp.Negotiation) { l.rtt = max(l.rtt, min(n.RTT(), maxRTT)) }

func (l *link) newMagic() uint32 {
	for {
		if m := binary.BigEndian.Uint32(l.randomBytes(4)); m != 0 {
			return m
		}
	}
}

// randomBytes reads n bytes of Config.Random, which must not fail.
func (l *link) randomBytes(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(l.cfg.Random, b); err != nil {
		panic("pptp: the random source failed: " + err.Error())
	}
	return b
}

func (l *link) sendPacket(proto ppp.Protocol, p ppp.Packet) {
	l.hooks.event(describePacket(true, proto, p))
	l.hooks.send(proto, p)
}

// startLCP sends the first Configure-Request.
func (l *link) startLCP(now time.Time) {
	l.now = now
	l.enterPhase(phaseLCP, l.cfg.Timeouts.LCP)
	l.lcp.Begin(now)
}

// restartLCPTime restarts the LCP timeout at the first packet of the server, which may
// have started its PPP late.
func (l *link) restartLCPTime(now time.Time) {
	if l.phase == phaseLCP {
		l.phaseDeadline = now.Add(l.cfg.Timeouts.LCP)
	}
}

func (l *link) enterPhase(p phase, d time.Duration) {
	l.phase = p
	l.phaseDeadline = l.now.Add(d)
}

// failLink ends the link and tells the server if it still listens. seen has the facts;
// evidence describes them.
func (l *link) failLink(end ending, evidence string) {
	if l.ended || l.phase == phaseDead {
		return
	}
	l.seen.end = end
	l.ended, l.evidence = true, evidence
	l.phase = phaseDead
	l.lcp.Close(l.now)
}

// disagreeHook returns the hook that ends the link when a layer's options do not converge.
func (l *link) disagreeHook(layer ppp.Protocol) func(ppp.Disagreement) {
	return func(d ppp.Disagreement) {
		if layer == ppp.CCP && l.cfg.Encryption != EncryptionRequired {
			if l.phase == phaseEncryption {
				l.withoutEncryption()
			}
			return
		}
		l.failLink(endDisagreement, l.noteDisagreement(layer, d))
	}
}

// noteDisagreement records that the options of a layer do not converge, and returns a description.
func (l *link) noteDisagreement(layer ppp.Protocol, d ppp.Disagreement) string {
	l.seen.layer = map[ppp.Protocol]Step{ppp.LCP: StepLCP, ppp.CCP: StepEncryption, ppp.IPCP: StepIP}[layer]
	l.seen.callback = layer == ppp.LCP && d.Kind == ppp.PeerInsists && d.Option.Type == ppp.OptionCallback
	kind := optionKind(layer, d.Option)
	switch d.Kind {
	case ppp.PeerRefuses:
		last := ""
		if len(d.Option.Value) > 0 {
			last = ", its last value was " + optionName(layer, d.Option)
		}
		return fmt.Sprintf("%s: the server refused our %s %d times%s", layer, kind, d.Count, last)
	case ppp.PeerInsists:
		if len(d.Option.Value) > 0 {
			kind = optionName(layer, d.Option)
		}
		return fmt.Sprintf("%s: the server demanded %s %d times, and we refuse it", layer, kind, d.Count)
	}
	return fmt.Sprintf("%s: the server sent %d different requests, and each was acknowledged", layer, d.Count)
}

// explainStall turns a timeout into a disagreement if the server did answer but the two
// sides did not converge. It returns the evidence.
func (l *link) explainStall(evidence string) string {
	layers := map[ppp.Protocol]*ppp.Negotiation{ppp.LCP: l.lcp, ppp.CCP: l.ccp, ppp.IPCP: l.ipcp}
	for _, layer := range []ppp.Protocol{ppp.LCP, ppp.CCP, ppp.IPCP} {
		if n := layers[layer]; n != nil {
			if d, ok := n.Stalled(); ok && (layer != ppp.CCP || l.cfg.Encryption == EncryptionRequired) {
				l.seen.end = endDisagreement
				return l.noteDisagreement(layer, d) + "; " + evidence
			}
		}
	}
	return evidence
}

// close sends a Terminate-Request.
func (l *link) close(now time.Time) {
	l.now = now
	l.phase = phaseDead
	l.lcp.Close(now)
}

// closeConfirmed reports whether the server knows that the link has ended.
func (l *link) closeConfirmed() bool {
	return l.terminateConfirmed || l.lcp.State() < ppp.Closing
}

// deadline returns when tick must be called, or the zero time.
func (l *link) deadline() time.Time {
	var first time.Time
	for _, d := range []time.Time{l.lcp.Deadline(), deadlineOf(l.ccp), deadlineOf(l.ipcp), l.auth.resendAt, l.ccpAt, l.deferredUntil, l.phaseEnd(), l.nextEcho} {
		if !d.IsZero() && (first.IsZero() || d.Before(first)) {
			first = d
		}
	}
	return first
}

func deadlineOf(n *ppp.Negotiation) time.Time {
	if n == nil {
		return time.Time{}
	}
	return n.Deadline()
}

func (l *link) phaseEnd() time.Time {
	if l.phase >= phaseUp {
		return time.Time{}
	}
	return l.phaseDeadline
}

// tick advances the link to the given time.
func (l *link) tick(now time.Time) {
	l.now = now
	if end := l.phaseEnd(); !end.IsZero() && !now.Before(end) {
		l.expirePhase()
	}
	l.lcp.Tick(now)
	if l.phase == phaseDead {
		return
	}
	if l.pppd && l.deferredIPCP != nil && l.ccpo.Send != 0 && !now.Before(l.ccp.Deadline()) {
		// pppd sends no IPCP packet before the MPPE that it requests is agreed on,
		// and hangs up when it receives another request for MPPE.
		l.ccp.Assume(now)
	}
	for _, n := range []*ppp.Negotiation{l.ccp, l.ipcp} {
		if n != nil {
			n.Tick(now)
		}
	}
	if !l.ccpAt.IsZero() && !now.Before(l.ccpAt) {
		l.beginCCP(0)
	}
	l.answerDeferredCCP()
	l.retryLogin()
	l.keepAlive()
}

// expirePhase ends a phase whose deadline has passed.
func (l *link) expirePhase() {
	switch l.phase {
	case phaseLCP:
		l.expireLCP()
	case phaseAuth:
		l.failLink(endTime, "the server did not answer the login")
	case phaseEncryption:
		if l.cfg.Encryption == EncryptionRequired {
			l.failLink(endTime, "the server did not answer about encryption")
			return
		}
		l.withoutEncryption()
	case phaseIP:
		l.failLink(endTime, "the server did not answer about addresses")
	}
}

func (l *link) expireLCP() {
	if l.lcp.RejectedCode() != 0 {
		l.seen.layer = StepLCP
		l.failLink(endRejected, fmt.Sprintf("the server does not know the LCP code %s (Code-Reject)", l.lcp.RejectedCode()))
		return
	}
	l.failLink(endTime, fmt.Sprintf("our requests are in state %s", l.lcp.State()))
}

// input handles the contents of a control frame.
func (l *link) input(now time.Time, proto ppp.Protocol, b []byte) {
	l.now = now
	switch proto {
	case ppp.LCP, ppp.CCP, ppp.IPCP, ppp.PAP, ppp.CHAP:
	default:
		if l.limiter.allowAt(now) {
			l.rejectProtocol(proto, b)
		}
		return
	}
	p, err := ppp.ParsePacket(b)
	if err != nil {
		l.hooks.event(Event{Protocol: proto.String(), Name: "malformed packet", ID: -1, Len: len(b)})
		return
	}
	if l.countsForLimit(proto, p) && !l.limiter.allowAt(now) {
		return // handled as lost: the server retransmits
	}
	l.hooks.event(describePacket(false, proto, p))
	switch proto {
	case ppp.LCP:
		l.lcpInput(p)
	case ppp.PAP:
		l.papInput(p)
	case ppp.CHAP:
		l.chapInput(p)
	case ppp.CCP:
		l.ccpInput(p)
	case ppp.IPCP:
		l.ipcpInput(p)
	}
}

// rejectProtocol rejects a protocol that we do not support, such as IPv6, RFC 1661 section 5.7.
func (l *link) rejectProtocol(proto ppp.Protocol, b []byte) {
	l.hooks.event(Event{Protocol: proto.String(), Name: "packet", ID: -1, Len: len(b)})
	if l.lcp.State() != ppp.Opened {
		return
	}
	l.id++
	data := binary.BigEndian.AppendUint16(nil, uint16(proto))
	data = append(data, b[:min(len(b), 64)]...) // enough to identify it
	l.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.ProtocolReject, ID: l.id, Data: data})
}
