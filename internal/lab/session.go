package lab

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/pptp/mppe"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// phase is the stage of a session.
type phase uint8

const (
	phaseLink phase = iota
	phaseLogin
	phaseNetwork
	phaseUp
	phaseLeaving
)

const (
	mru = 1450 // the largest packet that the client may send, in bytes

	askInterval = 3 * time.Second // between retransmissions of a challenge or a Terminate-Request
	maxAsks     = 10
	loginWait   = 30 * time.Second // timeout of the whole login
	leaveWait   = 3 * time.Second  // timeout of the client's Terminate-Ack
	afterLeave  = 50 * time.Millisecond
	resetPause  = 200 * time.Millisecond
	maxDecline  = 3 // how often a server other than pppd repeats its last login
)

// session is the server's end of one call: PPP from LCP to IPCP, and the packets
// after that. It has no goroutine of its own: the reader of the wire delivers packets,
// and a timer calls tick.
type session struct {
	spec     Session
	node     *Node
	control  controlConn
	onRate   func(most int) // called with the maximum number of packets in one second
	call     *gre.Call
	peerID   uint16 // the call id of our GRE packets
	addrs    addresses
	freeAddr func() // releases the client's address
	services func() *services

	mu            sync.Mutex // guards the link
	phase         phase
	greStarted    bool // GRE packets are received and sent
	ending        bool // the session has reached the stage where it ends
	closed        bool
	timer         *time.Timer
	now           time.Time
	link          *ppp.Negotiation
	lcpPolicy     linkPolicy
	ccp           *ppp.Negotiation
	ccpPolicy     *mppePolicy
	ip            *ppp.Negotiation
	ipOptions     ppp.IPCPOptions
	auth          Auth // the login that we request
	authenticator authenticator
	meter         meter
	id            uint8 // id of packets outside the negotiations

	chapID         uint8
	challengesSent int
	loginReply     *ppp.Packet // our reply to the login, for retransmissions
	keys           keys

	ownRequest ppp.Packet // our endless Configure-Request, see sendOwnRequest
	naks       int

	beginAt time.Time // when the first packet is sent, if it is delayed
	endAt   time.Time // when the session ends as its Ending says
	echoAt  time.Time // when the client gets an Echo-Request

	repeatAt time.Time // when the last packet is sent again
	giveUp   time.Time // when the current wait times out
	lifeAt   time.Time // when a session of limited life ends

	data tunnel
}

// addresses are the addresses of a session inside the tunnel.
type addresses struct {
	server, client netip.Addr
	dns            netip.Addr
}

// openSession opens the server's end of a call from peer. The session sends nothing
// before startPPP.
func (f *Fleet) openSession(i int, peer netip.Addr, callID uint16, d controlConn) (*session, error) {
	n := &f.nodes[i]
	s := &session{spec: n.Behaviour.Session, node: n, control: d, peerID: callID, services: f.innerServices}
	s.onRate = func(most int) { f.noteRate(i, most) }
	s.authenticator = authenticator{
		login: n.Login, password: n.Password, refuse: s.spec.Refuse, impostor: s.spec.Impostor,
		form: s.spec.Password, retry: n.isPPPD(),
	}
	logins := s.spec.offeredLogins()
	s.lcpPolicy = linkPolicy{others: logins[1:], inOrder: s.spec.InOrder, LCPOptions: ppp.LCPOptions{
		MRU: mru, Magic: newMagic(), NewMagic: newMagic, Compress: true,
	}}
	s.lcpPolicy.askFor(logins[0])
	s.lcpPolicy.dropsAuth = s.spec.Declined == DeclinedTerminate || s.spec.Declined == "" && s.spec.Vendor == VendorPPTPD
	s.link = ppp.NewNegotiation(ppp.LCP, &s.lcpPolicy, s.negotiationTiming(), ppp.Hooks{
		Send: s.sendPacket, Up: s.linkUp, Down: s.linkDown, Finished: s.finishLink, Extra: s.linkExtra,
	})
	s.timer = time.AfterFunc(time.Hour, s.tick)
	s.timer.Stop()
	s.data.setUp(s)
	server := networkAddr(i, 1)
	s.addrs = addresses{server: server, dns: server, client: netip.IPv4Unspecified()}
	s.freeAddr = func() {}
	switch {
	case s.spec.NoAddress:
	case s.spec.IP == IPConflict:
		s.addrs.client = server
	default:
		s.addrs.client = f.pool.leaseAddr(i)
		s.freeAddr = func() { f.pool.releaseAddr(i, s.addrs.client) }
	}
	s.mu.Lock() // packets may arrive before Open returns
	defer s.mu.Unlock()
	call, err := f.mux.Open(n.Addr.Addr(), peer, s)
	if err != nil {
		s.freeAddr()
		return nil, err
	}
	s.call = call
	return s, nil
}

