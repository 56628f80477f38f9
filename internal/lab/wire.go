package lab

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

const (
	// lateBy is how much later a packet comes that is to change places with those
	// behind it.
	lateBy = 4 * time.Millisecond
	// lineRoom is how many packets are on their way at once in one direction.
	lineRoom = 8192
)

// badWire is a wire on which packets are lost, changed, doubled, delayed and
// put out of order, each direction by itself.
type badWire struct {
	gre.Wire
	s Session

	sendMu sync.Mutex
	outRnd *rand.Rand
	kept   []gre.Packet
	out    *line // nil when nothing is late on its way to the client

	inRnd *rand.Rand
	again []gre.Packet // doubles of what was read
	in    *line        // nil when nothing is late on its way from the client
	once  sync.Once
	work  sync.WaitGroup
}

// bad reports whether the session needs a badWire.
func (s Session) bad() bool {
	return s.Loss+s.LossDown+s.LossUp+s.Reorder+s.Duplicate+s.Corrupt > 0 || s.Latency > 0 || s.Reply > 0 ||
		s.Loses != "" || s.GRE == GREMute || s.GRE == GREDeaf || s.GRE == GREStray
}

func newBadWire(w gre.Wire, s Session, seed uint64) *badWire {
	b := &badWire{Wire: w, s: s, outRnd: rand.New(rand.NewPCG(seed, 1)), inRnd: rand.New(rand.NewPCG(seed, 2))}
	if s.Latency+s.Reply > 0 || s.Reorder > 0 {
		b.out = newLine()
		b.work.Go(b.pumpOut)
	}
	if s.Latency > 0 || s.Reorder > 0 {
		b.in = newLine()
		b.work.Go(b.pumpIn)
	}
	return b
}

// fate is what becomes of a packet.
type fate struct {
	times int // 0 is lost
	late  time.Duration
}

// judge draws the fate of a packet, and may damage it. Of its direction, loss are
// lost in percent, beside the Loss of both.
func (b *badWire) judge(rnd *rand.Rand, loss float64, data []byte) (f fate) {
	hit := func(percent float64) bool { return percent > 0 && rnd.Float64()*100 < percent }
	if hit(b.s.Loss) || hit(loss) {
		return f
	}
	f.times = 1
	if hit(b.s.Duplicate) {
		f.times = 2
	}
	if hit(b.s.Reorder) {
		f.late = lateBy
	}
	if hit(b.s.Corrupt) {
		damage(rnd, data)
	}
	return f
}

// damage changes a byte of an IP packet, encrypted or not. What the two ends
// negotiate is left alone: a wrong login is another fault.
func damage(rnd *rand.Rand, packet []byte) {
	_, frame, err := gre.Parse(packet)
	if err != nil || len(frame) < 40 {
		return
	}
	if frame[0] == 0xff && frame[1] == 0x03 {
		frame = frame[2:]
	}
	if p := binary.BigEndian.Uint16(frame); p != 0x00fd && p != 0x0021 {
		return
	}
	frame[len(frame)/2+rnd.IntN(len(frame)/2)] ^= byte(1 + rnd.IntN(255))
}

// has reports whether a GRE packet carries an answer of the layer: a server's
// Configure-Requests of LCP are what opens a link at all.
func (l Layer) has(packet []byte) bool {
	if l == "" {
		return false
	}
	_, frame, err := gre.Parse(packet)
	if err != nil {
		return false
	}
	proto, body, err := ppp.ParseFrame(frame)
	if err != nil || len(body) == 0 {
		return false
	}
	switch code := ppp.Code(body[0]); proto {
	case ppp.LCP:
		return l == LayerLCP && code >= ppp.ConfigureAck && code <= ppp.ConfigureReject
	case ppp.PAP, ppp.CHAP:
		return l == LayerLogin
	case ppp.CCP:
		return l == LayerCCP
	case ppp.IPCP:
		return l == LayerIPCP
	}
	return false
}

// WriteBatch implements gre.Wire.
func (b *badWire) WriteBatch(ps []gre.Packet) error {
	if b.s.GRE == GREMute {
		return nil
	}
	b.sendMu.Lock()
	defer b.sendMu.Unlock()
	b.kept = b.kept[:0]
	due := time.Now().Add(b.s.Latency + b.s.Reply)
	for _, p := range ps {
		if b.s.GRE == GREStray && len(p.Data) >= 8 {
			binary.BigEndian.PutUint16(p.Data[6:], ^binary.BigEndian.Uint16(p.Data[6:]))
		}
		if b.s.Loses.has(p.Data) {
			continue
		}
		f := b.judge(b.outRnd, b.s.LossDown, p.Data)
		for range f.times {
			if b.out == nil {
				b.kept = append(b.kept, p)
			} else {
				b.out.put(gre.Packet{Peer: p.Peer, Data: slices.Clone(p.Data)}, due.Add(f.late))
			}
		}
	}
	if len(b.kept) == 0 {
		return nil
	}
	err := b.Wire.WriteBatch(b.kept)
	clear(b.kept)
	return err
}

