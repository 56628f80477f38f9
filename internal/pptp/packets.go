package pptp

import (
	"encoding/binary"
	"errors"
	"net"

	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/pptp/mppe"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

const (
	// Headroom is the number of bytes that WritePackets needs before each packet.
	Headroom = gre.Headroom + ppp.FrameOverhead + mppe.Overhead + 2
	// ReadRoom is the buffer size that ReadPackets needs for each packet, in bytes.
	ReadRoom = 2048
	// Batch is the largest useful number of packets per read or write.
	Batch = 64

	// garbageAtStart and garbageLater are how many undecryptable packets in a row end
	// the session: three at its start, before the keys were seen to work, and many
	// later, when anyone may have forged them.
	garbageAtStart = 3
	garbageLater   = 1000
)

// ReadPackets waits for IP packets and puts them into pkts. Each element must have
// ReadRoom bytes; it is set to its packet, which may begin a few bytes into that
// memory. After the session has ended, the error is net.ErrClosed. Only one goroutine
// may read at a time.
func (s *Session) ReadPackets(pkts [][]byte) (int, error) {
	s.rxMu.Lock()
	defer s.rxMu.Unlock()
	if !s.readStarted {
		s.readStarted = true
		s.data.setBound(dataQueue)
	}
	for {
		frames := s.rxFrames[:min(len(pkts), Batch)]
		n := s.data.take(frames)
		if n == 0 {
			select {
			case <-s.data.wake:
				continue
			case <-s.ended:
				return 0, net.ErrClosed
			}
		}
		got := s.decryptFrames(frames[:n], pkts)
		for i, b := range frames[:n] {
			b.Release()
			frames[i] = nil
		}
		if got > 0 {
			return got, nil
		}
	}
}

// ReadPacket reads one packet and copies it to b.
func (s *Session) ReadPacket(b []byte) (int, error) {
	mem := make([]byte, ReadRoom)
	pkts := [][]byte{mem}
	if _, err := s.ReadPackets(pkts); err != nil {
		return 0, err
	}
	return copy(b, pkts[0]), nil
}

// decryptFrames decrypts frames into pkts and returns the number of packets.
// Adjacent frames are decrypted in pairs. rxMu must be held.
func (s *Session) decryptFrames(frames []*gre.Buffer, pkts [][]byte) int {
	got := 0
	dec := s.dec.Load()
	for i := 0; i < len(frames); i++ {
		proto, body, err := ppp.ParseFrame(frames[i].Data)
		if err != nil {
			s.garbage.Add(1)
			continue
		}
		if proto != ppp.MPPE {
			if dec != nil { // a plain packet is not accepted once encryption is agreed on
				s.garbage.Add(1)
				if s.plainPackets++; s.plainPackets >= garbageAtStart && !s.decryptedOnce {
					s.reportUnreadable(serverSendsPlain)
				}
			} else if proto == ppp.IPv4 && len(body) <= len(pkts[got]) {
				pkts[got] = pkts[got][:copy(pkts[got], body)]
				got += s.countReceived(pkts[got])
			}
			continue
		}
		if dec == nil {
			s.garbage.Add(1)
			continue
		}
		if i+1 < len(frames) {
			if p2, next, err := ppp.ParseFrame(frames[i+1].Data); err == nil && p2 == ppp.MPPE {
				a, b := pkts[got], pkts[got+1]
				nA, errA, nB, errB := dec.OpenPair(a, body, b, next)
				switch {
				case s.acceptDecrypted(&a, nA, errA):
					pkts[got] = a
					got++
					if s.acceptDecrypted(&b, nB, errB) {
						pkts[got] = b
						got++
					}
				case s.acceptDecrypted(&b, nB, errB):
					pkts[got] = a[:copy(a, b)] // each element keeps its own memory
					got++
				}
				i++
				continue
			}
		}
		a := pkts[got]
		n, err := dec.Open(a, body)
		if s.acceptDecrypted(&a, n, err) {
			pkts[got] = a
			got++
		}
	}
	return got
}

// acceptDecrypted reduces a decrypted frame to its IP packet and reports whether it
// has one.
func (s *Session) acceptDecrypted(p *[]byte, n int, err error) bool {
	if err != nil {
		s.countUnreadable(err)
		return false
	}
	proto, ip, err := ppp.ParseFrame((*p)[:n])
	if err != nil || proto != ppp.IPv4 {
		return false
	}
	s.undecryptable = 0
	s.decryptedOnce = true
	if s.countReceived(ip) == 0 {
		return false
	}
	*p = ip
	return true
}

// countReceived counts an IP packet. It returns 1, or 0 if ip is no IP packet.
func (s *Session) countReceived(ip []byte) int {
	if len(ip) < 20 || ip[0]>>4 != 4 {
		return 0
	}
	s.rxPackets.Add(1)
	s.rxBytes.Add(uint64(len(ip)))
	return 1
}

// countUnreadable counts a packet that could not be decrypted, and ends the session after
// too many of them.
func (s *Session) countUnreadable(err error) {
	switch {
	case errors.Is(err, mppe.ErrStale):
		s.stale.Add(1)
		return
	case errors.Is(err, mppe.ErrLost), errors.Is(err, mppe.ErrCompressed):
		select {
		case s.resetWanted <- struct{}{}:
		default:
		}
		s.garbage.Add(1)
		return
	default:
		s.garbage.Add(1)
	}
	s.undecryptable++
	if limit := garbageAtStart; s.undecryptable >= limit && !s.decryptedOnce || s.undecryptable >= garbageLater {
		s.reportUnreadable(keysDiffer)
	}
}

// reportUnreadable ends the session because its packets cannot be read.
func (s *Session) reportUnreadable(how unreadableReason) {
	select {
	case s.unreadableSeen <- how:
	default:
	}
}

// WritePackets sends IP packets in order. Each of bufs begins with Headroom
// bytes; WritePackets overwrites these and the packet. Packets larger than the
// MTU are dropped. After the session has ended, the error is net.ErrClosed.
func (s *Session) WritePackets(bufs [][]byte) error {
	s.txMu.Lock()
	defer s.txMu.Unlock()
	select {
	case <-s.ended:
		return net.ErrClosed
	default:
	}
	frames := s.txFrames[:0]
	limit := Headroom + s.mtu
	for _, b := range bufs {
		if len(b) <= Headroom || len(b) > limit {
			s.oversize.Add(1)
			continue
		}
		frames = append(frames, b)
		s.txPackets.Add(1)
		s.txBytes.Add(uint64(len(b) - Headroom))
	}
	if len(frames) == 0 {
		return nil
	}
	s.sealFrames(frames)
	err := s.call.Send(frames...)
	clear(frames)
	s.txFrames = frames[:0]
	if errors.Is(err, gre.ErrClosed) {
		return net.ErrClosed
	}
	return nil // a packet that this machine could not send is lost, as on any network
}

// sealFrames converts packets to PPP frames in place. txMu must be held.
func (s *Session) sealFrames(frames [][]byte) {
	if s.enc == nil {
		const start = Headroom - ppp.FrameOverhead - gre.Headroom
		for i, b := range frames {
			ppp.AppendFrame(b[Headroom-ppp.FrameOverhead:][:0], ppp.IPv4)
			frames[i] = b[start:]
		}
		return
	}
	const head = gre.Headroom + ppp.FrameOverhead
	for _, b := range frames {
		ppp.AppendFrame(b[gre.Headroom:][:0], ppp.MPPE)
		binary.BigEndian.PutUint16(b[Headroom-2:], uint16(ppp.IPv4))
	}
	rest := frames
	for len(rest) >= 2 {
		s.enc.SealPair(rest[0][head:], rest[1][head:])
		rest = rest[2:]
	}
	if len(rest) == 1 {
		s.enc.Seal(rest[0][head:])
	}
}

// WritePacket sends one packet, which it copies.
func (s *Session) WritePacket(p []byte) error {
	b := make([]byte, Headroom+len(p))
	copy(b[Headroom:], p)
	return s.WritePackets([][]byte{b})
}