func newMagic() uint32 { return rand.Uint32() | 1 }

// startPPP is called after the call was accepted.
func (s *session) startPPP() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = time.Now()
	switch {
	case s.closed || s.endsAt(StageCall) || s.spec.GRE == GRESilent:
	case s.spec.Begins > 0:
		s.beginAt = s.now.Add(s.spec.Begins)
	default:
		s.sendFirst()
	}
	s.setTimer()
}

// sendFirst sends the first packet. Until then the session neither accepts nor
// acknowledges packets, because the call has no id for answers.
func (s *session) sendFirst() {
	s.beginAt, s.greStarted = time.Time{}, true
	s.call.SetPeerID(s.peerID)
	switch {
	case s.spec.Terminate != "":
		s.terminateLink(s.spec.Terminate)
	case s.spec.LCP.insistsOnRequest():
		s.sendOwnRequest()
	case s.spec.LCP != LCPLoop:
		s.link.Begin(s.now)
	}
}

// close ends the session and releases its resources. It must not be
// called during packet delivery.
func (s *session) close() {
	s.mu.Lock()
	s.closed = true
	s.timer.Stop()
	s.mu.Unlock()
	s.call.Close()
	s.data.close()
	s.freeAddr()
}

// --- gre.Handler

// Deliver implements gre.Handler.
func (s *session) Deliver(b *gre.Buffer) {
	proto, body, err := ppp.ParseFrame(b.Data)
	switch {
	case err != nil:
	case proto == ppp.MPPE || proto == ppp.IPv4:
		s.data.queueFrame(b)
		return
	default:
		s.inputPacket(proto, body)
	}
	b.Release()
}

// Flush implements gre.Handler.
func (s *session) Flush() { s.data.decryptQueued() }

// Unreachable implements gre.Handler. It does nothing: the control connection ends too.
func (s *session) Unreachable(gre.Unreachable) {}

// --- The link; every method below except inputPacket and tick needs s.mu held

func (s *session) sendPacket(proto ppp.Protocol, p ppp.Packet) {
	if s.spec.GRE == GREDeaf && p.Code == ppp.ConfigureRequest {
		p.ID = 1 // pppd repeats its request unchanged
	}
	b := make([]byte, gre.Headroom, gre.Headroom+ppp.FrameOverhead+4+len(p.Data))
	b = p.Append(ppp.AppendFrame(b, proto))
	_ = s.call.Send(b) // lost packets are retransmitted
}

func (s *session) inputPacket(proto ppp.Protocol, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.greStarted || s.ending && (s.phase != phaseLeaving || proto != ppp.LCP) {
		return
	}
	s.now = time.Now()
	s.onRate(s.meter.count(s.now))
	s.dispatchPacket(proto, body)
	s.setTimer()
}

func (s *session) dispatchPacket(proto ppp.Protocol, body []byte) {
	p, err := ppp.ParsePacket(body)
	if err != nil {
		return
	}
	if s.spec.LCP == LCPLoop {
		s.sendPacket(proto, p)
		return
	}
	switch proto {
	case ppp.LCP:
		s.linkInput(p)
	case ppp.PAP:
		s.papInput(p)
	case ppp.CHAP:
		s.chapInput(p)
	case ppp.CCP:
		s.ccpInput(p)
	case ppp.IPCP:
		s.ipInput(p)
	default:
		if s.link.State() == ppp.Opened {
			s.rejectProtocol(proto, body)
		}
	}
}

// feedNegotiation passes a packet to a negotiation. Like pppd it accepts one Configure-Ack
// per request: over a long path a retransmission causes a second one.
func (s *session) feedNegotiation(n *ppp.Negotiation, p ppp.Packet) {
	if p.Code != ppp.ConfigureAck || n.State() != ppp.AckRcvd && n.State() != ppp.Opened {
		n.Input(s.now, p)
	}
}

// negotiationTiming returns the timing of pppd for pptpd servers and long
// paths.
func (s *session) negotiationTiming() ppp.Timing {
	t := ppp.Timing{Failure: maxAsks}
	if s.spec.Vendor == VendorPPTPD || s.spec.Latency >= time.Second/2 {
		t.First = askInterval
	}
	return t
}

