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

// phase is where a session is.
type phase uint8

const (
	phaseLink phase = iota
	phaseLogin
	phaseNetwork
	phaseUp
	phaseLeaving
)

const (
	mru = 1450 // what we ask to be sent at most, in bytes

	askAgain   = 3 * time.Second // after a challenge or a Terminate-Request without an answer
	maxAsks    = 10
	loginWait  = 30 * time.Second // the whole login
	leaveWait  = 3 * time.Second  // for the client's Terminate-Ack
	afterLeave = 50 * time.Millisecond
	resetPause = 200 * time.Millisecond
	maxDecline = 3 // a server other than pppd asks so often for its own login
)

// session is the server's end of one call: PPP from LCP to IPCP, and the packets
// after that. It has no goroutine while nothing happens: packets come in the one
// that reads the wire, time in a timer's.
type session struct {
	what   Session
	node   *Node
	door   door           // the control connection
	heard  func(most int) // takes how many packets came in one second, at most
	call   *gre.Call
	peerID uint16 // the call id of our packets
	addrs  addresses
	free   func() // gives the address back
	sv     func() *services

	mu     sync.Mutex // of the link
	phase  phase
	begun  bool // GRE packets are heard and sent
	ending bool // at the stage where End has it
	closed bool
	timer  *time.Timer
	now    time.Time
	link   *ppp.Negotiation
	linkP  linkPolicy
	ccp    *ppp.Negotiation
	ccpP   *mppePolicy
	ip     *ppp.Negotiation
	ipP    ppp.IPCPOptions
	auth   Auth // the login that is asked for
	gate   gate
	busy   meter
	id     uint8 // of packets that belong to no negotiation

	chapID uint8
	asks   int
	said   *ppp.Packet // our answer to the login, to be repeated
	keys   keys

	demanded ppp.Packet // our own Configure-Request, where that has no end: see demand
	naks     int

	beginAt time.Time // when the first packet goes out, where that is late
	endAt   time.Time // when the session ends as End has it
	echoAt  time.Time // when the client is asked for a sign of life

	again  time.Time // when we repeat ourselves
	giveUp time.Time // when we wait no longer
	lifeAt time.Time // when a session that was to last so long is over

	data tunnel
}

// addresses are those of a session, inside.
type addresses struct {
	server, client netip.Addr
	dns            netip.Addr
}

// openSession begins the server's end of a call from peer. The session speaks when
// start is called.
func (f *Fleet) openSession(i int, peer netip.Addr, callID uint16, d door) (*session, error) {
	n := &f.nodes[i]
	s := &session{what: n.Behaviour.Session, node: n, door: d, peerID: callID, sv: f.innerServices}
	s.heard = func(most int) { f.noteBusy(i, most) }
	s.gate = gate{
		login: n.Login, password: n.Password, refuse: s.what.Refuse, impostor: s.what.Impostor,
		form: s.what.Password, retry: n.pppd(),
	}
	logins := s.what.logins()
	s.linkP = linkPolicy{others: logins[1:], inOrder: s.what.InOrder, LCPOptions: ppp.LCPOptions{
		MRU: mru, Magic: newMagic(), NewMagic: newMagic, Compress: true,
	}}
	s.linkP.ask(logins[0])
	s.linkP.drops = s.what.Declined == DeclinedTerminate || s.what.Declined == "" && s.what.Vendor == VendorPPTPD
	s.link = ppp.NewNegotiation(ppp.LCP, &s.linkP, s.timing(), ppp.Hooks{
		Send: s.send, Up: s.linkUp, Down: s.linkDown, Finished: s.leave, Extra: s.linkExtra,
	})
	s.timer = time.AfterFunc(time.Hour, s.tick)
	s.timer.Stop()
	s.data.init(s)
	server := network(i, 1)
	s.addrs = addresses{server: server, dns: server, client: netip.IPv4Unspecified()}
	s.free = func() {}
	switch {
	case s.what.NoAddress:
	case s.what.IP == IPConflict:
		s.addrs.client = server
	default:
		s.addrs.client = f.pool.lease(i)
		s.free = func() { f.pool.release(i, s.addrs.client) }
	}
	s.mu.Lock() // packets may come before we have the call
	defer s.mu.Unlock()
	call, err := f.mux.Open(n.Addr.Addr(), peer, s)
	if err != nil {
		s.free()
		return nil, err
	}
	s.call = call
	return s, nil
}

