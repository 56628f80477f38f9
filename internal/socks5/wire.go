package socks5

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// Versions and numbers of RFC 1928 and RFC 1929.
const (
	version     = 5
	authVersion = 1 // of the sub-negotiation of RFC 1929

	methodPassword = 0x02
	methodNone     = 0xff // no acceptable method

	commandConnect   = 1
	commandBind      = 2
	commandAssociate = 3

	addrIPv4 = 1
	addrName = 3
	addrIPv6 = 4
)

// Reply is the reply code of a request, RFC 1928 section 6.
type Reply uint8

// The reply codes. The RFC has none for a timeout; "TTL expired" is the closest, and
// several servers use it.
const (
	Succeeded          Reply = 0
	GeneralFailure     Reply = 1
	NotAllowed         Reply = 2
	NetworkUnreachable Reply = 3
	HostUnreachable    Reply = 4
	ConnectionRefused  Reply = 5
	TimedOut           Reply = 6
	CommandUnsupported Reply = 7
	AddressUnsupported Reply = 8
)

// ErrMalformed is wrapped by all errors about invalid bytes of a client.
var ErrMalformed = errors.New("malformed")

// target is the destination of a request: a host name or an address, and a port.
type target struct {
	name string     // empty if addr is valid
	addr netip.Addr // IPv4 or IPv6
	port uint16
}

func (t target) String() string {
	if t.addr.IsValid() {
		return netip.AddrPortFrom(t.addr, t.port).String()
	}
	return fmt.Sprintf("%s:%d", t.name, t.port)
}

// readGreeting reads the methods that a client offers, after the version.
//
//	+----+----------+----------+
//	|VER | NMETHODS | METHODS  |
//	+----+----------+----------+
//	| 1  |    1     | 1 to 255 |
//	+----+----------+----------+
func readGreeting(r *bufio.Reader) (offersPassword bool, err error) {
	n, err := r.ReadByte()
	if err != nil {
		return false, err
	}
	for range n {
		m, err := r.ReadByte()
		if err != nil {
			return false, unexpected(err)
		}
		offersPassword = offersPassword || m == methodPassword
	}
	return offersPassword, nil
}

// readLogin reads the sub-negotiation of RFC 1929.
//
//	+----+------+----------+------+----------+
//	|VER | ULEN |  UNAME   | PLEN |  PASSWD  |
//	+----+------+----------+------+----------+
//	| 1  |  1   | 1 to 255 |  1   | 1 to 255 |
//	+----+------+----------+------+----------+
func readLogin(r *bufio.Reader) (user, password string, err error) {
	v, err := r.ReadByte()
	if err != nil {
		return "", "", err
	}
	if v != authVersion {
		return "", "", fmt.Errorf("%w: login of version %d", ErrMalformed, v)
	}
	if user, err = readText(r); err != nil {
		return "", "", err
	}
	password, err = readText(r)
	return user, password, err
}

// readText reads a length byte and the text after it.
func readText(r *bufio.Reader) (string, error) {
	n, err := r.ReadByte()
	if err != nil {
		return "", unexpected(err)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", unexpected(err)
	}
	return string(b), nil
}

// readRequest reads a request, RFC 1928 section 4.
//
//	+----+-----+-------+------+----------+----------+
//	|VER | CMD |  RSV  | ATYP | DST.ADDR | DST.PORT |
//	+----+-----+-------+------+----------+----------+
//	| 1  |  1  | X'00' |  1   | Variable |    2     |
//	+----+-----+-------+------+----------+----------+
func readRequest(r *bufio.Reader) (command byte, to target, err error) {
	var head [3]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, target{}, err
	}
	if head[0] != version {
		return 0, target{}, fmt.Errorf("%w: request of version %d", ErrMalformed, head[0])
	}
	to, err = readTarget(r)
	return head[1], to, err
}

