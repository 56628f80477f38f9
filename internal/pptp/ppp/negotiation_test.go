package ppp

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// lossyLink carries packets between two negotiations and loses some.
type lossyLink struct {
	now   time.Time
	r     *rand.Rand
	loss  int // percent
	ends  [2]*Negotiation
	up    [2]bool
	done  [2]bool
	queue []func()
	sent  [2]int
}

func (l *lossyLink) connectPolicies(p Protocol, a, b Policy) {
	for i, policy := range []Policy{a, b} {
		l.ends[i] = NewNegotiation(p, policy, Timing{}, Hooks{
			Send: func(_ Protocol, p Packet) {
				l.sent[i]++
				wire := p.Append(nil)
				if l.r.IntN(100) < l.loss {
					return
				}
				l.queue = append(l.queue, func() {
					p, err := ParsePacket(wire)
					if err != nil {
						panic(err)
					}
					l.ends[1-i].Input(l.now, p)
				})
			},
			Up:       func() { l.up[i] = true },
			Down:     func() { l.up[i] = false },
			Finished: func() { l.done[i] = true },
		})
	}
}

// runUntilSilent runs both sides until they are silent or a minute has passed.
func (l *lossyLink) runUntilSilent() {
	end := l.now.Add(time.Minute)
	for l.now.Before(end) {
		for len(l.queue) > 0 {
			f := l.queue[0]
			l.queue = l.queue[1:]
			f()
		}
		next := end
		for _, n := range l.ends {
			if d := n.Deadline(); !d.IsZero() && d.Before(next) {
				next = d
			}
		}
		l.now = next
		for _, n := range l.ends {
			n.Tick(l.now)
		}
	}
}

func newLink(seed uint64, loss int) *lossyLink {
	return &lossyLink{now: time.Unix(0, 0), r: rand.New(rand.NewPCG(seed, 0)), loss: loss}
}

func TestBothSidesAgreeInSpiteOfLoss(t *testing.T) {
	for seed := range uint64(60) {
		l := newLink(seed, int(seed%3)*12)
		client := &IPCPOptions{AskDNS: true}
		server := &IPCPOptions{Local: netip.MustParseAddr("10.0.0.1"), Assign: netip.MustParseAddr("10.0.0.2")}
		l.connectPolicies(IPCP, client, server)
		l.ends[0].Begin(l.now)
		l.ends[1].Begin(l.now)
		l.runUntilSilent()
		if !l.up[0] || !l.up[1] {
			t.Fatalf("seed %d: %v and %v", seed, l.ends[0].State(), l.ends[1].State())
		}
		if client.Local != server.Assign || server.Peer != server.Assign || client.Peer != server.Local {
			t.Fatalf("seed %d: %+v, %+v", seed, client, server)
		}
		l.loss = 0
		l.ends[0].Close(l.now)
		l.runUntilSilent()
		if l.up[0] || l.up[1] || !l.done[0] || !l.done[1] {
			t.Fatalf("seed %d: not closed: %v and %v", seed, l.ends[0].State(), l.ends[1].State())
		}
	}
}

func TestSilenceEnds(t *testing.T) {
	l := newLink(1, 100)
	l.connectPolicies(IPCP, &IPCPOptions{}, &IPCPOptions{})
	l.ends[0].Begin(l.now)
	l.runUntilSilent()
	if !l.done[0] || l.sent[0] != 10 {
		t.Errorf("after a minute of silence: done %v, %d requests", l.done[0], l.sent[0])
	}
}

// A negotiation between pppd with nomppe and a client that insists on MPPE ends.
func TestStubbornSidesStop(t *testing.T) {
	l := newLink(1, 0)
	l.connectPolicies(CCP, &CCPOptions{Allowed: MPPE128, Want: MPPE128 | MPPEStateless}, &CCPOptions{Allowed: MPPE40, Want: MPPE40})
	l.ends[0].Begin(l.now)
	l.ends[1].Begin(l.now)
	l.runUntilSilent()
	if l.sent[0] > 40 || l.sent[1] > 40 {
		t.Errorf("%d and %d packets", l.sent[0], l.sent[1])
	}
}