// pumpOut sends what is late, in its time.
func (b *badWire) pumpOut() {
	var batch [64]gre.Packet
	for {
		n := b.out.take(batch[:])
		if n == 0 {
			return
		}
		_ = b.Wire.WriteBatch(batch[:n]) // lost, as what is late may be
		clear(batch[:n])
	}
}

// ReadBatch implements gre.Wire.
func (b *badWire) ReadBatch(ps []gre.Packet) (int, error) {
	if b.in != nil {
		var batch [64]gre.Packet
		n := b.in.take(batch[:min(len(ps), len(batch))])
		if n == 0 {
			return 0, net.ErrClosed
		}
		return fill(ps, batch[:n]), nil
	}
	if n := fill(ps, b.again); n > 0 {
		b.again = slices.Delete(b.again, 0, n)
		return n, nil
	}
	n, err := b.Wire.ReadBatch(ps)
	if err != nil {
		return 0, err
	}
	for i, p := range ps[:n] {
		f := b.judge(b.inRnd, b.s.LossUp, p.Data)
		if f.times == 0 || b.s.GRE == GREDeaf {
			ps[i].Data = nil // is no packet then
		}
		for range f.times - 1 {
			b.again = append(b.again, gre.Packet{Peer: p.Peer, Data: slices.Clone(p.Data)})
		}
	}
	return n, nil
}

// fill copies packets to the memory of ps.
func fill(ps, from []gre.Packet) int {
	n := min(len(ps), len(from))
	for i, p := range from[:n] {
		ps[i] = gre.Packet{Peer: p.Peer, Data: ps[i].Data[:copy(ps[i].Data, p.Data)]}
	}
	return n
}

// pumpIn reads what will be late.
func (b *badWire) pumpIn() {
	defer b.in.close()
	var (
		ps  [4]gre.Packet
		mem [len(ps)][2048]byte
	)
	for {
		for i := range ps {
			ps[i].Data = mem[i][:]
		}
		n, err := b.Wire.ReadBatch(ps[:])
		if err != nil {
			return
		}
		due := time.Now().Add(b.s.Latency)
		for _, p := range ps[:n] {
			f := b.judge(b.inRnd, b.s.LossUp, p.Data)
			for range f.times {
				b.in.put(gre.Packet{Peer: p.Peer, Data: slices.Clone(p.Data)}, due.Add(f.late))
			}
		}
	}
}

// Close implements gre.Wire.
func (b *badWire) Close() error {
	err := b.Wire.Close()
	b.once.Do(func() {
		for _, l := range []*line{b.in, b.out} {
			if l != nil {
				l.close()
			}
		}
		b.work.Wait()
	})
	return err
}

// line holds packets until they are due.
type line struct {
	wake   chan struct{} // holds a token when the first packet is a new one
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	queue []due // by time
}

type due struct {
	at time.Time
	gre.Packet
}

func newLine() *line { return &line{wake: make(chan struct{}, 1), closed: make(chan struct{})} }

func (l *line) put(p gre.Packet, at time.Time) {
	l.mu.Lock()
	if len(l.queue) >= lineRoom {
		l.mu.Unlock()
		return
	}
	i := len(l.queue) // most packets are the last
	for i > 0 && at.Before(l.queue[i-1].at) {
		i--
	}
	l.queue = slices.Insert(l.queue, i, due{at, p})
	l.mu.Unlock()
	if i == 0 {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// take waits for packets that are due, and returns how many it put into dst; 0
// is the end.
func (l *line) take(dst []gre.Packet) int {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		n, wait := l.ready(dst)
		if n > 0 {
			return n
		}
		timer.Reset(wait)
		select {
		case <-l.wake:
		case <-timer.C:
		case <-l.closed:
			return 0
		}
	}
}

func (l *line) ready(dst []gre.Packet) (n int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for n < len(dst) && n < len(l.queue) && !l.queue[n].at.After(now) {
		dst[n] = l.queue[n].Packet
		n++
	}
	l.queue = slices.Delete(l.queue, 0, n)
	if len(l.queue) == 0 {
		return n, time.Hour
	}
	return n, l.queue[0].at.Sub(now)
}

func (l *line) close() { l.once.Do(func() { close(l.closed) }) }
