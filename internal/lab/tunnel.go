package lab

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/pptp/mppe"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

const (
	// headroom is the number of bytes before an IP packet for all headers.
	headroom = gre.Headroom + ppp.FrameOverhead + mppe.Overhead + 2
	// packetRoom is the size of a packet buffer with headroom, in bytes.
	packetRoom = 2048
)

var packets = sync.Pool{New: func() any { return new([packetRoom]byte) }}

func newPacket(size int) []byte { return packets.Get().(*[packetRoom]byte)[:size] }
func freePacket(b []byte)       { packets.Put((*[packetRoom]byte)(b[:packetRoom])) }

// tunnel carries the IP packets of a session.
type tunnel struct {
	s    *session
	up   atomic.Bool
	dec  atomic.Pointer[mppe.Decryptor]
	down *shaper // to the client
	in   *shaper // from the client; nil without a limit

	// Owned by the goroutine that delivers.
	frames    []*gre.Buffer
	views     []*buffer.View
	lastReset time.Time

	txMu sync.Mutex
	enc  *mppe.Encryptor

	innerMu sync.Mutex
	inner   *innerNet
	closed  bool
}

func (t *tunnel) setUp(s *session) {
	t.s = s
	t.down = newShaper(s.spec.RateDown, func(b []byte) int { return len(b) - headroom }, t.sealBatch, freePacket)
	if s.spec.RateUp > 0 {
		t.in = newShaper(s.spec.RateUp, func(b []byte) int { return len(b) }, t.forwardLimited, freePacket)
	}
}

// letThrough starts to forward packets.
func (t *tunnel) letThrough() { t.up.Store(true) }

func (t *tunnel) setKeys(enc *mppe.Encryptor, dec *mppe.Decryptor) {
	t.txMu.Lock()
	t.enc = enc
	t.txMu.Unlock()
	t.dec.Store(dec)
}

// restartStream answers a Reset-Request.
func (t *tunnel) restartStream() {
	t.txMu.Lock()
	defer t.txMu.Unlock()
	if t.enc != nil {
		t.enc.Flush(false)
	}
}

// close releases the tunnel's resources. No packet may be delivered afterwards.
func (t *tunnel) close() {
	t.innerMu.Lock()
	t.closed = true
	n := t.inner
	t.inner = nil
	t.innerMu.Unlock()
	if t.in != nil {
		t.in.close()
	}
	t.down.close()
	if n != nil {
		n.close()
	}
	for _, b := range t.frames {
		b.Release()
	}
	t.frames = nil
}

// innerNetwork returns the network behind the session and creates it if necessary. It
// returns nil after close.
func (t *tunnel) innerNetwork() *innerNet {
	t.innerMu.Lock()
	defer t.innerMu.Unlock()
	if t.inner == nil && !t.closed {
		n, err := newInner(t.s.addrs.server, t.s.node, t.s.services(), t.writePacket)
		if err != nil {
			return nil // the packets are lost
		}
		t.inner = n
	}
	return t.inner
}

// --- From the client; only the delivering goroutine calls these, except forwardLimited

// queueFrame keeps a frame until decryptQueued.
func (t *tunnel) queueFrame(b *gre.Buffer) { t.frames = append(t.frames, b) }

// decryptQueued decrypts the frames of a batch and forwards their packets.
func (t *tunnel) decryptQueued() {
	if len(t.frames) == 0 {
		return
	}
	t.openFrames(t.dec.Load())
	for i, b := range t.frames {
		b.Release()
		t.frames[i] = nil
	}
	t.frames = t.frames[:0]
	if len(t.views) == 0 {
		return
	}
	if t.in != nil {
		for _, v := range t.views {
			b := newPacket(v.Size())
			copy(b, v.AsSlice())
			v.Release()
			t.in.put(b)
		}
	} else if n := t.innerNetwork(); n != nil {
		n.deliverPackets(t.views)
	}
	clear(t.views)
	t.views = t.views[:0]
}

// forwardLimited forwards packets after the rate limit.
func (t *tunnel) forwardLimited(batch [][]byte) {
	views := make([]*buffer.View, len(batch))
	for i, b := range batch {
		views[i] = buffer.NewViewWithData(b)
		freePacket(b)
	}
	if n := t.innerNetwork(); n != nil {
		n.deliverPackets(views)
	}
}