func TestUnknownCodesAndOldAnswers(t *testing.T) {
	var sent []Packet
	now := time.Unix(0, 0)
	n := NewNegotiation(LCP, &LCPOptions{Magic: 7, NewMagic: testMagic}, Timing{}, Hooks{
		Send: func(_ Protocol, p Packet) { sent = append(sent, Packet{p.Code, p.ID, append([]byte(nil), p.Data...)}) },
	})
	n.Input(now, Packet{Code: ConfigureRequest, ID: 1}) // ignored before Begin
	if len(sent) != 0 {
		t.Fatal("answered before Begin")
	}
	n.Begin(now)
	n.Input(now, Packet{Code: ConfigureAck, ID: sent[0].ID + 1, Data: sent[0].Data})
	n.Input(now, Packet{Code: ConfigureAck, ID: sent[0].ID, Data: []byte{1}})
	if n.State() != ReqSent {
		t.Errorf("an Ack for nothing led to %v", n.State())
	}
	n.Input(now, Packet{Code: 77, ID: 5, Data: []byte("x")})
	if last := sent[len(sent)-1]; last.Code != CodeReject || len(last.Data) != 5 {
		t.Errorf("an unknown code got %+v", last)
	}
	n.Input(now, Packet{Code: CodeReject, ID: 1, Data: []byte{77}})
	if n.State() != ReqSent {
		t.Errorf("the rejection of an odd code led to %v", n.State())
	}
	n.Input(now, Packet{Code: CodeReject, ID: 1, Data: []byte{byte(ConfigureRequest)}})
	if n.State() != Stopped {
		t.Errorf("the rejection of Configure-Request led to %v", n.State())
	}
}

func FuzzNegotiation(f *testing.F) {
	f.Add([]byte{1, 0, 0, 2, 1, 0, 5, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		now := time.Unix(0, 0)
		sent := 0
		n := NewNegotiation(CCP, &CCPOptions{Allowed: MPPE128, Want: MPPE128}, Timing{}, Hooks{Send: func(_ Protocol, p Packet) {
			sent++
			if _, err := ParsePacket(p.Append(nil)); err != nil {
				t.Fatal(err)
			}
		}})
		n.Begin(now)
		steps := 1
		for len(b) >= 3 {
			steps++
			size := min(int(b[2]), len(b)-3)
			n.Input(now, Packet{Code(b[0]), b[1], b[3 : 3+size]})
			b = b[3+size:]
			now = now.Add(700 * time.Millisecond)
			n.Tick(now)
		}
		if sent > 4*steps {
			t.Fatalf("%d packets for %d", sent, steps)
		}
	})
}

// stubborn is a peer that answers every Configure-Request with its function, without end.
type stubborn struct {
	answer func(request Packet) []Packet
	sent   int // packets that it received
}

// runAgainst runs a negotiation against the peer until both are silent, or a minute has
// passed. It returns the disagreement, if any.
func (s *stubborn) runAgainst(t *testing.T, p Protocol, policy Policy, first ...Packet) (got *Disagreement, n *Negotiation) {
	t.Helper()
	now := time.Unix(0, 0)
	var queue []Packet
	n = NewNegotiation(p, policy, Timing{}, Hooks{
		Send: func(_ Protocol, p Packet) {
			s.sent++
			p.Data = append([]byte(nil), p.Data...)
			queue = append(queue, s.answer(p)...)
		},
		Disagree: func(d Disagreement) { got = &d },
	})
	n.Begin(now)
	queue = append(queue, first...)
	for end := now.Add(time.Minute); now.Before(end); {
		for len(queue) > 0 && s.sent < 1000 {
			p := queue[0]
			queue = queue[1:]
			n.Input(now, p)
		}
		if n.Deadline().IsZero() || s.sent >= 1000 {
			break
		}
		now = n.Deadline()
		n.Tick(now)
	}
	return got, n
}

