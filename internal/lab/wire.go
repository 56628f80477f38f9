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
	// reorderDelay is the delay of a packet that changes places with the packets
	// after it.
	reorderDelay = 4 * time.Millisecond
	// maxDelayed is the maximum number of delayed packets per direction.
	maxDelayed = 8192
)

// faultyWire is a wire that loses, corrupts, duplicates, delays and
// reorders packets, each direction independently.
type faultyWire struct {
	gre.Wire
	s Session

	sendMu   sync.Mutex
	outRnd   *rand.Rand
	outBatch []gre.Packet
	out      *delayLine // nil if packets to the client are not delayed

	inRnd      *rand.Rand
	duplicates []gre.Packet // duplicates of received packets, still to be returned
	in         *delayLine   // nil if packets from the client are not delayed
	once       sync.Once
	work       sync.WaitGroup
}

// needsFaultyWire reports whether the session needs a faultyWire.
func (s Session) needsFaultyWire() bool {
	return s.Loss+s.LossDown+s.LossUp+s.Reorder+s.Duplicate+s.Corrupt > 0 || s.Latency > 0 || s.Reply > 0 ||
		s.Loses != "" || s.GRE == GREMute || s.GRE == GREDeaf || s.GRE == GREStray
}

func startFaultyWire(w gre.Wire, s Session, seed uint64) *faultyWire {
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

// delivery says what happens to a packet.
type delivery struct {
	copies int // 0 means lost
	delay  time.Duration
}

// drawDelivery chooses at random what happens to a packet, and may corrupt it. loss is
// the loss of its direction in percent, in addition to Session.Loss.
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

// corruptPacket changes a byte of an IP packet, encrypted or not. Negotiation packets are
// not changed: a failed login is another fault.
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

// isAnsweredBy reports whether a GRE packet carries an answer of the layer. The
// Configure-Requests of LCP do not count, because they open the link.
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

// pumpOut sends delayed packets when they are due.
func (b *faultyWire) pumpOut() {
	var batch [64]gre.Packet
	for {
		n := b.out.take(batch[:])
		if n == 0 {
			return
		}
		_ = b.Wire.WriteBatch(batch[:n]) // delayed packets may be lost
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
			ps[i].Data = nil // an empty packet is dropped
		}
		for range f.copies - 1 {
			b.duplicates = append(b.duplicates, gre.Packet{Peer: p.Peer, Data: slices.Clone(p.Data)})
		}
	}
	return n, nil
}

// copyPackets copies packets into the buffers of ps.
func copyPackets(ps, from []gre.Packet) int {
	n := min(len(ps), len(from))
	for i, p := range from[:n] {
		ps[i] = gre.Packet{Peer: p.Peer, Data: ps[i].Data[:copy(ps[i].Data, p.Data)]}
	}
	return n
}

// pumpIn reads packets and delays them.
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
	wake   chan struct{} // holds a token when the first packet has changed
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	queue []delayedPacket // ordered by time
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
	i := len(l.queue) // most packets belong at the end
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

// take waits for packets that are due and returns how many it put into dst, or 0
// after close.
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
