package pptp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/mppe"
	"github.com/connexa-panel/connexa/internal/pptp/mschap"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// testPath carries packets between a link and a server in virtual time.
type testPath struct {
	t             *testing.T
	link          *link
	seen          observed
	trace         trace
	delay         time.Duration // one way
	now           time.Time
	queue         []arrival
	server        peer
	sent          []time.Time // packets of the link
	all           []time.Time // packets of the link and the server
	serverEnded   bool        // the server hung up
	controlEchoes int         // echoes on the control connection
	controlAlive  bool        // the control connection answers them
}

// peer is the server's end of a testPath.
type peer interface {
	input(w *testPath, proto ppp.Protocol, p ppp.Packet)
	tick(w *testPath) // called whenever time has advanced
	deadline() time.Time
}

type arrival struct {
	at       time.Time
	toServer bool
	proto    ppp.Protocol
	packet   []byte
}

func newTestPath(t *testing.T, cfg Config, delay time.Duration, server peer) *testPath {
	cfg.Login, cfg.Password = "alice", "wonderland-1"
	cfg = cfg.withDefaults()
	cfg.Timeouts.extendForRTT(2 * delay)
	w := &testPath{t: t, delay: delay, now: time.Unix(1, 0), server: server}
	w.link = newLink(&cfg, &w.seen, linkHooks{
		send: func(proto ppp.Protocol, p ppp.Packet) {
			w.sent, w.all = append(w.sent, w.now), append(w.all, w.now)
			w.queue = append(w.queue, arrival{w.now.Add(w.delay), true, proto, p.Append(nil)})
		},
		event:           func(Event) {},
		reached:         func(s Step, _ string) { w.trace.addReached(s, "") },
		setKeys:         func(*mppe.Encryptor, *mppe.Decryptor) {},
		flush:           func() {},
		keyMismatch:     func() {},
		countRejection:  func() {},
		sendControlEcho: func() { w.controlEchoes++ },
		controlAlive:    func() bool { return w.controlAlive },
	}, false, 2*delay)
	w.trace.addReached(StepGRE, "")
	return w
}

// sendReply sends a packet of the server.
func (w *testPath) sendReply(proto ppp.Protocol, p ppp.Packet) {
	w.all = append(w.all, w.now)
	w.queue = append(w.queue, arrival{w.now.Add(w.delay), false, proto, p.Append(nil)})
}

// runUntilUp advances the time until the link is up or has ended, at most by most.
func (w *testPath) runUntilUp(most time.Duration) {
	w.link.startLCP(w.now)
	w.runUntil(w.now.Add(most), func() bool { return w.link.ended || w.link.phase == phaseUp })
}

func (w *testPath) runUntil(end time.Time, done func() bool) {
	w.server.tick(w)
	for !done() && w.now.Before(end) && len(w.all) < 100_000 {
		next := end
		earlier := func(d time.Time) {
			if !d.IsZero() && d.Before(next) {
				next = d
			}
		}
		earlier(w.link.deadline())
		earlier(w.server.deadline())
		for _, a := range w.queue {
			earlier(a.at)
		}
		if next.After(w.now) {
			w.now = next
		}
		due := w.queue
		w.queue = nil
		for _, a := range due {
			if a.at.After(w.now) {
				w.queue = append(w.queue, a)
				continue
			}
			p, err := ppp.ParsePacket(a.packet)
			if err != nil {
				w.t.Fatal(err)
			}
			if a.toServer {
				w.server.input(w, a.proto, p)
			} else {
				w.link.input(w.now, a.proto, a.packet)
			}
		}
		w.link.tick(w.now)
		w.server.tick(w)
	}
}

// endCause returns the cause of the link's end, or the empty string.
func (w *testPath) endCause() string {
	if !w.link.ended {
		return ""
	}
	w.seen.step, w.seen.up = w.trace.nextStep(), w.trace.lastReached() == StepIP
	step, code := w.seen.findCause()
	return string(step) + "." + code
}

