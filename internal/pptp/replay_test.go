package pptp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/pptp/mppe"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// fixedRandom returns the recorded client's challenge for reads of 16 bytes,
// so that the recorded server's proof and keys match.
type fixedRandom struct{ challenge []byte }

func (r *fixedRandom) Read(b []byte) (int, error) {
	if len(b) == 16 && r.challenge != nil {
		return copy(b, r.challenge), nil
	}
	for i := range b {
		b[i] = byte(i + 0x51)
	}
	return len(b), nil
}

// replay feeds a recorded server to a link.
type replay struct {
	t     *testing.T
	link  *link
	seen  observed
	trace trace
	now   time.Time
	asked map[ppp.Protocol]ppp.Packet // our last request of each protocol
	steps []Step
	enc   *mppe.Encryptor
	dec   *mppe.Decryptor
	sent  int
	log   []Event
}

func newReplay(t *testing.T, cfg Config) *replay {
	cfg = cfg.withDefaults()
	r := &replay{t: t, now: time.Unix(1, 0), asked: make(map[ppp.Protocol]ppp.Packet)}
	r.link = newLink(&cfg, &r.seen, linkHooks{
		send: func(proto ppp.Protocol, p ppp.Packet) {
			r.sent++
			p.Data = bytes.Clone(p.Data)
			if p.Code == ppp.ConfigureRequest || proto == ppp.PAP {
				r.asked[proto] = p
			}
		},
		event:          func(e Event) { r.log = append(r.log, e) },
		reached:        func(s Step, _ string) { r.trace.addReached(s, ""); r.steps = append(r.steps, s) },
		setKeys:        func(e *mppe.Encryptor, d *mppe.Decryptor) { r.enc, r.dec = e, d },
		flush:          func() {},
		keyMismatch:    func() {},
		countRejection: func() {},
	}, true, 0)
	r.link.acceptWeakAuth = true // the recorded servers had one login each
	r.trace.addReached(StepGRE, "")
	r.link.startLCP(r.now)
	return r
}

// endCause returns the cause of an ended link, or the empty string.
func (r *replay) endCause() string {
	if !r.link.ended {
		return ""
	}
	r.seen.step, r.seen.up = r.trace.nextStep(), r.trace.lastReached() == StepIP
	step, code := r.seen.findCause()
	return string(step) + "." + code
}

func (r *replay) input(proto ppp.Protocol, p ppp.Packet) {
	r.link.input(r.now, proto, p.Append(nil))
}

// serveFrame passes a recorded packet of the server to the link. Answers to requests
// are adapted to ours: other ids, and other options if ours differ.
func (r *replay) serveFrame(f capturedFrame, recordedCCP uint32) {
	p := f.parsePacket(r.t)
	switch p.Code {
	case ppp.ConfigureAck, ppp.ConfigureNak, ppp.ConfigureReject:
		if f.proto == ppp.PAP || f.proto == ppp.CHAP {
			break
		}
		// A link that waits for CCP, which this server does not support, gives up.
		for n := 0; f.proto == ppp.IPCP && r.link.phase == phaseEncryption && n < 20; n++ {
			r.now = r.now.Add(time.Second)
			r.link.tick(r.now)
		}
		if f.proto == ppp.CCP && p.Code == ppp.ConfigureAck && recordedCCP != 0 {
			// The recorded client requested a mode that we request only after a Nak.
			want := binary.BigEndian.AppendUint32([]byte{18, 6}, recordedCCP)
			if !bytes.Equal(r.asked[ppp.CCP].Data, want) {
				r.input(ppp.CCP, ppp.Packet{Code: ppp.ConfigureNak, ID: r.asked[ppp.CCP].ID, Data: want})
			}
		}
		p.ID = r.asked[f.proto].ID
		if p.Code == ppp.ConfigureAck {
			p.Data = r.asked[f.proto].Data
		}
	}
	if f.proto == ppp.PAP {
		p.ID = r.asked[ppp.PAP].ID
	}
	r.now = r.now.Add(time.Millisecond)
	if f.proto == ppp.IPv6CP {
		r.link.input(r.now, f.proto, f.body)
		return
	}
	r.input(f.proto, p)
}

// captureTest is one recording and what a link makes of it.
type captureTest struct {
	name, user, password string
	policy               Encryption
	cause                string // empty if the session came up and the client closed it
	auth, encryption     string
}

