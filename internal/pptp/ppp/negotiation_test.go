package ppp

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// link carries packets between two negotiations, and loses some.
type link struct {
	now   time.Time
	r     *rand.Rand
	loss  int // percent
	ends  [2]*Negotiation
	up    [2]bool
	done  [2]bool
	queue []func()
	sent  [2]int
}

func (l *link) connect(p Protocol, a, b Policy) {
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

// run lets the two talk until both are silent or a minute has passed.
func (l *link) run() {
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

func newLink(seed uint64, loss int) *link {
	return &link{now: time.Unix(0, 0), r: rand.New(rand.NewPCG(seed, 0)), loss: loss}
}

func TestBothSidesAgreeInSpiteOfLoss(t *testing.T) {
	for seed := range uint64(60) {
		l := newLink(seed, int(seed%3)*12)
		client := &IPCPOptions{AskDNS: true}
		server := &IPCPOptions{Local: netip.MustParseAddr("10.0.0.1"), Assign: netip.MustParseAddr("10.0.0.2")}
		l.connect(IPCP, client, server)
		l.ends[0].Begin(l.now)
		l.ends[1].Begin(l.now)
		l.run()
		if !l.up[0] || !l.up[1] {
			t.Fatalf("seed %d: %v and %v", seed, l.ends[0].State(), l.ends[1].State())
		}
		if client.Local != server.Assign || server.Peer != server.Assign || client.Peer != server.Local {
			t.Fatalf("seed %d: %+v, %+v", seed, client, server)
		}
		l.loss = 0
		l.ends[0].Close(l.now)
		l.run()
		if l.up[0] || l.up[1] || !l.done[0] || !l.done[1] {
			t.Fatalf("seed %d: not closed: %v and %v", seed, l.ends[0].State(), l.ends[1].State())
		}
	}
}

func TestSilenceEnds(t *testing.T) {
	l := newLink(1, 100)
	l.connect(IPCP, &IPCPOptions{}, &IPCPOptions{})
	l.ends[0].Begin(l.now)
	l.run()
	if !l.done[0] || l.sent[0] != 10 {
		t.Errorf("after a minute of silence: done %v, %d requests", l.done[0], l.sent[0])
	}
}

// pppd with nomppe and a client that insists must not talk for ever.
func TestStubbornSidesEnd(t *testing.T) {
	l := newLink(1, 0)
	l.connect(CCP, &CCPOptions{Allowed: MPPE128, Want: MPPE128 | MPPEStateless}, &CCPOptions{Allowed: MPPE40, Want: MPPE40})
	l.ends[0].Begin(l.now)
	l.ends[1].Begin(l.now)
	l.run()
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
	n.Input(now, Packet{Code: ConfigureRequest, ID: 1}) // before Begin: nothing
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
