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
	// verifyGrace is how long after the answer to an Echo-Request the answers to
	// packets that were sent before it may still come: a server's kernel answers
	// these, its PPP program the Echo-Request.
	verifyGrace = 200 * time.Millisecond
	// verifyPause is the pause before the packets are sent once more to a server that
	// has rejected or garbled the first ones: it may not have set up its keys.
	verifyPause = minRejectSpan + 50*time.Millisecond
	// verifyLimit bounds the wait for a server that answers nothing, beside the round
	// trips.
	verifyLimit = 2 * time.Second
	// verifyRounds is how often the packets are sent: a stateful stream needs a reset
	// between two that cannot be read.
	verifyRounds = 3
)

// Verify proves that both sides of an encrypted session have the same keys (RFC 3078,
// RFC 3079): it sends ICMP echoes to the server's own address and queries to its
// name server through the tunnel, and waits for one packet that can be decrypted. It
// takes a round trip, and more only when something came that cannot be read. Silence
// proves nothing and is no error; a session whose packets cannot be read ends, and its
// *Error is returned. A session without encryption is not looked at.
//
// Verify reads packets, so it must be over before ReadPackets is called.
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

// DialVerified is Dial, and Verify of the session that came up.
func DialVerified(ctx context.Context, cfg Config) (*Session, error) {
	s, err := Dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := s.Verify(ctx); err != nil {
		_ = s.Close() // it has ended already, and always returns nil
		return nil, err
	}
	return s, nil
}

// sawUnreadable reports whether something came that one side could not read.
func (s *Session) sawUnreadable() bool {
	s.rxMu.Lock()
	defer s.rxMu.Unlock()
	return s.undecryptable > 0 || s.plainPackets > 0 || s.rejections.Load() > 0
}

// verifyOnce sends the packets and waits for an answer, or for that of an LCP
// Echo-Request behind them. It reports whether no further round is needed.
func (s *Session) verifyOnce(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, verifyLimit+2*min(s.rtt, maxRTT))
	defer cancel()
	s.sendChecks()
	echoed := make(chan struct{})
	go func() {
		defer close(echoed)
		_, _ = s.Echo(ctx) // its error is the end of ctx or of the session, which both end the wait
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

// readCheck opens what came and reports whether a packet could be decrypted.
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

// sendChecks sends what a server answers, each as often as it takes to tell nonsense
// from a damaged packet.
func (s *Session) sendChecks() {
	id := uint16(rand.Uint32())
	for range garbageAtStart {
		id++
		if peer := s.info.PeerIP; peer.Is4() && !peer.IsUnspecified() {
			_ = s.WritePacket(echoRequest(s.info.LocalIP, peer, id)) // net.ErrClosed ends the wait as well
		}
		if len(s.info.DNS) > 0 && s.info.DNS[0].Is4() {
			_ = s.WritePacket(rootQuery(s.info.LocalIP, s.info.DNS[0], id))
		}
	}
}

// echoRequest is an ICMP echo request, RFC 792.
func echoRequest(from, to netip.Addr, id uint16) []byte {
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: int(id), Seq: 1, Data: []byte("connexa")}}
	b, err := m.Marshal(nil)
	if err != nil {
		panic("pptp: an echo request that cannot be written: " + err.Error())
	}
	return ipPacket(1, from, to, b)
}

// rootQuery asks a name server for the name servers of the root, which each knows.
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

// ipPacket is an IPv4 packet, RFC 791 section 3.1.
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
