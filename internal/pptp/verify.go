package pptp

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

const (
	// verifyGrace is how long after the answer to an Echo-Request the answers to earlier
	// packets may still arrive: the server's kernel answers these, its PPP program answers
	// the Echo-Request.
	verifyGrace = 200 * time.Millisecond
	// verifyPause is the pause before the packets are sent again to a server that has
	// rejected or garbled the first ones: it may not have set up its keys yet.
	verifyPause = minRejectSpan + 50*time.Millisecond
	// verifyLimit bounds the wait for a server that does not answer, in addition to two
	// round trips.
	verifyLimit = 2 * time.Second
	// verifyRounds is how often the packets are sent: a stateful stream needs a reset
	// after packets that cannot be decrypted.
	verifyRounds = 3
)

// Verify proves that both sides of an encrypted session have the same keys (RFC 3078,
// RFC 3079): through the tunnel it sends ICMP echoes to the server's own address and
// queries to its name server, and waits for one packet that can be decrypted. It
// takes one round trip, and more only if packets came that cannot be decrypted. Silence
// proves nothing and is no error. A session whose packets cannot be decrypted ends, and
// Verify returns its *Error. Verify does nothing without encryption.
//
// Verify reads packets, so it must return before ReadPackets is called.
func (s *Session) Verify(ctx context.Context) error {
	if s.info.Bits == 0 {
		return nil
	}
	for range verifyRounds {
		if s.verifyOnce(ctx) || !s.sawUnreadable() {
			break
		}
		pause := time.NewTimer(verifyPause)
		select {
		case <-pause.C:
		case <-s.ended:
		case <-ctx.Done():
		}
		pause.Stop()
	}
	select {
	case <-s.ended:
		return s.err
	default:
		return nil
	}
}

// DialVerified calls Dial and then Verify.
func DialVerified(ctx context.Context, cfg Config) (*Session, error) {
	s, err := Dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := s.Verify(ctx); err != nil {
		_ = s.Close() // the session has ended already, and Close always returns nil
		return nil, err
	}
	return s, nil
}

// sawUnreadable reports whether one side could not decrypt a packet.
func (s *Session) sawUnreadable() bool {
	s.rxMu.Lock()
	defer s.rxMu.Unlock()
	return s.undecryptable > 0 || s.plainPackets > 0 || s.rejections.Load() > 0
}

// verifyOnce sends the packets and waits for an answer to them, or to an LCP
// Echo-Request sent after them. It reports whether no further round is needed.
func (s *Session) verifyOnce(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, verifyLimit+2*min(s.rtt, maxRTT))
	defer cancel()
	s.sendChecks()
	echoed := make(chan struct{})
	go func() {
		defer close(echoed)
		_, _ = s.Echo(ctx) // its error is the end of ctx or of the session, and both end the wait
	}()
	defer func() { <-echoed }()
	defer cancel()
	grace := time.NewTimer(time.Hour)
	defer grace.Stop()
	answered := echoed
	for !s.readCheck() {
		select {
		case <-s.data.wake:
		case <-answered:
			answered = nil
			grace.Reset(verifyGrace)
		case <-grace.C:
			return false
		case <-ctx.Done():
			return false
		case <-s.ended:
			return true
		}
	}
	return true
}

// readCheck decrypts the packets that came and reports whether one could be decrypted.
func (s *Session) readCheck() bool {
	s.rxMu.Lock()
	defer s.rxMu.Unlock()
	var (
		frames [8]*gre.Buffer
		memory [len(frames)][ReadRoom]byte
		pkts   [len(frames)][]byte
	)
	for n := s.data.take(frames[:]); n > 0 && !s.decryptedOnce; n = s.data.take(frames[:]) {
		for i := range pkts {
			pkts[i] = memory[i][:]
		}
		s.decryptFrames(frames[:n], pkts[:])
		for _, b := range frames[:n] {
			b.Release()
		}
	}
	return s.decryptedOnce
}

// sendChecks sends packets that a server answers, each often enough to distinguish wrong
// keys from a damaged packet.
func (s *Session) sendChecks() {
	id := uint16(rand.Uint32())
	for range garbageAtStart {
		id++
		if peer := s.info.PeerIP; peer.Is4() && !peer.IsUnspecified() {
			_ = s.WritePacket(echoRequest(s.info.LocalIP, peer, id)) // net.ErrClosed ends the wait too
		}
		if len(s.info.DNS) > 0 && s.info.DNS[0].Is4() {
			_ = s.WritePacket(rootQuery(s.info.LocalIP, s.info.DNS[0], id))
		}
	}
}

// echoRequest returns an ICMP echo request, RFC 792.
func echoRequest(from, to netip.Addr, id uint16) []byte {
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: int(id), Seq: 1, Data: []byte("connexa")}}
	b, err := m.Marshal(nil)
	if err != nil {
		panic("pptp: an echo request that cannot be written: " + err.Error())
	}
	return ipPacket(1, from, to, b)
}

// rootQuery returns a query for the name servers of the root, which every name server knows.
func rootQuery(from, to netip.Addr, id uint16) []byte {
	q := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("."), Type: dnsmessage.TypeNS, Class: dnsmessage.ClassINET}},
	}
	query, err := q.Pack()
	if err != nil {
		panic("pptp: a query that cannot be written: " + err.Error())
	}
	udp := binary.BigEndian.AppendUint16(nil, 49152|id>>2) // a dynamic port, RFC 6335 section 6
	udp = binary.BigEndian.AppendUint16(udp, 53)
	udp = binary.BigEndian.AppendUint16(udp, uint16(8+len(query)))
	udp = binary.BigEndian.AppendUint16(udp, 0) // no checksum, RFC 768
	return ipPacket(17, from, to, append(udp, query...))
}

// ipPacket returns an IPv4 packet, RFC 791 section 3.1.
func ipPacket(protocol byte, from, to netip.Addr, payload []byte) []byte {
	b := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0}
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	b = append(b, from.AsSlice()...)
	b = append(b, to.AsSlice()...)
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
	return append(b, payload...)
}