// A peer that refuses without end gets at most Max-Failure requests per option, RFC
// 1661 section 4.6.
func TestEndlessRefusalsAreBounded(t *testing.T) {
	refuse := func(code Code, o Option) func(Packet) []Packet {
		return func(p Packet) []Packet {
			if p.Code != ConfigureRequest {
				return nil
			}
			return []Packet{{code, p.ID, o.Append(nil)}}
		}
	}
	turn := byte(0)
	magic := func() uint32 { turn++; return uint32(turn) }
	lcp := func() *LCPOptions {
		return &LCPOptions{MRU: 1400, Magic: 7, Compress: true, NewMagic: magic}
	}
	for name, tt := range map[string]struct {
		protocol Protocol
		policy   Policy
		answer   func(Packet) []Packet
		want     Disagreement
	}{
		"MRU is Nak'd with the same value": {LCP, lcp(), refuse(ConfigureNak, option16(optMRU, 9000)), Disagreement{PeerRefuses, option16(optMRU, 9000), 11}},
		"magic number is Nak'd":            {LCP, lcp(), refuse(ConfigureNak, option32(optMagic, 9)), Disagreement{PeerRefuses, option32(optMagic, 9), 11}},
		"ACFC is rejected":                 {LCP, lcp(), refuse(ConfigureReject, Option{Type: optACFC}), Disagreement{PeerRefuses, Option{Type: optACFC, Value: []byte{}}, 11}},
		"an option that was never there":   {LCP, lcp(), refuse(ConfigureNak, Option{200, []byte{1}}), Disagreement{PeerRefuses, Option{200, []byte{1}}, 11}},
		"the address is Nak'd":             {IPCP, &IPCPOptions{}, refuse(ConfigureNak, Option{optAddress, []byte{10, 0, 0, 1}}), Disagreement{PeerRefuses, Option{optAddress, []byte{10, 0, 0, 1}}, 10}},
		"MPPE is Nak'd":                    {CCP, &CCPOptions{Allowed: MPPE128, Want: MPPE128}, refuse(ConfigureNak, option32(optMPPE, uint32(MPPE128))), Disagreement{PeerRefuses, option32(optMPPE, uint32(MPPE128)), 10}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &stubborn{answer: tt.answer}
			got, _ := s.runAgainst(t, tt.protocol, tt.policy)
			if got == nil || got.Kind != tt.want.Kind || got.Count != tt.want.Count || got.Option.Type != tt.want.Option.Type || string(got.Option.Value) != string(tt.want.Option.Value) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if s.sent > 12 {
				t.Errorf("%d packets", s.sent)
			}
		})
	}
}

// An option that the peer refuses is dropped, and the negotiation succeeds.
func TestRefusedOptionIsDropped(t *testing.T) {
	s := &stubborn{answer: func(p Packet) []Packet {
		list, err := ParseOptions(p.Data)
		if p.Code != ConfigureRequest || err != nil {
			return nil
		}
		for _, o := range list {
			if o.Type == optMRU {
				return []Packet{{ConfigureNak, p.ID, option16(optMRU, 1000+uint16(p.ID)).Append(nil)}}
			}
		}
		return []Packet{{ConfigureAck, p.ID, p.Data}}
	}}
	got, n := s.runAgainst(t, LCP, &LCPOptions{MRU: 1400, Magic: 7}, Packet{ConfigureRequest, 1, nil})
	if got != nil || n.State() != Opened {
		t.Errorf("%+v, state %v", got, n.State())
	}
}

// A peer that demands a refused option, or sends different requests without end, does not
// get endless answers.
func TestEndlessDemandsAreBounded(t *testing.T) {
	id := uint8(0)
	request := func(o Option) Packet {
		id++
		return Packet{ConfigureRequest, id, o.Append(nil)}
	}
	callback := Option{13, []byte{0}}
	for name, tt := range map[string]struct {
		next func() Packet
		want DisagreementKind
		most int
	}{
		"callback":        {func() Packet { return request(callback) }, PeerInsists, 14},
		"the same packet": {func() Packet { return Packet{ConfigureRequest, 1, callback.Append(nil)} }, PeerInsists, 14},
		"another each":    {func() Packet { return request(option32(optMagic, uint32(id)+100)) }, PeerRestarts, 64},
	} {
		t.Run(name, func(t *testing.T) {
			s := &stubborn{}
			s.answer = func(p Packet) []Packet {
				if p.Code == ConfigureRequest {
					return []Packet{{ConfigureAck, p.ID, p.Data}}
				}
				return []Packet{tt.next()}
			}
			got, _ := s.runAgainst(t, LCP, &LCPOptions{Magic: 7, NewMagic: func() uint32 { return 8 }}, tt.next())
			if got == nil || got.Kind != tt.want {
				t.Fatalf("got %+v", got)
			}
			if tt.want == PeerInsists && got.Option.Type != 13 {
				t.Errorf("the option is %+v", got.Option)
			}
			if s.sent > tt.most {
				t.Errorf("%d packets", s.sent)
			}
		})
	}
}

