package socks5

import (
	"bufio"
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// TestReadWhatCurlSends uses the bytes that curl 7.88.1 has sent with
// --socks5-hostname and --proxy-user ann:pw for http://echo.example/.
func TestReadWhatCurlSends(t *testing.T) {
	r := bufio.NewReader(strings.NewReader("\x03\x00\x01\x02" + "\x01\x03ann\x02pw" + "\x05\x01\x00\x03\x0cecho.example\x00\x50"))
	if ok, err := readGreeting(r); !ok || err != nil {
		t.Error(ok, err)
	}
	if u, p, err := readLogin(r); u != "ann" || p != "pw" || err != nil {
		t.Error(u, p, err)
	}
	if c, to, err := readRequest(r); c != commandConnect || to.String() != "echo.example:80" || err != nil {
		t.Error(c, to, err)
	}
}

// TestPrefixesFail truncates each message at every byte.
func TestPrefixesFail(t *testing.T) {
	type read func(*bufio.Reader) error
	for name, tt := range map[string]struct {
		wire string
		read read
	}{
		"greeting": {"\x02\x00\x02", func(r *bufio.Reader) error { _, err := readGreeting(r); return err }},
		"login":    {"\x01\x03ann\x02pw", func(r *bufio.Reader) error { _, _, err := readLogin(r); return err }},
		"name":     {"\x05\x01\x00\x03\x04host\x00\x50", func(r *bufio.Reader) error { _, _, err := readRequest(r); return err }},
		"IPv4":     {"\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50", func(r *bufio.Reader) error { _, _, err := readRequest(r); return err }},
		"IPv6":     {"\x05\x01\x00\x04" + strings.Repeat("\x20", 16) + "\x00\x50", func(r *bufio.Reader) error { _, _, err := readRequest(r); return err }},
	} {
		for i := range len(tt.wire) {
			if err := tt.read(bufio.NewReader(strings.NewReader(tt.wire[:i]))); err == nil {
				t.Errorf("%s: the first %d bytes are taken", name, i)
			}
		}
		if err := tt.read(bufio.NewReader(strings.NewReader(tt.wire))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	whole := append(appendDatagram(nil, netip.MustParseAddrPort("192.0.2.1:53")), 'x')
	for i := range len(whole) - 1 {
		if _, _, err := parseDatagram(whole[:i]); !errors.Is(err, ErrMalformed) {
			t.Errorf("the first %d bytes of a datagram: %v", i, err)
		}
	}
}

func FuzzDatagram(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 192, 0, 2, 1, 0, 53, 'x'})
	f.Add([]byte("\x00\x00\x00\x03\x04host\x00\x35data"))
	f.Add(append([]byte{0, 0, 0, 4}, make([]byte, 19)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		to, data, err := parseDatagram(b)
		if err != nil || !to.addr.IsValid() {
			return
		}
		again := append(appendDatagram(nil, netip.AddrPortFrom(to.addr, to.port)), data...)
		if to2, data2, err := parseDatagram(again); err != nil || to2 != to || !bytes.Equal(data, data2) {
			t.Errorf("% x reads as %v, and that as %v, %v", b, to, to2, err)
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte("\x05\x01\x00\x03\x04host\x00\x50"))
	f.Add([]byte("\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, to, err := readRequest(bufio.NewReader(bytes.NewReader(b)))
		if err == nil && to.addr.IsValid() == (to.name != "") {
			t.Errorf("% x: both an address and a name, or neither: %+v", b, to)
		}
	})
}