var captureTests = []captureTest{
	{name: "chap-md5", auth: "CHAP-MD5", encryption: "none"},
	{name: "chap-md5-authfail", cause: "auth.refused"},
	{name: "eap-refused", cause: "auth.eap"},
	{name: "mppe-refused", policy: EncryptionOff, cause: "encryption.required_by_server"},
	{name: "mppe128", auth: "MS-CHAPv2", encryption: "MPPE-128 stateless"},
	{name: "mppe128-authfail", cause: "auth.691"},
	{name: "mppe128-control-echo", auth: "MS-CHAPv2", encryption: "MPPE-128 stateless"},
	{name: "mppe128-domain-user", user: `LAB\carol`, password: "domain-pass", auth: "MS-CHAPv2", encryption: "MPPE-128 stateless"},
	{name: "mppe128-fixed-address", user: "dave", password: "fixed-address", auth: "MS-CHAPv2", encryption: "MPPE-128 stateless"},
	{name: "mppe128-ipv6", auth: "MS-CHAPv2", encryption: "MPPE-128 stateless"},
	{name: "mppe128-ipv6-rejected", auth: "MS-CHAPv2", encryption: "MPPE-128 stateless"},
	{name: "mppe128-kicked", cause: "lcp.terminated", auth: "MS-CHAPv2", encryption: "MPPE-128 stateless"},
	{name: "mppe128-mixed", auth: "MS-CHAPv2", encryption: "MPPE-128 stateless sent, MPPE-128 stateful received"},
	{name: "mppe128-odd-password", user: "bob", password: `b0b's "quoted" pass`, auth: "MS-CHAPv2", encryption: "MPPE-128 stateless"},
	{name: "mppe128-stateful", auth: "MS-CHAPv2", encryption: "MPPE-128 stateful"},
	{name: "mppe128-stateful-long", auth: "MS-CHAPv2", encryption: "MPPE-128 stateful"},
	{name: "mppe128-stateful-loss", auth: "MS-CHAPv2", encryption: "MPPE-128 stateful"},
	{name: "mppe128-tcp-lost", auth: "MS-CHAPv2", encryption: "MPPE-128 stateless"},
	{name: "mppe40", auth: "MS-CHAPv2", encryption: "MPPE-40 stateless"},
	{name: "mppe40-stateful", auth: "MS-CHAPv2", encryption: "MPPE-40 stateful"},
	{name: "mschapv1", auth: "MS-CHAPv1", encryption: "MPPE-128 stateless"},
	{name: "mschapv2-plain", auth: "MS-CHAPv2", encryption: "none"},
	{name: "pap", auth: "PAP", encryption: "none"},
	{name: "pap-authfail", cause: "auth.refused"},
}

func TestLinkReplaysCaptures(t *testing.T) {
	for _, tt := range captureTests {
		t.Run(tt.name, func(t *testing.T) {
			c := loadCapture(t, tt.name)
			cfg := Config{Login: "alice", Password: "wonderland-1", AllowPAP: true, Encryption: tt.policy}
			if tt.user != "" {
				cfg.Login, cfg.Password = tt.user, tt.password
			}
			random := &fixedRandom{}
			cfg.Random = random
			recordedCCP := c.recordedClient(t, random)
			r := newReplay(t, cfg)
			toUs, fromUs, cameUp := r.replayCapture(tt, c, recordedCCP)
			noSecrets(t, r.log, cfg.Password, random.challenge)
			if tt.cause != "" {
				if got := r.endCause(); got != tt.cause {
					t.Fatalf("ended with %q, want %s", got, tt.cause)
				}
				return
			}
			if !cameUp || r.link.ended {
				t.Fatalf("not up: phase %d, %s, steps %v", r.link.phase, r.endCause(), r.steps)
			}
			if tt.encryption == "none" { // recorded at two places, in two orders
				for _, want := range c.plainToUs {
					if !slices.ContainsFunc(toUs, func(got []byte) bool { return bytes.Equal(got, want) }) {
						t.Errorf("did not receive %x", want[:min(len(want), 40)])
					}
				}
				return
			}
			comparePackets(t, toUs, c.plainToUs)
			if tt.name != "mppe128-stateful-loss" && r.enc != nil {
				compareSealed(t, r.enc, c.plainFromUs, fromUs)
			}
		})
	}
}

