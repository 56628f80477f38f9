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
	// reorderDelay is how much later a packet comes that is to change places with those
	// behind it.
	reorderDelay = 4 * time.Millisecond
	// maxDelayed is how many packets are on their way at once in one direction.
	maxDelayed = 8192
)

// faultyWire is a wire on which packets are lost, changed, doubled, delayed and
// put out of order, each direction by itself.
type faultyWire struct {
	gre.Wire
	s Session

	sendMu   sync.Mutex
	outRnd   *rand.Rand
	outBatch []gre.Packet
	out      *delayLine // nil when nothing is late on its way to the client

	inRnd      *rand.Rand
	duplicates []gre.Packet // doubles of what was read
	in         *delayLine   // nil when nothing is late on its way from the client
	once       sync.Once
	work       sync.WaitGroup
}

// needsFaultyWire reports whether the session needs a faultyWire.
func (s Session) needsFaultyWire() bool {
	return s.Loss+s.LossDown+s.LossUp+s.Reorder+s.Duplicate+s.Corrupt > 0 || s.Latency > 0 || s.Reply > 0 ||
		s.Loses != "" || s.GRE == GREMute || s.GRE == GREDeaf || s.GRE == GREStray
}

func newFaultyWire(w gre.Wire, s Session, seed uint64) *faultyWire {
	b := &faultyWire{Wire: w, s: s, outRnd: rand.New(rand.NewPCG(seed, 1)), inRnd: rand.New(rand.NewPCG(seed, 2))}
	if s.Latency+s.Reply > 0 || s.Reorder > 0 {
		b.out = newDelayLine()
		b.work.Go(b.pumpOut)
	}
	if s.Latency > 0 || s.Reorder > 0 {
		b.in = newDelayLine()
		b.work.Go(b.pumpIn)
	}
	return b
}

// delivery is what becomes of a packet.
type delivery struct {
	copies int // 0 is lost
	delay  time.Duration
}

// drawDelivery draws the fate of a packet, and may damage it. Of its direction, loss are
// lost in percent, beside the Loss of both.
func (b *faultyWire) drawDelivery(rnd *rand.Rand, loss float64, data []byte) (f delivery) {
	hit := func(percent float64) bool { return percent > 0 && rnd.Float64()*100 < percent }
	if hit(b.s.Loss) || hit(loss) {
		return f
	}
	f.copies = 1
	if hit(b.s.Duplicate) {
		f.copies = 2
	}
	if hit(b.s.Reorder) {
		f.delay = reorderDelay
	}
	if hit(b.s.Corrupt) {
		corruptPacket(rnd, data)
	}
	return f
}

// corruptPacket changes a byte of an IP packet, encrypted or not. What the two ends
// negotiate is left alone: a wrong login is another fault.
func corruptPacket(rnd *rand.Rand, packet []byte) {
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

// isAnsweredBy reports whether a GRE packet carries an answer of the layer: a server's
// Configure-Requests of LCP are what opens a link at all.
func (l Layer) isAnsweredBy(packet []byte) bool {
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
func (b *faultyWire) WriteBatch(ps []gre.Packet) error {
	if b.s.GRE == GREMute {
		return nil
	}
	b.sendMu.Lock()
	defer b.sendMu.Unlock()
	b.outBatch = b.outBatch[:0]
	due := time.Now().Add(b.s.Latency + b.s.Reply)
	for _, p := range ps {
		if b.s.GRE == GREStray && len(p.Data) >= 8 {
			binary.BigEndian.PutUint16(p.Data[6:], ^binary.BigEndian.Uint16(p.Data[6:]))
		}
		if b.s.Loses.isAnsweredBy(p.Data) {
			continue
		}
		f := b.drawDelivery(b.outRnd, b.s.LossDown, p.Data)
		for range f.copies {
			if b.out == nil {
				b.outBatch = append(b.outBatch, p)
			} else {
				b.out.put(gre.Packet{Peer: p.Peer, Data: slices.Clone(p.Data)}, due.Add(f.delay))
			}
		}
	}
	if len(b.outBatch) == 0 {
		return nil
	}
	err := b.Wire.WriteBatch(b.outBatch)
	clear(b.outBatch)
	return err
}

// pumpOut sends what is late, in its time.
func (b *faultyWire) pumpOut() {
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
func (b *faultyWire) ReadBatch(ps []gre.Packet) (int, error) {
	if b.in != nil {
		var batch [64]gre.Packet
		n := b.in.take(batch[:min(len(ps), len(batch))])
		if n == 0 {
			return 0, net.ErrClosed
		}
		return copyPackets(ps, batch[:n]), nil
	}
	if n := copyPackets(ps, b.duplicates); n > 0 {
		b.duplicates = slices.Delete(b.duplicates, 0, n)
		return n, nil
	}
	n, err := b.Wire.ReadBatch(ps)
	if err != nil {
		return 0, err
	}
	for i, p := range ps[:n] {
		f := b.drawDelivery(b.inRnd, b.s.LossUp, p.Data)
		if f.copies == 0 || b.s.GRE == GREDeaf {
			ps[i].Data = nil // is no packet then
		}
		for range f.copies - 1 {
			b.duplicates = append(b.duplicates, gre.Packet{Peer: p.Peer, Data: slices.Clone(p.Data)})
		}
	}
	return n, nil
}

// copyPackets copies packets to the memory of ps.
func copyPackets(ps, from []gre.Packet) int {
	n := min(len(ps), len(from))
	for i, p := range from[:n] {
		ps[i] = gre.Packet{Peer: p.Peer, Data: ps[i].Data[:copy(ps[i].Data, p.Data)]}
	}
	return n
}

// pumpIn reads what will be late.
func (b *faultyWire) pumpIn() {
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
			f := b.drawDelivery(b.inRnd, b.s.LossUp, p.Data)
			for range f.copies {
				b.in.put(gre.Packet{Peer: p.Peer, Data: slices.Clone(p.Data)}, due.Add(f.delay))
			}
		}
	}
}

// Close implements gre.Wire.
func (b *faultyWire) Close() error {
	err := b.Wire.Close()
	b.once.Do(func() {
		for _, l := range []*delayLine{b.in, b.out} {
			if l != nil {
				l.close()
			}
		}
		b.work.Wait()
	})
	return err
}

// delayLine holds packets until they are due.
type delayLine struct {
	wake   chan struct{} // holds a token when the first packet is a new one
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	queue []delayedPacket // by time
}

type delayedPacket struct {
	at time.Time
	gre.Packet
}

func newDelayLine() *delayLine {
	return &delayLine{wake: make(chan struct{}, 1), closed: make(chan struct{})}
}

func (l *delayLine) put(p gre.Packet, at time.Time) {
	l.mu.Lock()
	if len(l.queue) >= maxDelayed {
		l.mu.Unlock()
		return
	}
	i := len(l.queue) // most packets are the last
	for i > 0 && at.Before(l.queue[i-1].at) {
		i--
	}
	l.queue = slices.Insert(l.queue, i, delayedPacket{at, p})
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
func (l *delayLine) take(dst []gre.Packet) int {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		n, wait := l.takeReady(dst)
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

func (l *delayLine) takeReady(dst []gre.Packet) (n int, wait time.Duration) {
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

func (l *delayLine) close() { l.once.Do(func() { close(l.closed) }) }