func newMagic() uint32 { return rand.Uint32() | 1 }

// start follows the word that the call was taken.
func (s *session) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = time.Now()
	switch {
	case s.closed || s.endsAt(StageCall) || s.what.GRE == GRESilent:
	case s.what.Begins > 0:
		s.beginAt = s.now.Add(s.what.Begins)
	default:
		s.begin()
	}
	s.arm()
}

// begin sends the first packet. Before it nothing is heard, nor acknowledged: the
// call has no id for that.
func (s *session) begin() {
	s.beginAt, s.begun = time.Time{}, true
	s.call.SetPeerID(s.peerID)
	switch {
	case s.what.Terminate != "":
		s.terminate(s.what.Terminate)
	case s.what.LCP.demands():
		s.demand()
	case s.what.LCP != LCPLoop:
		s.link.Begin(s.now)
	}
}

// close ends the session, and returns when nothing of it is left. It must not be
// called where packets are delivered.
func (s *session) close() {
	s.mu.Lock()
	s.closed = true
	s.timer.Stop()
	s.mu.Unlock()
	s.call.Close()
	s.data.close()
	s.free()
}

// --- gre.Handler

// Deliver implements gre.Handler.
func (s *session) Deliver(b *gre.Buffer) {
	proto, body, err := ppp.ParseFrame(b.Data)
	switch {
	case err != nil:
	case proto == ppp.MPPE || proto == ppp.IPv4:
		s.data.take(b)
		return
	default:
		s.input(proto, body)
	}
	b.Release()
}

// Flush implements gre.Handler.
func (s *session) Flush() { s.data.flush() }

// Unreachable implements gre.Handler. The control connection will tell.
func (s *session) Unreachable(gre.Unreachable) {}

// --- the link; s.mu is held by everything below but input and tick

func (s *session) send(proto ppp.Protocol, p ppp.Packet) {
	if s.what.GRE == GREDeaf && p.Code == ppp.ConfigureRequest {
		p.ID = 1 // pppd repeats itself word by word
	}
	b := make([]byte, gre.Headroom, gre.Headroom+ppp.FrameOverhead+4+len(p.Data))
	b = p.Append(ppp.AppendFrame(b, proto))
	_ = s.call.Send(b) // what is lost is asked for again
}

func (s *session) input(proto ppp.Protocol, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.begun || s.ending && (s.phase != phaseLeaving || proto != ppp.LCP) {
		return
	}
	s.now = time.Now()
	s.heard(s.busy.count(s.now))
	s.dispatch(proto, body)
	s.arm()
}

func (s *session) dispatch(proto ppp.Protocol, body []byte) {
	p, err := ppp.ParsePacket(body)
	if err != nil {
		return
	}
	if s.what.LCP == LCPLoop {
		s.send(proto, p)
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

// inform gives a packet to a negotiation. As pppd, it takes one Configure-Ack of each
// request: on a long way another follows, for the repetition of the request.
func (s *session) inform(n *ppp.Negotiation, p ppp.Packet) {
	if p.Code != ppp.ConfigureAck || n.State() != ppp.AckRcvd && n.State() != ppp.Opened {
		n.Input(s.now, p)
	}
}

// timing is how often a negotiation asks: as pppd where the server is one, and on a
// long way.
func (s *session) timing() ppp.Timing {
	t := ppp.Timing{Failure: maxAsks}
	if s.what.Vendor == VendorPPTPD || s.what.Latency >= time.Second/2 {
		t.First = askAgain
	}
	return t
}

func (s *session) rejectProtocol(proto ppp.Protocol, body []byte) {
	s.id++
	data := binary.BigEndian.AppendUint16(nil, uint16(proto))
	s.send(ppp.LCP, ppp.Packet{Code: ppp.ProtocolReject, ID: s.id, Data: append(data, body[:min(len(body), 64)]...)})
}

// tick is what the timer calls.
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
		s.end()
	case reached(s.beginAt):
		s.begin()
	case reached(s.lifeAt):
		s.lifeAt = time.Time{}
		s.expire()
	case reached(s.giveUp):
		s.giveUp = time.Time{}
		if s.phase == phaseLeaving {
			s.door.close()
		} else {
			s.terminate("")
		}
	case reached(s.again):
		s.repeat()
	case reached(s.echoAt) && s.negotiates():
		s.askEcho()
	}
	if s.negotiates() {
		for _, n := range []*ppp.Negotiation{s.link, s.ccp, s.ip} {
			if n != nil {
				n.Tick(s.now)
			}
		}
		s.afterCCP()
	}
	s.arm()
}

