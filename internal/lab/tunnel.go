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
	// headroom is the room before an IP packet for all the headers.
	headroom = gre.Headroom + ppp.FrameOverhead + mppe.Overhead + 2
	// packetRoom holds a packet with its headroom, in bytes.
	packetRoom = 2048
)

var packets = sync.Pool{New: func() any { return new([packetRoom]byte) }}

func newPacket(size int) []byte { return packets.Get().(*[packetRoom]byte)[:size] }
func freePacket(b []byte)       { packets.Put((*[packetRoom]byte)(b[:packetRoom])) }

// tunnel is what a session does with IP packets.
type tunnel struct {
	s    *session
	up   atomic.Bool
	dec  atomic.Pointer[mppe.Decryptor]
	down *shaper // to the client
	in   *shaper // from the client; nil when it is not limited

	// Of the goroutine that delivers.
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

// letThrough lets packets through.
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

// close returns when nothing of the tunnel is left. No packet may come any more.
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

// innerNetwork is the network behind the session, made when it is first needed. It
// is nil after the end.
func (t *tunnel) innerNetwork() *innerNet {
	t.innerMu.Lock()
	defer t.innerMu.Unlock()
	if t.inner == nil && !t.closed {
		n, err := newInner(t.s.addrs.server, t.s.node, t.s.services(), t.writePacket)
		if err != nil {
			return nil // the packets find nobody
		}
		t.inner = n
	}
	return t.inner
}

// --- from the client; all of it by the goroutine that delivers, but arrive

// queueFrame keeps a frame until flush.
func (t *tunnel) queueFrame(b *gre.Buffer) { t.frames = append(t.frames, b) }

// decryptQueued opens the frames of a batch and passes their packets on.
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

// forwardLimited passes on what came through a limited line.
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

// openFrames makes views of frames. Two that follow each other are decrypted
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

// handleDecrypted takes a frame that was decrypted, or could not be. A server with another key
// notices nothing: what it finds is nonsense, packet for packet.
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

// forwardPacket lets in what a session may send: packets from its own address.
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

// isRouted reports whether there is a way for a packet behind the server.
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

// blackholeSize is the size of the packets that get through a black hole, in bytes.
const blackholeSize = 1000

// isBlackholed reports whether a packet of size bytes vanishes on the way.
func (t *tunnel) isBlackholed(size int) bool { return t.s.spec.Blackhole && size > blackholeSize }

// sendNoise sends a packet that the client cannot read, as every packet of a server
// with other keys is.
func (t *tunnel) sendNoise() {
	b := newPacket(headroom + 64)
	copy(b[headroom:], randomBytes(64))
	t.down.put(b)
}

// --- to the client

// writePacket takes a packet of the network.
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

// sealBatch makes frames of packets and sends them.
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
	_ = t.s.call.Send(frames[:n]...) // a lost packet is the inner network's affair
	t.txMu.Unlock()
	for _, b := range batch {
		freePacket(b)
	}
}