// openFrames converts frames to views. Two adjacent frames are decrypted
// together.
func (t *tunnel) openFrames(dec *mppe.Decryptor) {
	for i := 0; i < len(t.frames); i++ {
		proto, body, err := ppp.ParseFrame(t.frames[i].Data)
		switch {
		case err != nil || !t.up.Load():
		case proto == ppp.IPv4:
			if dec == nil {
				t.forwardPacket(buffer.NewViewWithData(body), 0, len(body))
			}
		case dec == nil:
		case t.s.spec.Data == DataRejected:
			t.s.rejectMPPE(body)
		default:
			a := buffer.NewViewSize(max(len(body), 1))
			if i+1 < len(t.frames) {
				if p2, next, err := ppp.ParseFrame(t.frames[i+1].Data); err == nil && p2 == ppp.MPPE {
					b := buffer.NewViewSize(max(len(next), 1))
					nA, errA, nB, errB := dec.OpenPair(a.AsSlice(), body, b.AsSlice(), next)
					t.handleDecrypted(a, nA, errA)
					t.handleDecrypted(b, nB, errB)
					i++
					continue
				}
			}
			n, err := dec.Open(a.AsSlice(), body)
			t.handleDecrypted(a, n, err)
		}
	}
}

// handleDecrypted handles the result of decrypting a frame. A server with another key
// notices nothing: it finds nonsense in every packet.
func (t *tunnel) handleDecrypted(v *buffer.View, n int, err error) {
	switch {
	case err == nil:
		plain := v.AsSlice()[:n]
		if proto, ip, err := ppp.ParseFrame(plain); err == nil && proto == ppp.IPv4 {
			t.forwardPacket(v, n-len(ip), n)
			return
		}
	case t.s.spec.WrongKeys.includes(false) && (errors.Is(err, mppe.ErrGarbage) || errors.Is(err, mppe.ErrLost)):
		t.s.rejectNonsense()
		if t.s.spec.WrongKeys.includes(true) {
			t.sendNoise()
		}
	case errors.Is(err, mppe.ErrLost):
		if now := time.Now(); now.Sub(t.lastReset) >= resetPause {
			t.lastReset = now
			t.s.askReset()
		}
	}
	v.Release()
}

// forwardPacket accepts only packets from the session's own address.
func (t *tunnel) forwardPacket(v *buffer.View, from, to int) {
	v.CapLength(to)
	v.TrimFront(from)
	ip := v.AsSlice()
	if len(ip) < 20 || ip[0]>>4 != 4 || [4]byte(ip[12:16]) != t.s.addrs.client.As4() || !t.isRouted(ip) {
		v.Release()
		return
	}
	t.views = append(t.views, v)
}

// isRouted reports whether the network behind the server accepts a packet.
func (t *tunnel) isRouted(ip []byte) bool {
	const protoICMP, protoTCP, protoUDP = 1, 6, 17
	switch {
	case t.isBlackholed(len(ip)):
		return false
	case t.s.spec.NoInternet:
		return ip[9] == protoICMP && [4]byte(ip[16:20]) == t.s.addrs.server.As4()
	case t.s.spec.NoDNS:
		head := int(ip[0]&15) * 4
		return ip[9] != protoTCP && ip[9] != protoUDP || len(ip) < head+4 ||
			binary.BigEndian.Uint16(ip[head+2:]) != portDNS
	}
	return true
}

// blackholeSize is the size of the largest packet that passes a black hole, in bytes.
const blackholeSize = 1000

// isBlackholed reports whether a packet of size bytes is dropped by a black hole.
func (t *tunnel) isBlackholed(size int) bool { return t.s.spec.Blackhole && size > blackholeSize }

// sendNoise sends a packet that the client cannot decrypt, like every packet of a server
// with other keys.
func (t *tunnel) sendNoise() {
	b := newPacket(headroom + 64)
	copy(b[headroom:], randomBytes(64))
	t.down.put(b)
}

// --- to the client

// writePacket sends a packet of the inner network to the client.
func (t *tunnel) writePacket(pkt *stack.PacketBuffer) {
	size := pkt.Size()
	if headroom+size > packetRoom || !t.up.Load() || t.isBlackholed(size) {
		return
	}
	b := newPacket(headroom + size)
	at := headroom
	for _, part := range pkt.AsSlices() {
		at += copy(b[at:], part)
	}
	t.down.put(b)
}

// sealBatch converts packets to frames and sends them.
func (t *tunnel) sealBatch(batch [][]byte) {
	var frames [shaperBatch][]byte
	n := copy(frames[:], batch)
	t.txMu.Lock()
	if t.enc == nil {
		for i, b := range batch {
			ppp.AppendFrame(b[headroom-ppp.FrameOverhead:][:0], ppp.IPv4)
			frames[i] = b[headroom-ppp.FrameOverhead-gre.Headroom:]
		}
	} else {
		const head = gre.Headroom + ppp.FrameOverhead
		for _, b := range batch {
			ppp.AppendFrame(b[gre.Headroom:][:0], ppp.MPPE)
			binary.BigEndian.PutUint16(b[headroom-2:], uint16(ppp.IPv4))
		}
		i := 0
		for ; i+1 < n; i += 2 {
			t.enc.SealPair(frames[i][head:], frames[i+1][head:])
		}
		if i < n {
			t.enc.Seal(frames[i][head:])
		}
	}
	_ = t.s.call.Send(frames[:n]...) // the inner network retransmits lost packets
	t.txMu.Unlock()
	for _, b := range batch {
		freePacket(b)
	}
}
