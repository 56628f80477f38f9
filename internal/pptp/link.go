package pptp

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/beat"
	"github.com/connexa-panel/connexa/internal/pptp/mppe"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// phase is where a link is on its way up. Each has one deadline.
type phase uint8

const (
	phaseLCP phase = iota
	phaseAuth
	phaseEncryption
	phaseIP
	phaseUp
	phaseDead
)

// ccpPatience is how long a server may take to say first which strength it
// wants. Its request is usually right behind its word that the login was good.
const ccpPatience = 50 * time.Millisecond

// ackPatience is the least time, in a server's eyes, between its first CCP request and
// our Configure-Ack. accel-ppp sends the request first and tells its kernel second;
// a kernel that sees the Configure-Ack before that never decrypts anything. 4 of 6
// sessions over a way of 4 ms were lost so. pppd does it in the other order.
const ackPatience = 30 * time.Millisecond

// strangerWindow is the time in which a few such Protocol-Rejects mean that the
// keys differ; now and then one is only a damaged packet.
const strangerWindow = 10 * time.Second

// correctPause is how long after a correction of the stateful stream complaints
// may still be about packets before it: pptpd holds some for 0.3 s.
const correctPause = 500 * time.Millisecond

// rejectsApart is the least time between the first and the last of the
// Protocol-Rejects of MPPE that mean that the server does not decrypt. A server may
// reject what comes before it has set up the keys.
const rejectsApart = 200 * time.Millisecond

// maxRTT bounds what a measured round trip may do to the waits.
const maxRTT = 6 * time.Second

// linkHooks are what a link calls, always from within its own methods.
type linkHooks struct {
	send    func(ppp.Protocol, ppp.Packet) // must keep nothing of the packet
	event   func(Event)
	reached func(Step, string)
	keyed   func(*mppe.Encryptor, *mppe.Decryptor) // nil: that direction is plain
	flush   func()                                 // the server lost packets and wants a new stream
	astray  func()                                 // the server reads the stream with another key
	// askControl asks the control connection for a sign of life, and controlAlive
	// reports whether it has given one since the last call.
	askControl   func()
	controlAlive func() bool
	rejected     func() // the server rejected an encrypted packet
}

// link is the client's end of a PPP link: LCP, then the login, then CCP, then
// IPCP, one after the other, because pppd forgets an IPCP that comes before the
// encryption it insists on. It has no goroutine and no clock of its own.
type link struct {
	cfg   *Config
	hooks linkHooks
	phase phase
	until time.Time // when the phase is over
	seen  *observed // what is known of the server, and in the end why the link is dead
	over  bool      // the link is dead, and seen says why
	note  string    // the evidence for that
	rtt   time.Duration
	pace  pace

	lcp  *ppp.Negotiation
	ccp  *ppp.Negotiation // nil until there are keys to negotiate for
	ipcp *ppp.Negotiation
	lcpo ppp.LCPOptions
	ccpo ppp.CCPOptions
	ipo  ppp.IPCPOptions

	login     login
	heldIPCP  *ppp.Packet // came too early, is answered in time
	ccpAt     time.Time   // when CCP begins, if the server does not begin it
	heldCCP   *ppp.Packet // the server's first request, is answered at heldUntil
	heldUntil time.Time
	ccpTaken  bool // the first request was answered

	pppd          bool       // the server is pptpd with pppd, whose quirks are known
	takeWeak      bool       // take the login that the server names first, if it can be taken at all
	named         []ppp.Auth // the logins that the server named
	postponed     ppp.Auth   // one of them that can be taken, and was answered with a better one
	declinedName  string     // of the login that seen.declined is about
	refusal       *Refused   // the server's no to the login
	encDropped    bool       // CCP ended without encryption
	mppeWanted    bool       // the server asked for MPPE in its own direction
	ccpClosed     int        // Terminate-Acks to our CCP requests
	mppeRejects   int        // Protocol-Rejects of MPPE, since firstReject
	firstReject   time.Time
	strangers     int // Protocol-Rejects of protocols that we never sent, in this window
	firstStranger time.Time
	resetHeard    bool // the server asked for a new start of the stream at least once
	correctedAt   time.Time
	enc           *mppe.Encryptor
	dec           *mppe.Decryptor
	lastReqID     int // of the server's last LCP Configure-Request
	sameReq       int // how often it came again
	gotAnswer     bool
	echoID        uint8
	echoes        int  // sent since the last sign of life
	echoHeard     bool // the server answered one, ever
	nextEcho      time.Time
	pings         map[uint8]pendingEcho
	id            uint8 // of packets that belong to no negotiation
	now           time.Time
	terminated    bool // the server acknowledged our Terminate-Request, or sent its own
}