// recordedClient sets random to the recorded client's challenge and returns the MPPE bits
// that this client requested.
func (c *capture) recordedClient(t *testing.T, random *fixedRandom) (ccp uint32) {
	t.Helper()
	for _, f := range c.frames {
		if f.fromServer {
			continue
		}
		switch p := f.parsePacket; {
		case f.proto == ppp.CHAP && p(t).Code == ppp.CHAPResponse && len(f.body) > 5+49:
			random.challenge = f.body[5:21]
		case f.proto == ppp.CCP && p(t).Code == ppp.ConfigureRequest:
			ccp = uint32(ppp.OfferedMPPE(p(t).Data))
		}
	}
	return ccp
}

// replayCapture feeds the frames of a recording to the link. It returns the IP packets of the
// server, the encrypted ones of the recorded client, and whether the link came up.
func (r *replay) replayCapture(tt captureTest, c *capture, recordedCCP uint32) (toUs, fromUs [][]byte, cameUp bool) {
	r.t.Helper()
	for i, f := range c.frames {
		switch {
		case f.proto == ppp.MPPE && f.fromServer:
			if r.dec == nil {
				r.t.Fatalf("frame %d is encrypted, and we have no key", i)
			}
			dst := make([]byte, 2048)
			n, err := r.dec.Open(dst, f.body)
			if errors.Is(err, mppe.ErrLost) && tt.name == "mppe128-stateful-loss" {
				continue
			}
			if err != nil {
				r.t.Fatalf("frame %d: %v", i, err)
			}
			_, ip, err := ppp.ParseFrame(dst[:n])
			if err != nil {
				r.t.Fatal(err)
			}
			toUs = append(toUs, ip)
		case f.proto == ppp.MPPE:
			fromUs = append(fromUs, f.body)
		case f.proto == ppp.IPv4 && f.fromServer:
			toUs = append(toUs, f.body)
		case f.fromServer:
			r.serveFrame(f, recordedCCP)
		}
		if r.link.phase == phaseUp && !cameUp {
			cameUp = true
			if got := r.link.encryptionName(); got != tt.encryption || r.link.lcpo.PeerAuth.String() != tt.auth {
				r.t.Errorf("got %s with %s, want %s with %s", r.link.lcpo.PeerAuth, got, tt.auth, tt.encryption)
			}
		}
	}
	return toUs, fromUs, cameUp
}

// pppd hangs up if CCP is negotiated again after it was agreed on, so a lost
// Configure-Ack must not cause another request.
func TestLinkSurvivesLostAckOfPPPD(t *testing.T) {
	c := loadCapture(t, "mppe128")
	random := &fixedRandom{}
	for _, f := range c.frames {
		if !f.fromServer && f.proto == ppp.CHAP {
			random.challenge = f.body[5:21]
		}
	}
	r := newReplay(t, Config{Login: "alice", Password: "wonderland-1", Random: random})
	lost := false
	for _, f := range c.frames {
		if !f.fromServer || f.proto == ppp.MPPE {
			continue
		}
		if f.proto == ppp.CCP && f.parsePacket(t).Code == ppp.ConfigureAck {
			lost = true
			continue
		}
		r.serveFrame(f, 0)
		if f.proto == ppp.IPCP && r.link.phase == phaseEncryption {
			asked := r.asked[ppp.CCP].ID
			r.now = r.now.Add(time.Second)
			r.link.tick(r.now)
			if r.asked[ppp.CCP].ID != asked {
				t.Error("MPPE was asked for again")
			}
		}
		if r.link.phase == phaseUp {
			break
		}
	}
	if !lost || r.link.phase != phaseUp || r.link.encryptionName() != "MPPE-128 stateless" {
		t.Errorf("phase %d, %s, %s", r.link.phase, r.link.encryptionName(), r.endCause())
	}
}

// noSecrets checks that a transcript contains no secrets.
func noSecrets(t *testing.T, log []Event, password string, challenge []byte) {
	t.Helper()
	if len(log) < 5 {
		t.Errorf("only %d events", len(log))
	}
	text := fmt.Sprintf("%+v", log)
	for _, secret := range []string{password, string(challenge), fmt.Sprintf("%x", challenge), "S=", "C="} {
		if secret != "" && strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
			t.Errorf("the transcript has %q: %s", secret, text)
		}
	}
}