func (s *session) rejectProtocol(proto ppp.Protocol, body []byte) {
	s.id++
	data := binary.BigEndian.AppendUint16(nil, uint16(proto))
	s.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.ProtocolReject, ID: s.id, Data: append(data, body[:min(len(body), 64)]...)})
}

// tick is called by the timer.
func (s *session) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.now = time.Now()
	reached := func(t time.Time) bool { return !t.IsZero() && !s.now.Before(t) }
	switch {
	case reached(s.endAt):
		s.endSession()
	case reached(s.beginAt):
		s.sendFirst()
	case reached(s.lifeAt):
		s.lifeAt = time.Time{}
		s.expireLife()
	case reached(s.giveUp):
		s.giveUp = time.Time{}
		if s.phase == phaseLeaving {
			s.control.close()
		} else {
			s.terminateLink("")
		}
	case reached(s.repeatAt):
		s.repeatLast()
	case reached(s.echoAt) && s.isNegotiating():
		s.requestEcho()
	}
	if s.isNegotiating() {
		for _, n := range []*ppp.Negotiation{s.link, s.ccp, s.ip} {
			if n != nil {
				n.Tick(s.now)
			}
		}
		s.afterCCP()
	}
	s.setTimer()
}

// setTimer sets the timer to the next deadline.
func (s *session) setTimer() {
	var next time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	earlier(s.endAt)
	earlier(s.beginAt)
	earlier(s.repeatAt)
	earlier(s.giveUp)
	earlier(s.lifeAt)
	if s.isNegotiating() {
		earlier(s.echoAt)
		for _, n := range []*ppp.Negotiation{s.link, s.ccp, s.ip} {
			if n != nil {
				earlier(n.Deadline())
			}
		}
	}
	if next.IsZero() {
		s.timer.Stop()
		return
	}
	s.timer.Reset(max(next.Sub(s.now), 0))
}

// isNegotiating reports whether the negotiations continue.
func (s *session) isNegotiating() bool { return s.phase != phaseLeaving && !s.ending }

// repeatLast sends the unanswered packet again.
func (s *session) repeatLast() {
	s.repeatAt = time.Time{}
	switch {
	case s.phase == phaseLeaving:
		s.sendTerminate(s.spec.Terminate)
		s.repeatAt = s.now.Add(time.Second)
	case s.ending:
	case s.phase == phaseLink && s.spec.LCP.insistsOnRequest():
		s.repeatOwnRequest()
	case s.phase == phaseLogin && s.challengesSent < maxAsks:
		s.sendChallenge()
	}
}

// expireLife ends a session whose lifetime is over.
func (s *session) expireLife() {
	if s.spec.Ends > 0 {
		s.terminateLink("Session-Timeout")
		return
	}
	s.phase = phaseLeaving
	s.control.close()
}

// --- LCP

func (s *session) linkInput(p ppp.Packet) {
	if s.phase == phaseLeaving {
		switch p.Code {
		case ppp.TerminateAck:
			s.finishLink()
		case ppp.TerminateRequest:
			s.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.TerminateAck, ID: p.ID})
		}
		return
	}
	switch {
	case p.Code == ppp.ConfigureRequest && s.endsAt(StageLCP), s.handleFaulty(ppp.LCP, p):
		return
	case s.spec.LCP.insistsOnRequest() && p.Code <= ppp.ConfigureReject:
		s.ownRequestAnswered(p)
	case s.spec.LCP.insistsOnRequest() && p.Code == ppp.TerminateRequest: // lcp has not begun
		s.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.TerminateAck, ID: p.ID})
	case (p.Code == ppp.ConfigureNak || p.Code == ppp.ConfigureReject) && s.handleDeclined(p.Data):
		return
	default:
		s.feedNegotiation(s.link, p)
	}
	switch {
	case p.Code == ppp.TerminateRequest:
		s.phase = phaseLeaving
		s.repeatAt = time.Time{}
		s.giveUp = s.now.Add(leaveWait) // the client hangs up earlier
	case s.lcpPolicy.declined > maxDecline && !s.lcpPolicy.dropsAuth && s.phase == phaseLink:
		s.terminateLink(refusesToLogIn)
	}
}

// refusesToLogIn is pppd's last text for a client that does not log in.
const refusesToLogIn = "peer refused to authenticate"