// newLink returns a link over a way whose packets take rtt to the server and back.
// It notes in seen what the server does.
func newLink(cfg *Config, seen *observed, hooks linkHooks, pppd bool, rtt time.Duration) *link {
	l := &link{cfg: cfg, seen: seen, hooks: hooks, pppd: pppd, rtt: rtt, lastReqID: -1}
	seen.policy = cfg.Encryption
	l.lcpo = ppp.LCPOptions{MRU: DefaultMTU, Magic: l.magic(), Compress: true, TakeAuth: l.takeAuth, NewMagic: l.magic}
	l.lcp = ppp.NewNegotiation(ppp.LCP, &l.lcpo, l.timing(), ppp.Hooks{
		Send: l.send, Up: l.lcpUp, Finished: l.lcpFinished, Extra: l.lcpExtra, Disagree: l.disagree(ppp.LCP),
	})
	return l
}

// timing is how long a negotiation waits for an answer: never less than the answer
// takes on this way, as a server may take a repeated request for a new one.
func (l *link) timing() ppp.Timing {
	return ppp.Timing{
		First:   max(time.Second, l.rtt*3/2+l.rtt/4),
		Restart: max(3*time.Second, l.rtt*2),
	}
}

// measure takes the round-trip time that a negotiation saw.
func (l *link) measure(n *ppp.Negotiation) { l.rtt = max(l.rtt, min(n.RTT(), maxRTT)) }

func (l *link) magic() uint32 {
	for {
		if m := binary.BigEndian.Uint32(l.random(4)); m != 0 {
			return m
		}
	}
}

// random reads n bytes of the configured randomness, which must not fail.
func (l *link) random(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(l.cfg.Random, b); err != nil {
		panic("pptp: the random source failed: " + err.Error())
	}
	return b
}

func (l *link) send(proto ppp.Protocol, p ppp.Packet) {
	l.hooks.event(describe(true, proto, p))
	l.hooks.send(proto, p)
}

// start sends the first Configure-Request.
func (l *link) start(now time.Time) {
	l.now = now
	l.enter(phaseLCP, l.cfg.Timeouts.LCP)
	l.lcp.Begin(now)
}

func (l *link) enter(p phase, d time.Duration) {
	l.phase = p
	l.until = l.now.Add(d)
}

// fail ends the link, with a word to the server if it listens. What was observed is
// in seen; evidence says it in words.
func (l *link) fail(end ending, evidence string) {
	if l.over || l.phase == phaseDead {
		return
	}
	l.seen.end = end
	l.over, l.note = true, evidence
	l.phase = phaseDead
	l.lcp.Close(l.now)
}