// RFC 1661 section 5.1: a retransmission keeps its identifier, so a late answer
// to the first copy counts.
func TestLateAnswerCounts(t *testing.T) {
	var sent []Packet
	up := false
	now := time.Unix(0, 0)
	n := NewNegotiation(IPCP, &IPCPOptions{}, Timing{}, Hooks{
		Send: func(_ Protocol, p Packet) { p.Data = append([]byte(nil), p.Data...); sent = append(sent, p) },
		Up:   func() { up = true },
	})
	n.Begin(now)
	now = now.Add(1100 * time.Millisecond)
	n.Tick(now)
	if len(sent) != 2 || sent[0].ID != sent[1].ID || n.Resent() != 1 {
		t.Fatalf("sent %+v", sent)
	}
	theirs := Packet{ConfigureRequest, 9, nil}
	n.Input(now, theirs)
	n.Input(now, Packet{ConfigureAck, sent[0].ID, sent[0].Data})
	if !up || n.State() != Opened {
		t.Fatalf("state %v", n.State())
	}
	if n.RTT() != 0 || n.Lost() != 1 {
		t.Errorf("a repeated request measured %v, %d lost", n.RTT(), n.Lost())
	}
	// The peer repeats its request before our Ack arrives, and again later.
	n.Input(now, theirs)
	if n.Lost() != 1 {
		t.Errorf("a request that was repeated at once counts as %d lost", n.Lost()-1)
	}
	now = now.Add(3 * time.Second)
	was := len(sent)
	n.Input(now, theirs)
	if n.State() != Opened || len(sent) != was+1 || sent[was].Code != ConfigureAck || sent[was].ID != 9 || n.Lost() != 2 {
		t.Errorf("after a retransmission: state %v, sent %+v", n.State(), sent[was:])
	}
	// The answer to the second of two copies does not count.
	n.Input(now, Packet{ConfigureAck, sent[0].ID, sent[0].Data})
	if n.State() != Opened {
		t.Errorf("a second Ack changed the state to %v", n.State())
	}
	// A different request renegotiates.
	n.Input(now, Packet{ConfigureRequest, 10, nil})
	if n.State() == Opened {
		t.Error("another request changed nothing")
	}
	if last := sent[len(sent)-2]; last.Code != ConfigureRequest || last.ID == sent[0].ID {
		t.Errorf("the new request is %+v", last)
	}
}

func TestTheAnswerToOneRequestMeasures(t *testing.T) {
	now := time.Unix(0, 0)
	var sent Packet
	n := NewNegotiation(IPCP, &IPCPOptions{}, Timing{}, Hooks{Send: func(_ Protocol, p Packet) { sent = p }})
	n.Begin(now)
	n.Input(now.Add(700*time.Millisecond), Packet{ConfigureAck, sent.ID, sent.Data})
	if n.RTT() != 700*time.Millisecond {
		t.Errorf("RTT %v", n.RTT())
	}
}

func TestTheRejectedCodeIsKept(t *testing.T) {
	done := false
	n := NewNegotiation(LCP, &LCPOptions{Magic: 1}, Timing{}, Hooks{Send: func(Protocol, Packet) {}, Finished: func() { done = true }})
	n.Begin(time.Unix(0, 0))
	n.Input(time.Unix(0, 0), Packet{CodeReject, 1, []byte{byte(ConfigureRequest), 1, 0, 4}})
	if !done || n.RejectedCode() != ConfigureRequest {
		t.Errorf("done %v, code %v", done, n.RejectedCode())
	}
}

// After a timeout, Stalled reports what the peer did until then.
func TestStalledReportsReason(t *testing.T) {
	now := time.Unix(0, 0)
	var last Packet
	n := NewNegotiation(IPCP, &IPCPOptions{}, Timing{}, Hooks{Send: func(_ Protocol, p Packet) { last = p }})
	n.Begin(now)
	for i := range byte(3) {
		if d, ok := n.Stalled(); ok {
			t.Errorf("stuck after %d refusals: %+v", i, d)
		}
		n.Input(now, Packet{ConfigureNak, last.ID, []byte{optAddress, 6, 10, 0, 0, i}})
	}
	if d, ok := n.Stalled(); !ok || d.Kind != PeerRefuses || d.Option.Type != optAddress || d.Count != 3 {
		t.Errorf("after three refusals: %+v, %v", d, ok)
	}
}

// A peer that answers nothing does not count as one that changes its requests: its
// requests have new identifiers and the same options.
func TestStalledIgnoresSilentPeer(t *testing.T) {
	now := time.Unix(0, 0)
	n := NewNegotiation(LCP, &LCPOptions{Magic: 7}, Timing{}, Hooks{Send: func(Protocol, Packet) {}})
	n.Begin(now)
	for id := range uint8(12) {
		now = now.Add(time.Second)
		n.Tick(now)
		n.Input(now, Packet{ConfigureRequest, id, option32(optMagic, 99).Append(nil)})
	}
	if d, ok := n.Stalled(); ok {
		t.Errorf("stuck: %+v", d)
	}
}