// handleDeclined handles a client that refuses our last login, if the server reacts at
// once. It reports whether it did. A server with dropsAuth first continues without a
// login, as pppd does; the others repeat their request.
func (s *session) handleDeclined(refused []byte) bool {
	list, err := ppp.ParseOptions(refused)
	if err != nil || len(s.lcpPolicy.others) > 0 || !slices.ContainsFunc(list, func(o ppp.Option) bool { return o.Type == optAuth }) {
		return false
	}
	switch {
	case s.spec.Declined == DeclinedCDN:
		s.sendDisconnect(control.DisconnectAdminShutdown, control.ErrorNone, 0)
	case s.spec.Declined == DeclinedSilent:
		s.ending = true
	case s.node.isPPPD() && !s.lcpPolicy.dropsAuth:
		s.terminateLink(refusesToLogIn)
	default:
		return false
	}
	return true
}

func (s *session) linkUp() {
	if s.lcpPolicy.declined > 0 && s.lcpPolicy.dropsAuth {
		s.terminateLink(refusesToLogIn)
		return
	}
	s.phase = phaseLogin
	s.lcpPolicy.declined = 0
	s.requestEcho()
	s.giveUp = s.now.Add(loginWait)
	s.auth = s.lcpPolicy.auth
	s.authenticator.auth = s.auth
	switch s.auth {
	case AuthNone:
		s.startNetwork(keys{})
	case AuthPAP, AuthEAP, AuthSPAP: // the client sends first
	default:
		s.challengesSent, s.loginReply = 0, nil
		s.authenticator.challenge = randomBytes(s.auth.challengeLen())
		if s.spec.Login == LoginMalformed {
			s.authenticator.challenge = s.authenticator.challenge[:3]
		}
		s.id++
		s.chapID = s.id
		s.sendChallenge()
	}
}

// requestEcho sends an Echo-Request to the client, once, or every second if that must
// reveal which packets are lost.
func (s *session) requestEcho() {
	s.id++
	s.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.EchoRequest, ID: s.id, Data: binary.BigEndian.AppendUint32(nil, s.lcpPolicy.Magic)})
	s.echoAt = time.Time{}
	if s.spec.Loses != "" {
		s.echoAt = s.now.Add(time.Second)
	}
}

// linkDown restarts the link: the client sends Configure-Requests again.
func (s *session) linkDown() {
	if s.phase != phaseLeaving {
		s.phase = phaseLink
		s.ccp, s.ip = nil, nil
		s.data.setKeys(nil, nil)
		s.repeatAt = time.Time{}
	}
}

func (s *session) linkExtra(p ppp.Packet) bool {
	switch p.Code {
	case ppp.EchoRequest:
		if s.link.State() == ppp.Opened && len(p.Data) >= 4 && (s.spec.Echo == "" || s.spec.Echo == EchoLCP) {
			data := binary.BigEndian.AppendUint32(nil, s.lcpPolicy.Magic)
			s.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.EchoReply, ID: p.ID, Data: append(data, p.Data[4:]...)})
		}
	case ppp.ProtocolReject:
		if len(p.Data) >= 2 && ppp.Protocol(binary.BigEndian.Uint16(p.Data)) == ppp.CCP && s.ccp != nil {
			s.ccpPolicy.refused = true
			s.ccp.Reject(s.now)
			s.afterCCP()
		}
	case ppp.EchoReply, ppp.DiscardRequest, ppp.Identification, ppp.TimeRemaining:
	default:
		return false
	}
	return true
}

// terminateLink ends the link with a Terminate-Request and this text.
func (s *session) terminateLink(text string) {
	if s.phase == phaseLeaving {
		return
	}
	s.phase = phaseLeaving
	s.spec.Terminate = text
	s.sendTerminate(text)
	s.repeatAt = s.now.Add(time.Second)
	s.giveUp = s.now.Add(leaveWait)
}

func (s *session) sendTerminate(text string) {
	s.id++
	s.sendPacket(ppp.LCP, ppp.Packet{Code: ppp.TerminateRequest, ID: s.id, Data: []byte(text)})
}

// finishLink ends the control connection after a short delay, as pppd does.
func (s *session) finishLink() {
	s.phase = phaseLeaving
	s.repeatAt = time.Time{}
	s.giveUp = s.now.Add(afterLeave)
}

// --- the login

