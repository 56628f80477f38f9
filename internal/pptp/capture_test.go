package pptp

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// A capture is a session of pptp-linux with Debian's pptpd, recorded with
// internal/interop/lab at the server's interface (see testdata/LIST), and the
// same session's IP packets as the client's ppp interface saw them.
type capture struct {
	frames      []capturedFrame
	control     []capturedControl
	plainToUs   [][]byte
	plainFromUs [][]byte
}

// capturedFrame is one PPP frame in GRE.
type capturedFrame struct {
	fromServer bool
	proto      ppp.Protocol
	body       []byte
}

func (f capturedFrame) parsePacket(t *testing.T) ppp.Packet {
	t.Helper()
	p, err := ppp.ParsePacket(f.body)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type capturedControl struct {
	fromServer bool
	data       []byte
}

const pptpPort = 1723

func loadCapture(t *testing.T, name string) *capture {
	t.Helper()
	c := &capture{}
	var serverIP [4]byte
	for _, p := range pcapPackets(t, name+".pcap") {
		ip := p[14:] // Ethernet
		head, total := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
		from, body := [4]byte(ip[12:16]), ip[head:total]
		switch ip[9] {
		case 6:
			data := body[int(body[12]>>4)*4:]
			fromServer := binary.BigEndian.Uint16(body) == pptpPort
			if fromServer {
				serverIP = from
			}
			if len(data) > 0 {
				c.control = append(c.control, capturedControl{fromServer, data})
			}
		case 47:
			_, payload, err := gre.Parse(body)
			if err != nil {
				t.Fatal(err)
			}
			if len(payload) == 0 {
				continue
			}
			proto, frame, err := ppp.ParseFrame(payload)
			if err != nil {
				t.Fatal(err)
			}
			c.frames = append(c.frames, capturedFrame{from == serverIP, proto, frame})
		}
	}
	if _, err := os.Stat(filepath.Join("testdata", name+".plain.pcap")); err == nil {
		for _, p := range pcapPackets(t, name+".plain.pcap") {
			// Linux cooked capture: the first two bytes are 4 for packets that we sent.
			if ip := p[16:]; binary.BigEndian.Uint16(p[14:]) == 0x0800 {
				if binary.BigEndian.Uint16(p) == 4 {
					c.plainFromUs = append(c.plainFromUs, ip)
				} else {
					c.plainToUs = append(c.plainToUs, ip)
				}
			}
		}
	}
	return c
}

// pcapPackets reads the packets of a classic pcap file, little endian.
func pcapPackets(t *testing.T, name string) (list [][]byte) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if binary.LittleEndian.Uint32(b) != 0xa1b2c3d4 {
		t.Fatalf("%s is no pcap", name)
	}
	for b = b[24:]; len(b) >= 16; {
		n := int(binary.LittleEndian.Uint32(b[8:]))
		list = append(list, b[16:16+n])
		b = b[16+n:]
	}
	return list
}