// errAddressType reports an unknown address type. The length of such an address is
// unknown too.
var errAddressType = fmt.Errorf("%w: address type", ErrMalformed)

// readTarget reads an address type, an address and a port.
func readTarget(r io.Reader) (target, error) {
	var t target
	var buf [256]byte
	read := func(n int) ([]byte, error) {
		_, err := io.ReadFull(r, buf[:n])
		return buf[:n], unexpected(err)
	}
	kind, err := read(1)
	if err != nil {
		return t, err
	}
	switch kind[0] {
	case addrIPv4, addrIPv6:
		size := 4
		if kind[0] == addrIPv6 {
			size = 16
		}
		b, err := read(size)
		if err != nil {
			return t, err
		}
		t.addr, _ = netip.AddrFromSlice(b)
		t.addr = t.addr.Unmap()
	case addrName:
		size, err := read(1)
		if err != nil {
			return t, err
		}
		b, err := read(int(size[0]))
		if err != nil {
			return t, err
		}
		if t.name = string(b); t.name == "" {
			return t, fmt.Errorf("%w: a name of no length", ErrMalformed)
		}
		// Some clients send an address as a name.
		if a, err := netip.ParseAddr(t.name); err == nil && a.Zone() == "" {
			t.name, t.addr = "", a.Unmap()
		}
	default:
		return t, errAddressType
	}
	b, err := read(2)
	if err != nil {
		return t, err
	}
	t.port = binary.BigEndian.Uint16(b)
	return t, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendReply appends the reply to a request. at is the address to which the connection
// or the association is bound.
//
//	+----+-----+-------+------+----------+----------+
//	|VER | REP |  RSV  | ATYP | BND.ADDR | BND.PORT |
//	+----+-----+-------+------+----------+----------+
func appendReply(b []byte, r Reply, at netip.AddrPort) []byte {
	return appendAddr(append(b, version, byte(r), 0), at)
}

// appendAddr appends an address type, an address and a port. An invalid address becomes
// 0.0.0.0.
func appendAddr(b []byte, a netip.AddrPort) []byte {
	addr := a.Addr().Unmap()
	if !addr.IsValid() {
		addr = netip.IPv4Unspecified()
	}
	kind := byte(addrIPv4)
	if addr.Is6() {
		kind = addrIPv6
	}
	b = append(b, kind)
	b = append(b, addr.AsSlice()...)
	return binary.BigEndian.AppendUint16(b, a.Port())
}

// parseDatagram parses the header of a client's datagram, RFC 1928 section 7. data
// aliases b.
//
//	+----+------+------+----------+----------+----------+
//	|RSV | FRAG | ATYP | DST.ADDR | DST.PORT |   DATA   |
//	+----+------+------+----------+----------+----------+
//	| 2  |  1   |  1   | Variable |    2     | Variable |
//	+----+------+------+----------+----------+----------+
func parseDatagram(b []byte) (to target, data []byte, err error) {
	if len(b) < 4 {
		return target{}, nil, fmt.Errorf("%w: a datagram of %d bytes", ErrMalformed, len(b))
	}
	if b[2] != 0 {
		// Section 7 makes the support of fragments optional.
		return target{}, nil, fmt.Errorf("%w: fragment %d", ErrMalformed, b[2])
	}
	r := sliceReader(b[3:])
	if to, err = readTarget(&r); err != nil {
		return target{}, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return to, r, nil
}

// appendDatagram appends the header of a datagram from a.
func appendDatagram(b []byte, a netip.AddrPort) []byte {
	return appendAddr(append(b, 0, 0, 0), a)
}

// datagramRoom is the maximum length of a header that appendDatagram writes.
const datagramRoom = 3 + 1 + 16 + 2

// sliceReader reads from a slice. Its value is the unread rest.
type sliceReader []byte

func (r *sliceReader) Read(b []byte) (int, error) {
	if len(*r) == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	n := copy(b, *r)
	*r = (*r)[n:]
	return n, nil
}