// sendChallenge sends the challenge, for the first time or again.
func (s *session) sendChallenge() {
	s.challengesSent++
	s.repeatAt = s.now.Add(askInterval)
	v := ppp.Value{Value: s.authenticator.challenge, Name: s.node.Server.Host}
	s.sendPacket(ppp.CHAP, ppp.Packet{Code: ppp.CHAPChallenge, ID: s.chapID, Data: v.Append(nil)})
}

func (s *session) papInput(p ppp.Packet) {
	if s.auth != AuthPAP || p.Code != ppp.PAPRequest || s.phase < phaseLogin || s.ignoresLogin() {
		return
	}
	if s.loginReply != nil && s.phase != phaseLogin { // our reply was lost
		s.loginReply.ID = p.ID
		s.sendPacket(ppp.PAP, *s.loginReply)
		return
	}
	c, err := ppp.ParseCredentials(p.Data)
	if err != nil {
		return
	}
	v := s.authenticator.checkPAP(c)
	code := ppp.PAPNak
	if v.ok {
		code = ppp.PAPAck
	}
	s.answerLogin(ppp.PAP, ppp.Packet{Code: code, ID: p.ID, Data: append([]byte{byte(len(v.text))}, v.text...)}, v)
}

func (s *session) chapInput(p ppp.Packet) {
	if s.auth.lcpAuth().Protocol != ppp.CHAP || p.Code != ppp.CHAPResponse || p.ID != s.chapID || s.phase < phaseLogin || s.ignoresLogin() {
		return
	}
	if s.loginReply != nil {
		s.sendPacket(ppp.CHAP, *s.loginReply)
		return
	}
	v, err := ppp.ParseValue(p.Data)
	if err != nil {
		return
	}
	judged := s.authenticator.checkCHAP(p.ID, v)
	code := ppp.CHAPFailure
	if judged.ok {
		code = ppp.CHAPSuccess
	}
	s.answerLogin(ppp.CHAP, ppp.Packet{Code: code, ID: p.ID, Data: []byte(judged.text)}, judged)
}

// ignoresLogin reports whether the client's answer to the login gets no reply.
func (s *session) ignoresLogin() bool {
	return s.endsAt(StageLogin) || s.spec.Login == LoginSilent
}

func (s *session) answerLogin(proto ppp.Protocol, p ppp.Packet, v verdict) {
	s.repeatAt = time.Time{}
	if s.spec.Login == LoginWordless {
		s.terminateLink("Authentication failed")
		return
	}
	s.loginReply = &p
	s.sendPacket(proto, p)
	if !v.ok {
		s.terminateLink("Authentication failed")
		return
	}
	s.startNetwork(v.keys)
}

// --- the network

// startNetwork begins CCP and IPCP together, as pppd does, unless the server requires
// encryption first.
func (s *session) startNetwork(k keys) {
	s.phase = phaseNetwork
	s.giveUp = time.Time{}
	s.keys = k
	has := s.spec.MPPE != MPPENone && s.spec.MPPE != MPPERejected
	switch {
	case s.endsAt(StageAfterLogin):
		return
	case s.spec.MPPERequired && !(k.ok && has): // like a pppd whose kernel has no MPPE
		s.terminateLink("MPPE required but not available")
		return
	case s.ccpFails():
	case k.ok && s.spec.MPPE != MPPERejected:
		s.ccpPolicy = newMPPEPolicy(s.spec.MPPE)
		s.ccp = ppp.NewNegotiation(ppp.CCP, s.ccpPolicy, s.negotiationTiming(), ppp.Hooks{
			Send: s.sendPacket, Up: s.ccpUp, Down: s.ccpDown, Extra: s.ccpExtra,
			Finished: func() { s.ccpPolicy.refused = true },
		})
		s.ccp.Begin(s.now)
	}
	if !s.spec.MPPERequired {
		s.beginIP()
	}
}

// ccpFails reports whether CCP leads to no encryption.
func (s *session) ccpFails() bool { return s.spec.CCP != "" || s.spec.Nak == LayerCCP }

func (s *session) ccpInput(p ppp.Packet) {
	switch {
	case s.phase != phaseNetwork && s.phase != phaseUp:
	case s.ccp != nil && s.ccpPolicy.decidesCCP(p) && s.endsAt(StageCCP), s.handleFaulty(ppp.CCP, p):
	case s.ccp != nil:
		s.feedNegotiation(s.ccp, p)
		s.afterCCP()
	case s.ccpFails(): // other packets than requests are ignored
	default:
		s.rejectProtocol(ppp.CCP, p.Append(nil))
	}
}