// arm sets the timer to what happens next by itself.
func (s *session) arm() {
	var next time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	earlier(s.endAt)
	earlier(s.beginAt)
	earlier(s.again)
	earlier(s.giveUp)
	earlier(s.lifeAt)
	if s.negotiates() {
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

// negotiates reports whether the negotiations of the session go on.
func (s *session) negotiates() bool { return s.phase != phaseLeaving && !s.ending }

// repeat says again what was not answered.
func (s *session) repeat() {
	s.again = time.Time{}
	switch {
	case s.phase == phaseLeaving:
		s.sendTerminate(s.what.Terminate)
		s.again = s.now.Add(time.Second)
	case s.ending:
	case s.phase == phaseLink && s.what.LCP.demands():
		s.demandAgain()
	case s.phase == phaseLogin && s.asks < maxAsks:
		s.ask()
	}
}

// expire ends a session whose time is over.
func (s *session) expire() {
	if s.what.Ends > 0 {
		s.terminate("Session-Timeout")
		return
	}
	s.phase = phaseLeaving
	s.door.close()
}

// --- LCP

func (s *session) linkInput(p ppp.Packet) {
	if s.phase == phaseLeaving {
		switch p.Code {
		case ppp.TerminateAck:
			s.leave()
		case ppp.TerminateRequest:
			s.send(ppp.LCP, ppp.Packet{Code: ppp.TerminateAck, ID: p.ID})
		}
		return
	}
	switch {
	case p.Code == ppp.ConfigureRequest && s.endsAt(StageLCP), s.stubborn(ppp.LCP, p):
		return
	case s.what.LCP.demands() && p.Code <= ppp.ConfigureReject:
		s.demandAnswered(p)
	case s.what.LCP.demands() && p.Code == ppp.TerminateRequest: // s.link has not begun
		s.send(ppp.LCP, ppp.Packet{Code: ppp.TerminateAck, ID: p.ID})
	case (p.Code == ppp.ConfigureNak || p.Code == ppp.ConfigureReject) && s.declined(p.Data):
		return
	default:
		s.inform(s.link, p)
	}
	switch {
	case p.Code == ppp.TerminateRequest:
		s.phase = phaseLeaving
		s.again = time.Time{}
		s.giveUp = s.now.Add(leaveWait) // the client hangs up before
	case s.linkP.declined > maxDecline && !s.linkP.drops && s.phase == phaseLink:
		s.terminate(refusesToLogIn)
	}
}

// refusesToLogIn is pppd's last word to a client that does not log in.
const refusesToLogIn = "peer refused to authenticate"

// declined deals at once with a client that refuses the only login that is left.
// It reports whether it did. A server with drops goes on without a login first, as
// pppd does; the others ask once more.
func (s *session) declined(refused []byte) bool {
	list, err := ppp.ParseOptions(refused)
	if err != nil || len(s.linkP.others) > 0 || !slices.ContainsFunc(list, func(o ppp.Option) bool { return o.Type == optAuth }) {
		return false
	}
	switch {
	case s.what.Declined == DeclinedCDN:
		s.disconnect(control.DisconnectAdminShutdown, control.ErrorNone, 0)
	case s.what.Declined == DeclinedSilent:
		s.ending = true
	case s.node.pppd() && !s.linkP.drops:
		s.terminate(refusesToLogIn)
	default:
		return false
	}
	return true
}

func (s *session) linkUp() {
	if s.linkP.declined > 0 && s.linkP.drops {
		s.terminate(refusesToLogIn)
		return
	}
	s.phase = phaseLogin
	s.linkP.declined = 0
	s.askEcho()
	s.giveUp = s.now.Add(loginWait)
	s.auth = s.linkP.auth
	s.gate.auth = s.auth
	switch s.auth {
	case AuthNone:
		s.loggedIn(keys{})
	case AuthPAP, AuthEAP, AuthSPAP: // the client begins
	default:
		s.asks, s.said = 0, nil
		s.gate.challenge = randomBytes(s.auth.challengeLen())
		if s.what.Login == LoginMalformed {
			s.gate.challenge = s.gate.challenge[:3]
		}
		s.id++
		s.chapID = s.id
		s.ask()
	}
}

// askEcho asks the client for a sign of life, once, or each second where that is to
// show which packets are lost.
func (s *session) askEcho() {
	s.id++
	s.send(ppp.LCP, ppp.Packet{Code: ppp.EchoRequest, ID: s.id, Data: binary.BigEndian.AppendUint32(nil, s.linkP.Magic)})
	s.echoAt = time.Time{}
	if s.what.Loses != "" {
		s.echoAt = s.now.Add(time.Second)
	}
}

// linkDown starts over: the client sends Configure-Requests again.
func (s *session) linkDown() {
	if s.phase != phaseLeaving {
		s.phase = phaseLink
		s.ccp, s.ip = nil, nil
		s.data.setKeys(nil, nil)
		s.again = time.Time{}
	}
}

func (s *session) linkExtra(p ppp.Packet) bool {
	switch p.Code {
	case ppp.EchoRequest:
		if s.link.State() == ppp.Opened && len(p.Data) >= 4 && (s.what.Echo == "" || s.what.Echo == EchoLCP) {
			data := binary.BigEndian.AppendUint32(nil, s.linkP.Magic)
			s.send(ppp.LCP, ppp.Packet{Code: ppp.EchoReply, ID: p.ID, Data: append(data, p.Data[4:]...)})
		}
	case ppp.ProtocolReject:
		if len(p.Data) >= 2 && ppp.Protocol(binary.BigEndian.Uint16(p.Data)) == ppp.CCP && s.ccp != nil {
			s.ccpP.refused = true
			s.ccp.Reject(s.now)
			s.afterCCP()
		}
	case ppp.EchoReply, ppp.DiscardRequest, ppp.Identification, ppp.TimeRemaining:
	default:
		return false
	}
	return true
}

// terminate ends the link with a text.
func (s *session) terminate(text string) {
	if s.phase == phaseLeaving {
		return
	}
	s.phase = phaseLeaving
	s.what.Terminate = text
	s.sendTerminate(text)
	s.again = s.now.Add(time.Second)
	s.giveUp = s.now.Add(leaveWait)
}

func (s *session) sendTerminate(text string) {
	s.id++
	s.send(ppp.LCP, ppp.Packet{Code: ppp.TerminateRequest, ID: s.id, Data: []byte(text)})
}

// leave lets the control connection end, in a moment: pppd takes one, too.
func (s *session) leave() {
	s.phase = phaseLeaving
	s.again = time.Time{}
	s.giveUp = s.now.Add(afterLeave)
}

// --- the login

// ask sends the challenge, first or again.
func (s *session) ask() {
	s.asks++
	s.again = s.now.Add(askAgain)
	v := ppp.Value{Value: s.gate.challenge, Name: s.node.Server.Host}
	s.send(ppp.CHAP, ppp.Packet{Code: ppp.CHAPChallenge, ID: s.chapID, Data: v.Append(nil)})
}

func (s *session) papInput(p ppp.Packet) {
	if s.auth != AuthPAP || p.Code != ppp.PAPRequest || s.phase < phaseLogin || s.silentAtLogin() {
		return
	}
	if s.said != nil && s.phase != phaseLogin { // it did not hear us
		s.said.ID = p.ID
		s.send(ppp.PAP, *s.said)
		return
	}
	c, err := ppp.ParseCredentials(p.Data)
	if err != nil {
		return
	}
	v := s.gate.pap(c)
	code := ppp.PAPNak
	if v.ok {
		code = ppp.PAPAck
	}
	s.answer(ppp.PAP, ppp.Packet{Code: code, ID: p.ID, Data: append([]byte{byte(len(v.text))}, v.text...)}, v)
}

func (s *session) chapInput(p ppp.Packet) {
	if s.auth.option().Protocol != ppp.CHAP || p.Code != ppp.CHAPResponse || p.ID != s.chapID || s.phase < phaseLogin || s.silentAtLogin() {
		return
	}
	if s.said != nil {
		s.send(ppp.CHAP, *s.said)
		return
	}
	v, err := ppp.ParseValue(p.Data)
	if err != nil {
		return
	}
	judged := s.gate.chap(p.ID, v)
	code := ppp.CHAPFailure
	if judged.ok {
		code = ppp.CHAPSuccess
	}
	s.answer(ppp.CHAP, ppp.Packet{Code: code, ID: p.ID, Data: []byte(judged.text)}, judged)
}

// silentAtLogin deals with an answer to the login that is not judged.
func (s *session) silentAtLogin() bool {
	return s.endsAt(StageLogin) || s.what.Login == LoginSilent
}

func (s *session) answer(proto ppp.Protocol, p ppp.Packet, v verdict) {
	s.again = time.Time{}
	if s.what.Login == LoginWordless {
		s.terminate("Authentication failed")
		return
	}
	s.said = &p
	s.send(proto, p)
	if !v.ok {
		s.terminate("Authentication failed")
		return
	}
	s.loggedIn(v.keys)
}

// --- the network

// loggedIn begins with encryption and addresses, as pppd at once, unless there
// is no session without the first.
func (s *session) loggedIn(k keys) {
	s.phase = phaseNetwork
	s.giveUp = time.Time{}
	s.keys = k
	has := s.what.MPPE != MPPENone && s.what.MPPE != MPPERejected
	switch {
	case s.endsAt(StageAfterLogin):
		return
	case s.what.MPPERequired && !(k.ok && has): // as pppd whose kernel has no MPPE, too
		s.terminate("MPPE required but not available")
		return
	case s.oddCCP():
	case k.ok && s.what.MPPE != MPPERejected:
		s.ccpP = newMPPEPolicy(s.what.MPPE)
		s.ccp = ppp.NewNegotiation(ppp.CCP, s.ccpP, s.timing(), ppp.Hooks{
			Send: s.send, Up: s.ccpUp, Down: s.ccpDown, Extra: s.ccpExtra,
			Finished: func() { s.ccpP.refused = true },
		})
		s.ccp.Begin(s.now)
	}
	if !s.what.MPPERequired {
		s.beginIP()
	}
}

// oddCCP reports whether CCP comes to no encryption.
func (s *session) oddCCP() bool { return s.what.CCP != "" || s.what.Nak == LayerCCP }

func (s *session) ccpInput(p ppp.Packet) {
	switch {
	case s.phase != phaseNetwork && s.phase != phaseUp:
	case s.ccp != nil && s.ccpP.decides(p) && s.endsAt(StageCCP), s.stubborn(ppp.CCP, p):
	case s.ccp != nil:
		s.inform(s.ccp, p)
		s.afterCCP()
	case s.oddCCP(): // what is no request is left alone
	default:
		s.rejectProtocol(ppp.CCP, p.Append(nil))
	}
}

// startKey is the start key of a direction, right or wrong.
func (s *session) startKey(bits ppp.MPPEBits, send bool) mppe.Key {
	k := s.keys.start(bits, send)
	if s.what.WrongKeys.has(send) {
		for i := range k {
			k[i] ^= 0x5a
		}
	}
	return k
}

func (s *session) ccpUp() {
	recv, send := s.ccpP.recv, s.ccpP.send
	if recv == 0 || send == 0 {
		s.ccpP.refused = true
		return
	}
	enc := mppe.NewEncryptor(s.startKey(send, true), mppe.Strength(send.Bits()), send&ppp.MPPEStateless != 0)
	dec := mppe.NewDecryptor(s.startKey(recv, false), mppe.Strength(recv.Bits()), recv&ppp.MPPEStateless != 0)
	if s.what.Data == DataPlain {
		enc = nil
	}
	s.data.setKeys(enc, dec)
	if s.ip == nil {
		s.beginIP()
	}
}

// ccpDown follows a new negotiation of CCP. pppd takes it for the end of the
// encryption, and hangs up.
func (s *session) ccpDown() {
	if s.what.Vendor == VendorPPTPD && s.ccpP.recv != 0 {
		s.terminate("MPPE disabled")
	}
}

// afterCCP ends a session that may not be without encryption.
func (s *session) afterCCP() {
	if s.ccpP != nil && s.ccpP.refused && s.what.MPPERequired && s.phase != phaseLeaving {
		s.terminate("MPPE required but peer negotiation failed")
	}
}

func (s *session) ccpExtra(p ppp.Packet) bool {
	switch p.Code {
	case ppp.ResetRequest:
		s.data.restart()
		s.send(ppp.CCP, ppp.Packet{Code: ppp.ResetAck, ID: p.ID})
	case ppp.ResetAck:
	default:
		return false
	}
	return true
}

// askReset asks the client to begin its stream anew. It takes s.mu.
func (s *session) askReset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.phase != phaseUp {
		return
	}
	s.id++
	s.send(ppp.CCP, ppp.Packet{Code: ppp.ResetRequest, ID: s.id})
}

// rejectMPPE answers a packet that is encrypted as if nothing of that had been
// agreed on. It takes s.mu.
func (s *session) rejectMPPE(body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.phase == phaseUp {
		s.rejectProtocol(ppp.MPPE, body)
	}
}

// rejectNonsense is what a kernel does with packets that it decrypts with the
// wrong key: it finds protocols in them that nobody knows. It takes s.mu.
func (s *session) rejectNonsense() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.phase == phaseUp {
		s.rejectProtocol(ppp.Protocol(0x4101|rand.Uint32()&0x3efe), randomBytes(8))
	}
}

