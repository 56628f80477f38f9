package lab

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/gre"
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

// --- The link: the methods below and in session_*.go, except inputPacket and tick, need s.mu held unless they say otherwise

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