// startKey returns the start key of a direction, wrong if the spec says so.
func (s *session) startKey(bits ppp.MPPEBits, send bool) mppe.Key {
	k := s.keys.startKey(bits, send)
	if s.spec.WrongKeys.includes(send) {
		for i := range k {
			k[i] ^= 0x5a
		}
	}
	return k
}

func (s *session) ccpUp() {
	recv, send := s.ccpPolicy.recv, s.ccpPolicy.send
	if recv == 0 || send == 0 {
		s.ccpPolicy.refused = true
		return
	}
	enc := mppe.NewEncryptor(s.startKey(send, true), mppe.Strength(send.Bits()), send&ppp.MPPEStateless != 0)
	dec := mppe.NewDecryptor(s.startKey(recv, false), mppe.Strength(recv.Bits()), recv&ppp.MPPEStateless != 0)
	if s.spec.Data == DataPlain {
		enc = nil
	}
	s.data.setKeys(enc, dec)
	if s.ip == nil {
		s.beginIP()
	}
}

// ccpDown is called when CCP is negotiated again. pppd takes that for the end of the
// encryption and hangs up.
func (s *session) ccpDown() {
	if s.spec.Vendor == VendorPPTPD && s.ccpPolicy.recv != 0 {
		s.terminateLink("MPPE disabled")
	}
}

// afterCCP ends a session without its required encryption.
func (s *session) afterCCP() {
	if s.ccpPolicy != nil && s.ccpPolicy.refused && s.spec.MPPERequired && s.phase != phaseLeaving {
		s.terminateLink("MPPE required but peer negotiation failed")
	}
}

func (s *session) ccpExtra(p ppp.Packet) bool {
	switch p.Code {
	case ppp.ResetRequest:
		s.data.restartStream()
		s.sendPacket(ppp.CCP, ppp.Packet{Code: ppp.ResetAck, ID: p.ID})
	case ppp.ResetAck:
	default:
		return false
	}
	return true
}

// askReset asks the client to restart its stream. It locks s.mu.
func (s *session) askReset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.phase != phaseUp {
		return
	}
	s.id++
	s.sendPacket(ppp.CCP, ppp.Packet{Code: ppp.ResetRequest, ID: s.id})
}

// rejectMPPE rejects an encrypted packet as if encryption had not been
// negotiated. It locks s.mu.
func (s *session) rejectMPPE(body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.phase == phaseUp {
		s.rejectProtocol(ppp.MPPE, body)
	}
}

// rejectNonsense behaves like a kernel that decrypts with the wrong key: it finds
// unknown protocols in the packets and rejects them. It locks s.mu.
func (s *session) rejectNonsense() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.phase == phaseUp {
		s.rejectProtocol(ppp.Protocol(0x4101|rand.Uint32()&0x3efe), randomBytes(8))
	}
}

func (s *session) beginIP() {
	if s.spec.End.At == StageIP {
		return // the client sends first
	}
	s.ipOptions = ppp.IPCPOptions{Local: s.addrs.server, Assign: s.addrs.client, DNS: [2]netip.Addr{s.addrs.dns}}
	s.ip = ppp.NewNegotiation(ppp.IPCP, &s.ipOptions, s.negotiationTiming(), ppp.Hooks{Send: s.sendPacket, Up: s.ipUp, Down: s.ipDown})
	if s.spec.IP != IPSilent && s.spec.IP != IPProtocolReject {
		s.ip.Begin(s.now)
	}
}

func (s *session) ipInput(p ppp.Packet) {
	switch {
	case s.phase != phaseNetwork && s.phase != phaseUp:
	case p.Code == ppp.ConfigureRequest && s.endsAt(StageIP):
	case s.ip != nil && s.handleFaulty(ppp.IPCP, p):
	case s.ip != nil:
		s.feedNegotiation(s.ip, p)
	case p.Code == ppp.ConfigureRequest: // pppd ignores IPCP before its encryption
		s.sendPacket(ppp.IPCP, ppp.Packet{Code: ppp.TerminateAck, ID: p.ID})
	}
}

func (s *session) ipUp() {
	s.phase = phaseUp
	s.data.letThrough()
	if life := s.spec.Dies + s.spec.Ends; life > 0 && s.lifeAt.IsZero() {
		s.lifeAt = s.now.Add(life)
	}
}

func (s *session) ipDown() {
	if s.phase == phaseUp {
		s.phase = phaseNetwork
	}
}