// disagree returns what ends the link when a layer's options do not converge.
func (l *link) disagree(layer ppp.Protocol) func(ppp.Disagreement) {
	return func(d ppp.Disagreement) {
		if layer == ppp.CCP && l.cfg.Encryption != EncryptionRequired {
			if l.phase == phaseEncryption {
				l.withoutEncryption()
			}
			return
		}
		l.seen.layer = map[ppp.Protocol]Step{ppp.LCP: StepLCP, ppp.CCP: StepEncryption, ppp.IPCP: StepIP}[layer]
		l.seen.callback = layer == ppp.LCP && d.Kind == ppp.PeerInsists && d.Option.Type == ppp.OptionCallback
		name := optionName(layer, d.Option)
		switch d.Kind {
		case ppp.PeerRefuses:
			l.fail(endDisagreement, fmt.Sprintf("%s: the server refused our %s %d times, its last value was %s", layer, optionKind(layer, d.Option), d.Count, name))
		case ppp.PeerInsists:
			l.fail(endDisagreement, fmt.Sprintf("%s: the server demanded %s %d times, and we refuse it", layer, name, d.Count))
		case ppp.PeerRestarts:
			l.fail(endDisagreement, fmt.Sprintf("%s: the server sent %d different requests, and each was acknowledged", layer, d.Count))
		}
	}
}

// close takes leave of the server.
func (l *link) close(now time.Time) {
	l.now = now
	l.phase = phaseDead
	l.lcp.Close(now)
}

// quiet reports whether the server knows that the link has ended.
func (l *link) quiet() bool {
	return l.terminated || l.lcp.State() < ppp.Closing
}