// comparePackets compares with the packets that the recorded client's kernel received.
func comparePackets(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(want) == 0 {
		return // this recording has no plain packets
	}
	for len(got) > len(want) { // the plain recording started later or ended earlier
		if bytes.Equal(got[0], want[0]) {
			got = got[:len(want)]
			break
		}
		got = got[1:]
	}
	if len(got) != len(want) {
		t.Fatalf("%d packets, recorded %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("packet %d: %x, recorded %x", i, got[i][:min(len(got[i]), 40)], want[i][:min(len(want[i]), 40)])
		}
	}
}

// compareSealed checks that our encryptor produces exactly the bytes of the recorded
// client's kernel.
func compareSealed(t *testing.T, e *mppe.Encryptor, plain, recorded [][]byte) {
	t.Helper()
	if len(plain) != len(recorded) {
		return // packets were sent before the plain recording began
	}
	for i, ip := range plain {
		f := append([]byte{0, 0, 0, 0x21}, ip...)
		e.Seal(f)
		if !bytes.Equal(f, recorded[i]) {
			t.Fatalf("sealed packet %d: %x, recorded %x", i, f[:min(len(f), 40)], recorded[i][:min(len(recorded[i]), 40)])
		}
	}
}

// The recorded control connection answers ours up to the call.
func TestCapturedControlConnection(t *testing.T) {
	for _, name := range []string{"mppe128", "mppe128-control-echo", "pap"} {
		c := loadCapture(t, name)
		ours, theirs := net.Pipe()
		done := make(chan error, 1)
		go func() {
			defer theirs.Close()
			sent := control.NewReader(theirs)
			for _, m := range c.control {
				if m.fromServer {
					if _, err := theirs.Write(m.data); err != nil {
						done <- err
						return
					}
				} else if _, err := sent.Next(); err != nil {
					done <- fmt.Errorf("for %x: %w", m.data[:min(10, len(m.data))], err)
					return
				}
				if m.fromServer && m.data[9] == byte(control.TypeOCRP) {
					done <- nil
					return
				}
			}
			done <- errors.New("no call in the capture")
		}()
		conn := control.NewConn(ours, control.Config{})
		reply, err := conn.Start(t.Context())
		if err != nil || reply.Vendor != "linux" {
			t.Fatal(reply, err)
		}
		ocrp, err := conn.Call(t.Context(), 1, 1)
		if err != nil || ocrp.Result != control.CallConnected {
			t.Fatal(ocrp, err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		conn.Close()
	}
}

// No input makes a link panic or send without end.
func FuzzLink(f *testing.F) {
	f.Add(uint16(ppp.LCP), []byte{1, 1, 0, 9, 3, 5, 0xc2, 0x23, 0x81}, uint64(1))
	f.Add(uint16(ppp.CHAP), []byte{1, 1, 0, 5, 0}, uint64(2))
	f.Add(uint16(ppp.CCP), []byte{1, 1, 0, 4}, uint64(3))
	f.Fuzz(func(t *testing.T, proto uint16, b []byte, seed uint64) {
		c := loadCapture(t, []string{"mppe128", "pap", "mschapv1", "chap-md5"}[seed%4])
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := newReplay(t, Config{Login: "alice", Password: "wonderland-1", AllowPAP: true, Random: &fixedRandom{}})
		cut := rnd.IntN(len(c.frames) + 1)
		fed := 1
		for _, fr := range c.frames[:cut] {
			if fr.fromServer && fr.proto != ppp.MPPE && fr.proto != ppp.IPv4 {
				r.serveFrame(fr, 0)
				fed++
			}
		}
		before := r.sent
		for range 5 {
			r.link.input(r.now, ppp.Protocol(proto), b)
			r.now = r.now.Add(time.Duration(rnd.IntN(4000)) * time.Millisecond)
			r.link.tick(r.now)
		}
		if r.sent-before > 60 {
			t.Fatalf("%d packets for 5", r.sent-before)
		}
		if cause := r.endCause(); cause != "" && !strings.HasPrefix(cause, "auth.") && !slices.Contains(Causes(), cause) {
			t.Fatalf("told %s", cause)
		}
		if text := r.seen.peerText; strings.ContainsAny(text, "\x00\x1b\n") || len([]rune(text)) > 1300 {
			t.Fatalf("quoted %q", text)
		}
	})
}