func (s *session) beginIP() {
	if s.what.End.At == StageIP {
		return // the client begins
	}
	s.ipP = ppp.IPCPOptions{Local: s.addrs.server, Assign: s.addrs.client, DNS: [2]netip.Addr{s.addrs.dns}}
	s.ip = ppp.NewNegotiation(ppp.IPCP, &s.ipP, s.timing(), ppp.Hooks{Send: s.send, Up: s.ipUp, Down: s.ipDown})
	if s.what.IP != IPSilent && s.what.IP != IPProtocolReject {
		s.ip.Begin(s.now)
	}
}

func (s *session) ipInput(p ppp.Packet) {
	switch {
	case s.phase != phaseNetwork && s.phase != phaseUp:
	case p.Code == ppp.ConfigureRequest && s.endsAt(StageIP):
	case s.ip != nil && s.stubborn(ppp.IPCP, p):
	case s.ip != nil:
		s.inform(s.ip, p)
	case p.Code == ppp.ConfigureRequest: // pppd forgets what comes before its encryption
		s.send(ppp.IPCP, ppp.Packet{Code: ppp.TerminateAck, ID: p.ID})
	}
}

func (s *session) ipUp() {
	s.phase = phaseUp
	s.data.open()
	if life := s.what.Dies + s.what.Ends; life > 0 && s.lifeAt.IsZero() {
		s.lifeAt = s.now.Add(life)
	}
}

func (s *session) ipDown() {
	if s.phase == phaseUp {
		s.phase = phaseNetwork
	}
}