// deadline is when tick must be called.
func (l *link) deadline() time.Time {
	var first time.Time
	for _, d := range []time.Time{l.lcp.Deadline(), deadlineOf(l.ccp), deadlineOf(l.ipcp), l.login.again, l.ccpAt, l.heldUntil, l.phaseEnd(), l.nextEcho} {
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
	return l.until
}

// tick lets time pass.
func (l *link) tick(now time.Time) {
	l.now = now
	if end := l.phaseEnd(); !end.IsZero() && !now.Before(end) {
		l.overdue()
	}
	l.lcp.Tick(now)
	if l.phase == phaseDead {
		return
	}
	if l.pppd && l.heldIPCP != nil && l.ccpo.Send != 0 && !now.Before(l.ccp.Deadline()) {
		// pppd says nothing of IPCP before the MPPE that it asks for is agreed on,
		// and hangs up when it is asked for that again.
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
	l.releaseCCP()
	l.retryLogin()
	l.echo()
}

// overdue ends a phase that took too long.
func (l *link) overdue() {
	switch l.phase {
	case phaseLCP:
		l.lcpLate()
	case phaseAuth:
		l.fail(endTime, "the server did not answer the login")
	case phaseEncryption:
		if l.cfg.Encryption == EncryptionRequired {
			l.fail(endTime, "the server did not answer about encryption")
			return
		}
		l.withoutEncryption()
	case phaseIP:
		l.fail(endTime, "the server did not answer about addresses")
	}
}

func (l *link) lcpLate() {
	if l.lcp.RejectedCode() != 0 {
		l.seen.layer = StepLCP
		l.fail(endRejected, fmt.Sprintf("the server does not know the LCP code %s (Code-Reject)", l.lcp.RejectedCode()))
		return
	}
	l.fail(endTime, fmt.Sprintf("our requests are in state %s", l.lcp.State()))
}

// input takes a control frame's contents.
func (l *link) input(now time.Time, proto ppp.Protocol, b []byte) {
	l.now = now
	switch proto {
	case ppp.LCP, ppp.CCP, ppp.IPCP, ppp.PAP, ppp.CHAP:
	default:
		if l.pace.take(now) {
			l.rejectProtocol(proto, b)
		}
		return
	}
	p, err := ppp.ParsePacket(b)
	if err != nil {
		l.hooks.event(Event{Protocol: proto.String(), Name: "malformed packet", ID: -1, Len: len(b)})
		return
	}
	if l.paced(proto, p) && !l.pace.take(now) {
		return // it is as good as lost: the server asks again
	}
	l.hooks.event(describe(false, proto, p))
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

// rejectProtocol answers what we do not speak, IPv6 for one, RFC 1661 section 5.7.
func (l *link) rejectProtocol(proto ppp.Protocol, b []byte) {
	l.hooks.event(Event{Protocol: proto.String(), Name: "packet", ID: -1, Len: len(b)})
	if l.lcp.State() != ppp.Opened {
		return
	}
	l.id++
	data := binary.BigEndian.AppendUint16(nil, uint16(proto))
	data = append(data, b[:min(len(b), 64)]...) // enough to know it by
	l.send(ppp.LCP, ppp.Packet{Code: ppp.ProtocolReject, ID: l.id, Data: data})
}

// --- LCP

func (l *link) lcpInput(p ppp.Packet) {
	switch p.Code {
	case ppp.ConfigureRequest:
		if int(p.ID) == l.lastReqID {
			l.sameReq++
		}
		l.lastReqID = int(p.ID)
	case ppp.ConfigureAck, ppp.ConfigureNak, ppp.ConfigureReject:
		l.gotAnswer = true
	case ppp.TerminateAck:
		l.terminated = l.phase == phaseDead
	}
	l.lcp.Input(l.now, p)
	if l.lcpo.Loops >= 3 {
		l.fail(endLoop, "our own packets come back")
	}
	if p.Code == ppp.TerminateRequest {
		l.terminated = true
		l.peerTerminated(string(p.Data))
	}
}

// layers are the negotiations that have begun.
func (l *link) layers() []*ppp.Negotiation {
	return slices.DeleteFunc([]*ppp.Negotiation{l.lcp, l.ccp, l.ipcp}, func(n *ppp.Negotiation) bool { return n == nil })
}

// resent is how many requests were sent again for want of an answer.
func (l *link) resent() (count int) {
	for _, n := range l.layers() {
		count += n.Resent()
	}
	return count
}

// missed is how many packets of the negotiations cannot have arrived. Those of LCP do
// not count: a server that is slow to start its PPP hears none of the first ones.
func (l *link) missed() (count int) {
	for _, n := range l.layers()[1:] {
		count += n.Lost()
	}
	return count
}

// unheard reports whether the server seems to get nothing of what we send: it
// repeats itself and answers none of our requests.
func (l *link) unheard() bool { return l.sameReq > 0 && !l.gotAnswer }

func (l *link) lcpUp() {
	if l.phase != phaseLCP {
		return
	}
	l.measure(l.lcp)
	l.seen.lcpUp, l.seen.auth = true, l.lcpo.PeerAuth
	l.hooks.reached(StepLCP, fmt.Sprintf("MRU %d, auth %s", l.lcpo.PeerMRU, l.lcpo.PeerAuth))
	l.enter(phaseAuth, l.cfg.Timeouts.Auth)
	switch l.lcpo.PeerAuth {
	case ppp.AuthNone:
		if l.seen.declined == "" && l.postponed == ppp.AuthNone {
			l.accepted("no login asked for")
			return
		}
		// The server gave up its only method because of us. It will most likely
		// hang up; one that goes on talks about the network next.
	case ppp.AuthPAP:
		l.sendPAP()
	}
}

func (l *link) lcpFinished() {
	if l.phase == phaseDead {
		l.terminated = true
		return
	}
	if l.phase == phaseLCP {
		l.lcpLate()
	}
}

func (l *link) lcpExtra(p ppp.Packet) bool {
	switch p.Code {
	case ppp.EchoRequest:
		if l.lcp.State() == ppp.Opened && len(p.Data) >= 4 {
			data := binary.BigEndian.AppendUint32(nil, l.lcpo.Magic)
			l.send(ppp.LCP, ppp.Packet{Code: ppp.EchoReply, ID: p.ID, Data: append(data, p.Data[4:]...)})
		}
	case ppp.EchoReply:
		l.echoes, l.echoHeard = 0, true
		l.answered(p.ID)
	case ppp.ProtocolReject:
		if len(p.Data) >= 2 {
			l.protocolRejected(ppp.Protocol(binary.BigEndian.Uint16(p.Data)))
		}
	case ppp.DiscardRequest, ppp.Identification, ppp.TimeRemaining:
	default:
		return false
	}
	return true
}

func (l *link) protocolRejected(proto ppp.Protocol) {
	switch proto {
	case ppp.CCP:
		// accel-ppp does this to a CCP that comes after the session is up: no harm.
		if l.ccp != nil && l.phase == phaseEncryption {
			l.ccpo.Rejected = true
			l.ccp.Reject(l.now)
		}
	case ppp.IPCP:
		if l.phase == phaseIP {
			l.seen.layer = StepIP
			l.fail(endRejected, "the server does not speak IPCP (Protocol-Reject)")
		}
	case ppp.PAP, ppp.CHAP:
		if l.phase == phaseAuth {
			l.seen.layer = StepAuth
			l.fail(endRejected, "the server rejects "+proto.String()+", which it asked for")
		}
	case ppp.LCP:
		if l.phase < phaseUp {
			l.seen.layer = StepLCP
			l.fail(endRejected, "the server does not speak LCP (Protocol-Reject)")
		}
	case ppp.MPPE:
		l.rejectedMPPE()
	case ppp.IPv4, ppp.IPv6:
	default:
		// A server with another key makes random protocols of our packets.
		switch {
		case l.ccpo.Send == 0:
			return
		case l.resetHeard:
			if l.now.Sub(l.correctedAt) >= correctPause {
				l.correctedAt = l.now
				l.hooks.astray()
			}
			return
		}
		if l.now.Sub(l.firstStranger) > strangerWindow {
			l.firstStranger, l.strangers = l.now, 0
		}
		if l.strangers++; l.strangers >= 3 {
			l.seen.unreadable = keysDiffer
			l.fail(endUnreadable, "the server reads our packets as nonsense: it rejected protocols that we never sent")
		}
	}
}

// rejectedMPPE takes a Protocol-Reject of MPPE, which a kernel sends whose session
// has no decryption.
func (l *link) rejectedMPPE() {
	if l.enc == nil || l.phase != phaseUp {
		return
	}
	l.hooks.rejected()
	if l.now.Sub(l.firstReject) > strangerWindow {
		l.firstReject, l.mppeRejects = l.now, 0
	}
	if l.mppeRejects++; l.mppeRejects >= 3 && l.now.Sub(l.firstReject) >= rejectsApart {
		l.seen.unreadable = serverCannotRead
		l.fail(endUnreadable, fmt.Sprintf("Protocol-Reject of MPPE (0x00fd) for %d of our packets", l.mppeRejects))
	}
}

// peerTerminated takes the server's Terminate-Request.
func (l *link) peerTerminated(text string) {
	l.seen.text = clean(text)
	evidence := "LCP Terminate-Request"
	if l.seen.declined != "" && l.phase <= phaseAuth {
		evidence = "the server asks for " + l.declinedName
	}
	l.fail(endTerminate, evidence)
}

// awaitEcho sets when the next echo is due, on a beat with those of other sessions.
func (l *link) awaitEcho() {
	l.nextEcho = beat.Before(l.now.Add(l.cfg.EchoEvery), l.cfg.EchoEvery/100)
}

// echo asks an idle server for life signs, and gives it up after some silences.
func (l *link) echo() {
	if l.phase != phaseUp || l.nextEcho.IsZero() || l.now.Before(l.nextEcho) {
		return
	}
	if l.echoes >= l.cfg.EchoMisses {
		if l.echoHeard || !l.hooks.controlAlive() {
			l.fail(endSilence, fmt.Sprintf("%d LCP Echo-Requests without an answer", l.echoes))
			return
		}
		l.echoes = 0 // it never answers these, and the control connection shows that it lives
	}
	l.echoes++
	if l.echoes > 1 && !l.echoHeard {
		l.hooks.askControl()
	}
	l.awaitEcho()
	l.sendEcho()
}

// sendEcho sends an Echo-Request and returns its id.
func (l *link) sendEcho() uint8 {
	l.echoID++
	l.send(ppp.LCP, ppp.Packet{Code: ppp.EchoRequest, ID: l.echoID, Data: binary.BigEndian.AppendUint32(nil, l.lcpo.Magic)})
	return l.echoID
}

// ping sends an Echo-Request whose answer somebody waits for.
func (l *link) ping(now time.Time, answered chan<- time.Duration) {
	l.now = now
	if l.phase != phaseUp {
		return
	}
	if l.pings == nil {
		l.pings = make(map[uint8]pendingEcho)
	}
	// One that was never answered gives way when the ids come round.
	l.pings[l.sendEcho()] = pendingEcho{now, answered}
}

// answered takes the answer to an Echo-Request.
func (l *link) answered(id uint8) {
	if p, ok := l.pings[id]; ok {
		delete(l.pings, id)
		p.answered <- l.now.Sub(p.sent) // has room for one
	}
}

// pendingEcho is an Echo-Request whose answer somebody waits for.
type pendingEcho struct {
	sent     time.Time
	answered chan<- time.Duration
}

// alive tells that packets came: no need for an echo.
func (l *link) alive() { l.echoes = 0 }

// --- encryption

// accepted goes on from the login to the network.
func (l *link) accepted(note string) {
	if l.phase != phaseAuth {
		return
	}
	l.login.again = time.Time{}
	l.hooks.reached(StepAuth, note)
	l.seen.keys = l.login.keys
	allowed := l.cfg.strengths()
	if !l.login.keys || allowed == 0 {
		if l.cfg.Encryption == EncryptionRequired {
			l.fail(endNoKeys, "the login "+l.lcpo.PeerAuth.String()+" gives no keys")
			return
		}
		l.hooks.reached(StepEncryption, "none")
		l.beginIPCP()
		return
	}
	l.enter(phaseEncryption, l.cfg.Timeouts.Encryption)
	l.ccpAt = l.now.Add(ccpPatience)
	l.ccpo = ppp.CCPOptions{Allowed: allowed}
	l.ccp = ppp.NewNegotiation(ppp.CCP, &l.ccpo, l.timing(), ppp.Hooks{
		Send: l.send, Up: l.ccpUp, Finished: l.ccpFinished, Extra: l.ccpExtra, Disagree: l.disagree(ppp.CCP),
	})
}

// beginCCP asks for the strength that the server has shown to want, or for all
// that are allowed. A pppd with 40 bits only hangs up when it is asked for 128.
func (l *link) beginCCP(offered ppp.MPPEBits) {
	l.ccpAt = time.Time{}
	l.ccpo.Want = l.ccpo.Allowed
	if best := (offered & l.ccpo.Allowed).Strongest(); best != 0 {
		l.ccpo.Want = best
	}
	l.ccpo.Want |= ppp.MPPEStateless
	l.ccp.Begin(l.now)
}

func (l *link) ccpInput(p ppp.Packet) {
	l.seen.ccpHeard = true
	if l.phase == phaseAuth {
		l.networkTooSoon()
		return
	}
	if l.holdCCP(p) {
		return
	}
	if l.ccp == nil {
		if l.phase > phaseAuth && p.Code == ppp.ConfigureRequest {
			l.seen.refusedCCP = len(p.Data) > 0
			l.seen.ccpRefused = l.seen.ccpRefused || l.seen.refusedCCP
			l.rejectProtocol(ppp.CCP, p.Append(nil))
		}
		return
	}
	if l.phase == phaseDead {
		return
	}
	if !l.ccpAt.IsZero() {
		var offered ppp.MPPEBits
		if p.Code == ppp.ConfigureRequest {
			offered = ppp.OfferedMPPE(p.Data)
		}
		l.beginCCP(offered)
	}
	l.ccp.Input(l.now, p)
	l.seen.otherLength = l.ccpo.Offered != 0
	l.seen.ccpRefused = l.seen.ccpRefused || l.ccpo.Rejected || l.seen.otherLength
	l.ccpAnswered(p)
}

// holdCCP keeps the server's first request for ackPatience and reports whether it did.
func (l *link) holdCCP(p ppp.Packet) bool {
	wait := ackPatience - l.rtt
	if l.pppd || l.ccpTaken || l.phase != phaseEncryption || p.Code != ppp.ConfigureRequest || wait <= 0 {
		return false
	}
	if l.heldCCP == nil {
		l.heldUntil = l.now.Add(wait)
	}
	p.Data = slices.Clone(p.Data)
	l.heldCCP = &p
	if !l.ccpAt.IsZero() {
		l.beginCCP(ppp.OfferedMPPE(p.Data))
	}
	return true
}

// releaseCCP answers the request that was held.
func (l *link) releaseCCP() {
	if l.heldCCP == nil || l.now.Before(l.heldUntil) {
		return
	}
	p := *l.heldCCP
	l.heldCCP, l.heldUntil, l.ccpTaken = nil, time.Time{}, true
	if l.phase != phaseDead {
		l.ccpInput(p)
	}
}

// ccpAnswered ends the question of encryption as soon as the server has said no to
// it, RFC 1962 section 2: there is nothing to wait for.
func (l *link) ccpAnswered(p ppp.Packet) {
	if l.phase != phaseEncryption {
		return
	}
	switch p.Code {
	case ppp.TerminateRequest:
		l.ccpo.Rejected = true
	case ppp.TerminateAck: // the answer of a layer that is closed; the first may come before it opens
		l.ccpClosed++
		l.ccpo.Rejected = l.ccpo.Rejected || l.ccpClosed >= 2
	case ppp.ConfigureRequest:
		l.mppeWanted = ppp.OfferedMPPE(p.Data) != 0
	}
	switch {
	case !l.ccpo.Rejected:
	case l.cfg.Encryption == EncryptionRequired:
		l.failUnencrypted()
	case l.ccpo.Send == 0 && !l.mppeWanted:
		l.withoutEncryption()
	}
}

func (l *link) ccpUp() {
	recv, send := l.ccpo.Recv, l.ccpo.Send
	if l.cfg.Encryption == EncryptionRequired && (recv == 0 || send == 0) {
		l.failUnencrypted()
		return
	}
	l.enc, l.dec = nil, nil
	if send != 0 {
		l.enc = mppe.NewEncryptor(l.login.key(send, true), mppe.Strength(send.Bits()), send&ppp.MPPEStateless != 0)
	}
	if recv != 0 {
		l.dec = mppe.NewDecryptor(l.login.key(recv, false), mppe.Strength(recv.Bits()), recv&ppp.MPPEStateless != 0)
	}
	l.hooks.keyed(l.enc, l.dec)
	if l.phase == phaseEncryption {
		l.hooks.reached(StepEncryption, l.encryption())
		l.beginIPCP()
	}
}

func (l *link) ccpFinished() {
	if l.phase != phaseEncryption {
		return
	}
	if l.cfg.Encryption == EncryptionRequired {
		l.failUnencrypted()
		return
	}
	l.withoutEncryption()
}

func (l *link) failUnencrypted() {
	if l.ccpo.Offered != 0 {
		l.fail(endUnencrypted, fmt.Sprintf("the server has %d bits only", l.ccpo.Offered.Bits()))
		return
	}
	l.fail(endUnencrypted, "the server has no MPPE for us")
}

// withoutEncryption goes on in clear, as the policy allows it.
func (l *link) withoutEncryption() {
	l.ccpAt = time.Time{}
	l.encDropped = true
	l.hooks.reached(StepEncryption, "none")
	l.beginIPCP()
}

func (l *link) ccpExtra(p ppp.Packet) bool {
	switch p.Code {
	case ppp.ResetRequest:
		if l.enc != nil {
			l.resetHeard = l.ccpo.Send&ppp.MPPEStateless == 0
			l.hooks.flush()
		}
		l.send(ppp.CCP, ppp.Packet{Code: ppp.ResetAck, ID: p.ID})
	case ppp.ResetAck:
	default:
		return false
	}
	return true
}

// askReset asks the server to begin its stream anew.
func (l *link) askReset(now time.Time) {
	l.now = now
	if l.phase == phaseDead {
		return
	}
	l.id++
	l.send(ppp.CCP, ppp.Packet{Code: ppp.ResetRequest, ID: l.id})
}

// encryption names what is in use.
func (l *link) encryption() string {
	if l.enc == nil && l.dec == nil {
		return "none"
	}
	name := func(b ppp.MPPEBits) string {
		switch {
		case b == 0:
			return "none"
		case b&ppp.MPPEStateless != 0:
			return fmt.Sprintf("MPPE-%d stateless", b.Bits())
		}
		return fmt.Sprintf("MPPE-%d stateful", b.Bits())
	}
	send, recv := name(l.ccpo.Send), name(l.ccpo.Recv)
	if send == recv {
		return send
	}
	return fmt.Sprintf("%s sent, %s received", send, recv)
}

// --- addresses

func (l *link) beginIPCP() {
	l.enter(phaseIP, l.cfg.Timeouts.IP)
	l.ipo = ppp.IPCPOptions{AskDNS: true}
	l.ipcp = ppp.NewNegotiation(ppp.IPCP, &l.ipo, l.timing(), ppp.Hooks{
		Send: l.send, Up: l.ipcpUp, Finished: l.ipcpFinished, Disagree: l.disagree(ppp.IPCP),
	})
	l.ipcp.Begin(l.now)
	if p := l.heldIPCP; p != nil {
		l.heldIPCP = nil
		l.ipcp.Input(l.now, *p)
	}
}

func (l *link) ipcpInput(p ppp.Packet) {
	l.seen.ipcpHeard = true
	switch {
	case l.phase == phaseAuth:
		l.networkTooSoon()
		fallthrough
	case l.phase == phaseEncryption:
		if p.Code == ppp.ConfigureRequest {
			p.Data = append([]byte(nil), p.Data...)
			l.heldIPCP = &p
		}
	case l.ipcp != nil && l.phase != phaseDead:
		l.ipcp.Input(l.now, p)
		if p.Code == ppp.TerminateRequest && l.phase != phaseDead {
			l.seen.text = clean(string(p.Data))
			l.fail(endIPCP, "the server ended IPCP")
		}
	}
}

func (l *link) ipcpUp() {
	if l.phase != phaseIP {
		return
	}
	address := func(code, evidence string) {
		l.seen.said = code
		l.fail(endAddress, evidence)
	}
	switch {
	case l.ipo.Refusal:
		address("rejected", "the server rejects the address option")
		return
	case !l.ipo.Local.IsValid() || l.ipo.Local.IsUnspecified():
		address("no_address", "the server gave us no address")
		return
	case l.ipo.Local == l.ipo.Peer:
		address("address_conflict", fmt.Sprintf("the server gave us %s, which it has itself", l.ipo.Local))
		return
	}
	l.measure(l.ipcp)
	l.phase = phaseUp
	l.awaitEcho()
	l.hooks.reached(StepIP, l.ipo.Local.String())
}

func (l *link) ipcpFinished() {
	switch {
	case l.phase != phaseIP:
	case l.ipcp.RejectedCode() != 0:
		l.seen.layer = StepIP
		l.fail(endRejected, fmt.Sprintf("the server does not know the IPCP code %s (Code-Reject)", l.ipcp.RejectedCode()))
	default:
		l.overdue()
	}
}

// mtu is the largest IP packet to send. MPPE puts 4 bytes into what the
// server's MRU counts.
func (l *link) mtu() int {
	limit := int(l.lcpo.PeerMRU)
	if l.enc != nil {
		limit -= 4
	}
	return max(min(DefaultMTU, limit), 68)
}

func (l *link) dns() []netip.Addr {
	var list []netip.Addr
	for i, a := range l.ipo.DNS {
		if a.IsValid() && !a.IsUnspecified() && (i == 0 || a != l.ipo.DNS[0]) {
			list = append(list, a)
		}
	}
	return list
}