// maxPerSecond returns the maximum number of packets in any one second.
func maxPerSecond(times []time.Time) (most int) {
	for i := range times {
		n := 0
		for _, at := range times[i:] {
			if at.Sub(times[i]) < time.Second {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// pppd behaves like pppd: it repeats its requests every 3 s, begins CCP and IPCP
// one after the other, and ends the session if the client requests MPPE again after it
// was agreed on.
type pppd struct {
	lcp, ccp, ipcp *ppp.Negotiation
	lcpo           ppp.LCPOptions
	ccpo           ppp.CCPOptions
	ipo            ppp.IPCPOptions
	w              *testPath
	challenge      [16]byte
	again          time.Time // when the challenge is repeated
	passed         bool
	offers         []ppp.Auth // accepted logins; the first is requested first
	jumps          bool       // continue with the login that the client names, otherwise with the next one
}

func (s *pppd) deadline() time.Time {
	first := s.again
	for _, n := range []*ppp.Negotiation{s.lcp, s.ccp, s.ipcp} {
		if n != nil && !n.Deadline().IsZero() && (first.IsZero() || n.Deadline().Before(first)) {
			first = n.Deadline()
		}
	}
	return first
}

func (s *pppd) newLayer(proto ppp.Protocol, policy ppp.Policy, up func()) *ppp.Negotiation {
	n := ppp.NewNegotiation(proto, policy, ppp.Timing{First: 3 * time.Second}, ppp.Hooks{Send: s.w.sendReply, Up: up})
	n.Begin(s.w.now)
	return n
}

func (s *pppd) tick(w *testPath) {
	if s.w == nil {
		s.w = w
		if len(s.offers) == 0 {
			s.offers = []ppp.Auth{ppp.AuthMSCHAPv2}
		}
		s.lcpo = ppp.LCPOptions{Magic: 77, NewMagic: func() uint32 { return 78 }, Auth: s.offers[0], AcceptAuth: func(ppp.Auth) (bool, ppp.Auth) { return false, ppp.AuthNone }}
		s.lcp = s.newLayer(ppp.LCP, &s.lcpo, s.challengeClient)
	}
	if !s.again.IsZero() && !w.now.Before(s.again) {
		s.challengeClient()
	}
	for _, n := range []*ppp.Negotiation{s.lcp, s.ccp, s.ipcp} {
		if n != nil {
			n.Tick(w.now)
		}
	}
}

func (s *pppd) challengeClient() {
	if s.lcpo.Auth.Protocol != ppp.CHAP {
		return
	}
	s.again = s.w.now.Add(3 * time.Second)
	s.w.sendReply(ppp.CHAP, ppp.Packet{Code: ppp.CHAPChallenge, ID: 9, Data: ppp.Value{Value: s.challenge[:], Name: "server"}.Append(nil)})
}

func (s *pppd) sendTerminate(text string) {
	s.w.serverEnded = true
	s.w.sendReply(ppp.LCP, ppp.Packet{Code: ppp.TerminateRequest, ID: 200, Data: []byte(text)})
}

// chooseAuth requests another login after the client declined one.
func (s *pppd) chooseAuth(p ppp.Packet) {
	list, err := ppp.ParseOptions(p.Data)
	if err != nil || p.Code != ppp.ConfigureNak && p.Code != ppp.ConfigureReject {
		return
	}
	for _, o := range list {
		if o.Type != 3 {
			continue
		}
		wanted := ppp.Auth{Protocol: ppp.Protocol(binary.BigEndian.Uint16(o.Value))}
		if len(o.Value) > 2 {
			wanted.Algorithm = o.Value[2]
		}
		for i, a := range s.offers {
			if s.jumps && a == wanted {
				s.lcpo.Auth = a
				return
			}
			if !s.jumps && a == s.lcpo.Auth {
				s.lcpo.Auth = s.offers[(i+1)%len(s.offers)]
				return
			}
		}
	}
}

func (s *pppd) input(w *testPath, proto ppp.Protocol, p ppp.Packet) {
	asks := p.Code == ppp.ConfigureRequest
	switch proto {
	case ppp.LCP:
		if asks && s.lcp.State() == ppp.Opened {
			s.sendTerminate("the link was negotiated again")
			return
		}
		s.chooseAuth(p)
		s.lcp.Input(w.now, p)
	case ppp.PAP:
		s.passed = true
		w.sendReply(ppp.PAP, ppp.Packet{Code: ppp.PAPAck, ID: p.ID})
		s.startNetwork()
	case ppp.CHAP:
		s.answerLogin(p)
	case ppp.CCP:
		if asks && s.ccp != nil && s.ccp.State() == ppp.Opened {
			s.sendTerminate("MPPE disabled")
			return
		}
		if s.ccp != nil {
			s.ccp.Input(w.now, p)
		}
	case ppp.IPCP:
		if s.ipcp != nil {
			s.ipcp.Input(w.now, p)
		}
	}
}

func (s *pppd) answerLogin(p ppp.Packet) {
	v, err := ppp.ParseValue(p.Data)
	if err != nil || p.Code != ppp.CHAPResponse {
		return
	}
	s.again = time.Time{}
	message := "M=welcome"
	if s.lcpo.Auth == ppp.AuthMSCHAPv2 {
		r, err := ppp.ParseMSResponse(v.Value)
		if err != nil {
			s.w.t.Fatal(err)
		}
		message = mschap.AuthenticatorResponse(s.challenge, r.PeerChallenge, "alice", mschap.NTHash("wonderland-1"), r.NT) + " M=welcome"
	}
	s.w.sendReply(ppp.CHAP, ppp.Packet{Code: ppp.CHAPSuccess, ID: p.ID, Data: []byte(message)})
	if !s.passed {
		s.passed = true
		s.startNetwork()
	}
}

// startNetwork starts CCP or IPCP after the login.
func (s *pppd) startNetwork() {
	ip := func() {
		s.ipo = ppp.IPCPOptions{Local: netip.MustParseAddr("10.0.0.1"), Assign: netip.MustParseAddr("10.0.0.2")}
		s.ipcp = s.newLayer(ppp.IPCP, &s.ipo, nil)
	}
	if s.lcpo.Auth != ppp.AuthMSCHAPv2 && s.lcpo.Auth != ppp.AuthMSCHAPv1 {
		ip()
		return
	}
	s.ccpo = ppp.CCPOptions{Allowed: ppp.MPPE128, Want: ppp.MPPE128 | ppp.MPPEStateless}
	s.ccp = s.newLayer(ppp.CCP, &s.ccpo, ip)
}

// A session comes up with a delay of up to 2 s each way, and no
// layer is negotiated twice.
func TestLinkComesUpOverSlowPath(t *testing.T) {
	for _, delay := range []time.Duration{0, 30, 300, 600, 1000, 1400, 2000} {
		delay *= time.Millisecond
		t.Run(delay.String(), func(t *testing.T) {
			w := newTestPath(t, Config{Encryption: EncryptionRequired}, delay, &pppd{})
			w.runUntilUp(time.Minute)
			if w.link.phase != phaseUp || w.serverEnded {
				t.Fatalf("phase %d, told %s, the server hung up: %v", w.link.phase, w.endCause(), w.serverEnded)
			}
		})
	}
}

// The link uses the strongest login that both sides support, whatever the server requests first.
func TestLinkUsesStrongestAuth(t *testing.T) {
	v2, v1, md5, pap := ppp.AuthMSCHAPv2, ppp.AuthMSCHAPv1, ppp.AuthMD5, ppp.AuthPAP
	for _, jumps := range []bool{false, true} {
		for _, tt := range []struct {
			offers []ppp.Auth
			want   ppp.Auth
		}{
			{[]ppp.Auth{pap, md5, v1, v2}, v2},
			{[]ppp.Auth{md5, pap, v2, v1}, v2},
			{[]ppp.Auth{v1, v2}, v2},
			{[]ppp.Auth{v2, pap}, v2},
			{[]ppp.Auth{pap}, pap},
			{[]ppp.Auth{md5}, md5},
		} {
			t.Run(fmt.Sprint(tt.offers, jumps), func(t *testing.T) {
				w := newTestPath(t, Config{AllowPAP: true}, time.Millisecond, &pppd{offers: tt.offers, jumps: jumps})
				w.runUntilUp(time.Minute)
				if w.link.phase != phaseUp || w.link.lcpo.PeerAuth != tt.want {
					t.Fatalf("phase %d with %s, told %s", w.link.phase, w.link.lcpo.PeerAuth, w.endCause())
				}
				if strong := tt.want == v2; strong != (w.link.encryptionName() == "MPPE-128 stateless") {
					t.Errorf("encryption %s", w.link.encryptionName())
				}
			})
		}
	}
}

// scripted answers each packet of the client immediately as its function says.
type scripted struct {
	pppd
	answer func(s *scripted, w *testPath, proto ppp.Protocol, p ppp.Packet) (handled bool)
}

func (s *scripted) input(w *testPath, proto ppp.Protocol, p ppp.Packet) {
	if !s.answer(s, w, proto, p) {
		s.pppd.input(w, proto, p)
	}
}

// refuseRequests answers the Configure-Requests of one protocol with a code and one option.
func refuseRequests(of ppp.Protocol, code ppp.Code, option func() ppp.Option) func(*scripted, *testPath, ppp.Protocol, ppp.Packet) bool {
	return func(_ *scripted, w *testPath, proto ppp.Protocol, p ppp.Packet) bool {
		if proto != of || p.Code != ppp.ConfigureRequest {
			return false
		}
		w.sendReply(of, ppp.Packet{Code: code, ID: p.ID, Data: option().Append(nil)})
		return true
	}
}

// changingOption returns options of one kind whose value differs each time.
func changingOption(kind uint8) func() ppp.Option {
	value := uint32(100)
	return func() ppp.Option {
		value++
		return ppp.Option{Type: kind, Value: binary.BigEndian.AppendUint32(nil, value)}
	}
}

// demandOption answers each LCP packet with a request for the option.
func demandOption(o ppp.Option) func(*scripted, *testPath, ppp.Protocol, ppp.Packet) bool {
	id := uint8(0)
	return func(_ *scripted, w *testPath, proto ppp.Protocol, p ppp.Packet) bool {
		if proto != ppp.LCP {
			return true
		}
		if p.Code == ppp.ConfigureRequest {
			w.sendReply(ppp.LCP, ppp.Packet{Code: ppp.ConfigureAck, ID: p.ID, Data: p.Data})
		}
		id++
		w.sendReply(ppp.LCP, ppp.Packet{Code: ppp.ConfigureRequest, ID: id, Data: o.Append(nil)})
		return true
	}
}

// TestNegotiationsAreBounded checks that no behaviour of a server in a negotiation
// causes more than 50 packets a second, and that the cause names the behaviour.
func TestNegotiationsAreBounded(t *testing.T) {
	mppeOption := func() ppp.Option {
		return ppp.Option{Type: 18, Value: binary.BigEndian.AppendUint32(nil, uint32(ppp.MPPE128))}
	}
	for name, tt := range map[string]struct {
		cfg    Config
		answer func(*scripted, *testPath, ppp.Protocol, ppp.Packet) bool
		want   string
	}{
		"magic number Nak'd":    {Config{}, refuseRequests(ppp.LCP, ppp.ConfigureNak, changingOption(5)), "lcp.no_agreement"},
		"MRU rejected for ever": {Config{}, refuseRequests(ppp.LCP, ppp.ConfigureReject, func() ppp.Option { return ppp.Option{Type: 1, Value: []byte{5, 0}} }), "lcp.no_agreement"},
		"callback":              {Config{}, demandOption(ppp.Option{Type: ppp.OptionCallback, Value: []byte{6}}), "lcp.callback"},
		"an unknown demand":     {Config{}, demandOption(ppp.Option{Type: 99, Value: []byte{6}}), "lcp.no_agreement"},
		"Code-Reject": {Config{}, func(_ *scripted, w *testPath, proto ppp.Protocol, p ppp.Packet) bool {
			w.sendReply(ppp.LCP, ppp.Packet{Code: ppp.CodeReject, ID: p.ID, Data: p.Append(nil)})
			return true
		}, "lcp.rejected"},
		"EAP for ever":         {Config{}, demandOption(ppp.Option{Type: 3, Value: []byte{0xc2, 0x27}}), "auth.eap"},
		"PAP for ever":         {Config{}, demandOption(ppp.Option{Type: 3, Value: []byte{0xc0, 0x23}}), "auth.pap_not_allowed"},
		"MPPE Nak'd, required": {Config{Encryption: EncryptionRequired}, refuseRequests(ppp.CCP, ppp.ConfigureNak, mppeOption), "encryption.no_agreement"},
		"MPPE rejected":        {Config{Encryption: EncryptionRequired}, refuseRequests(ppp.CCP, ppp.ConfigureReject, mppeOption), "encryption.refused"},
		"CCP closed": {Config{Encryption: EncryptionRequired}, func(_ *scripted, w *testPath, proto ppp.Protocol, p ppp.Packet) bool {
			return ccpClosed(w, proto, p, ppp.TerminateAck)
		}, "encryption.refused"},
		"CCP ended": {Config{Encryption: EncryptionRequired}, func(_ *scripted, w *testPath, proto ppp.Protocol, p ppp.Packet) bool {
			return ccpClosed(w, proto, p, ppp.TerminateRequest)
		}, "encryption.refused"},
		"address Nak'd": {Config{}, refuseRequests(ppp.IPCP, ppp.ConfigureNak, changingOption(3)), "ip.no_agreement"},
		"link negotiated again": {Config{}, func(s *scripted, w *testPath, proto ppp.Protocol, p ppp.Packet) bool {
			return negotiateForEver(w, proto, p)
		}, "lcp.no_agreement"},
		"echoes without an end": {Config{}, func(_ *scripted, w *testPath, proto ppp.Protocol, p ppp.Packet) bool {
			w.sendReply(ppp.LCP, ppp.Packet{Code: ppp.EchoRequest, ID: p.ID, Data: make([]byte, 4)})
			return true
		}, "lcp.timeout"},
		"challenges without end": {Config{}, challengeForEver, "auth.timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTestPath(t, tt.cfg, 100*time.Microsecond, &scripted{answer: tt.answer})
			w.runUntilUp(time.Minute)
			if got := w.endCause(); got != tt.want {
				t.Errorf("told %s (%s), want %s", got, w.link.evidence, tt.want)
			}
			if n := maxPerSecond(w.all); n > 50 {
				t.Errorf("%d packets in a second, %d of them ours", n, maxPerSecond(w.sent))
			}
		})
	}
}

func ccpClosed(w *testPath, proto ppp.Protocol, p ppp.Packet, code ppp.Code) bool {
	if proto != ppp.CCP {
		return false
	}
	w.sendReply(ppp.CCP, ppp.Packet{Code: code, ID: p.ID})
	return true
}

// negotiateForEver acknowledges everything and sends a different request each time.
func negotiateForEver(w *testPath, proto ppp.Protocol, p ppp.Packet) bool {
	if proto != ppp.LCP {
		return true
	}
	if p.Code == ppp.ConfigureRequest {
		w.sendReply(ppp.LCP, ppp.Packet{Code: ppp.ConfigureAck, ID: p.ID, Data: p.Data})
	}
	o := ppp.Option{Type: 5, Value: binary.BigEndian.AppendUint32(nil, uint32(len(w.all))+1000)}
	w.sendReply(ppp.LCP, ppp.Packet{Code: ppp.ConfigureRequest, ID: uint8(len(w.all)), Data: o.Append(nil)})
	return true
}

// challengeForEver sends another challenge after each answer.
func challengeForEver(s *scripted, w *testPath, proto ppp.Protocol, p ppp.Packet) bool {
	if proto != ppp.CHAP {
		return false
	}
	challenge := [16]byte{byte(len(w.all))}
	w.sendReply(ppp.CHAP, ppp.Packet{Code: ppp.CHAPChallenge, ID: p.ID + 1, Data: ppp.Value{Value: challenge[:], Name: "server"}.Append(nil)})
	return true
}

// If encryption is only preferred, the link continues at once without it when the server has none.
func TestLinkGivesUpEncryptionAtOnce(t *testing.T) {
	w := newTestPath(t, Config{}, time.Millisecond, &scripted{answer: refuseRequests(ppp.CCP, ppp.ConfigureReject, func() ppp.Option {
		return ppp.Option{Type: 18, Value: []byte{1, 0, 0, 0x40}}
	})})
	w.server.(*scripted).pppd.ccpo.Allowed = 0
	began := w.now
	w.link.startLCP(w.now)
	w.runUntil(began.Add(time.Minute), func() bool { return w.trace.lastReached() == StepEncryption || w.link.ended })
	if w.link.ended || w.link.phase != phaseIP || w.link.encryptionName() != "none" {
		t.Errorf("phase %d, told %s", w.link.phase, w.endCause())
	}
	if took := w.now.Sub(began); took > time.Second {
		t.Errorf("the answer was known at once, and acted on after %v of virtual time", took)
	}
}

// For a server that never answers LCP echoes, control echoes keep the link alive; a server
// that has stopped answering LCP echoes is dead.
func TestKeepAliveAcceptsControlEcho(t *testing.T) {
	silent := func(_ *scripted, w *testPath, proto ppp.Protocol, p ppp.Packet) bool {
		return proto == ppp.LCP && p.Code == ppp.EchoRequest
	}
	for name, tt := range map[string]struct {
		alive, heard bool
		dead         bool
	}{
		"control echoes alone":              {alive: true},
		"neither":                           {dead: true},
		"LCP echoes that stop, and control": {alive: true, heard: true, dead: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTestPath(t, Config{EchoEvery: 10 * time.Second}, time.Millisecond, &scripted{answer: silent})
			w.runUntilUp(time.Minute)
			if w.link.phase != phaseUp {
				t.Fatalf("told %s", w.endCause())
			}
			w.controlAlive, w.link.echoAnswered = tt.alive, tt.heard
			w.runUntil(w.now.Add(10*time.Minute), func() bool { return w.link.ended })
			if w.link.ended != tt.dead || tt.dead && w.endCause() != "lcp.no_echo" {
				t.Errorf("over: %v, told %s", w.link.ended, w.endCause())
			}
			if !tt.heard && w.controlEchoes == 0 {
				t.Error("the control connection was not asked")
			}
		})
	}
}

// A challenge repeated long after its answer proves that the answer was lost.
func TestLinkCountsLostAnswer(t *testing.T) {
	w := newTestPath(t, Config{}, time.Millisecond, &scripted{answer: func(_ *scripted, _ *testPath, proto ppp.Protocol, _ ppp.Packet) bool {
		return proto == ppp.CHAP // the answer never arrives
	}})
	w.runUntilUp(8 * time.Second)
	if w.link.phase != phaseAuth || w.link.missedPackets() < 2 {
		t.Errorf("phase %d, %d packets counted as lost", w.link.phase, w.link.missedPackets())
	}
}
