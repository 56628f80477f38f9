package lab_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// testClient is a client that sends exactly what a test wants.
type testClient struct {
	net.Conn
	*control.Reader
	call *gre.Call
	came chan packet
}

type packet struct {
	proto ppp.Protocol
	ppp.Packet
}

// Deliver implements gre.Handler.
func (c *testClient) Deliver(b *gre.Buffer) {
	defer b.Release()
	proto, body, err := ppp.ParseFrame(b.Data)
	if err != nil {
		return
	}
	if p, err := ppp.ParsePacket(body); err == nil {
		p.Data = bytes.Clone(p.Data)
		c.came <- packet{proto, p}
	}
}

// Flush implements gre.Handler.
func (*testClient) Flush() {}

// Unreachable implements gre.Handler.
func (*testClient) Unreachable(gre.Unreachable) {}

// placeCall places a call to a server.
func (r rig) placeCall(t *testing.T, n lab.Node) *testClient {
	t.Helper()
	nc, err := net.Dial("tcp4", n.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c := &testClient{Conn: nc, Reader: control.NewReader(nc), came: make(chan packet, 1024)}
	local := nc.LocalAddr().(*net.TCPAddr).AddrPort().Addr()
	if c.call, err = r.mux.Open(local, n.Addr.Addr(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.call.Close)
	c.sendMessage(t, control.SCCRQ{Version: control.Version})
	c.readMessage(t)
	c.sendMessage(t, control.OCRQ{CallID: c.call.ID()})
	reply, ok := c.readMessage(t).(control.OCRP)
	if !ok || reply.Result != control.CallConnected {
		t.Fatalf("the call is answered with %+v", reply)
	}
	c.call.SetPeerID(reply.CallID)
	return c
}

func (c *testClient) sendMessage(t *testing.T, m control.Message) {
	t.Helper()
	if _, err := c.Write(m.Append(nil)); err != nil {
		t.Fatal(err)
	}
}

func (c *testClient) readMessage(t *testing.T) control.Message {
	t.Helper()
	m, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (c *testClient) sendPacket(t *testing.T, proto ppp.Protocol, p ppp.Packet) {
	t.Helper()
	b := p.Append(ppp.AppendFrame(make([]byte, gre.Headroom), proto))
	if err := c.call.Send(b); err != nil {
		t.Fatal(err)
	}
}

// awaitPacket waits for a packet with one of the codes.
func (c *testClient) awaitPacket(t *testing.T, proto ppp.Protocol, codes ...ppp.Code) packet {
	t.Helper()
	for limit := time.After(10 * time.Second); ; {
		select {
		case p := <-c.came:
			if p.proto == proto && slices.Contains(codes, p.Code) {
				return p
			}
		case <-limit:
			t.Fatalf("no %v of %v came", codes, proto)
		}
	}
}

// A server that refuses without end answers as fast as it is asked: the client must end
// the negotiation.
func TestFaultyServersAnswerEachRequest(t *testing.T) {
	const many = 100
	request := ppp.Option{Type: 1, Value: []byte{5, 120}}.Append(ppp.Option{Type: 5, Value: []byte{1, 2, 3, 9}}.Append(nil))
	for behaviour, want := range map[string]ppp.Code{
		"nak:lcp":             ppp.ConfigureNak,
		"lcp:nak-mru":         ppp.ConfigureNak,
		"lcp:nak-mru-other":   ppp.ConfigureNak,
		"lcp:nak-magic":       ppp.ConfigureNak,
		"lcp:reject":          ppp.ConfigureReject,
		"lcp:code-reject":     ppp.CodeReject,
		"lcp:protocol-reject": ppp.ProtocolReject,
		"lcp:callback":        ppp.ConfigureAck,
		"lcp:demands":         ppp.ConfigureAck,
		"lcp:restless":        ppp.ConfigureAck,
	} {
		t.Run(behaviour, func(t *testing.T) {
			r, n := newOneRig(t, behaviour)
			c := r.placeCall(t, n)
			c.awaitPacket(t, ppp.LCP, ppp.ConfigureRequest) // the server receives our packets from then on
			values := make(map[string]bool)
			for i := range many {
				c.sendPacket(t, ppp.LCP, ppp.Packet{Code: ppp.ConfigureRequest, ID: byte(i), Data: request})
				p := c.awaitPacket(t, ppp.LCP, want)
				values[string(p.Data)] = true
			}
			if most := r.MaxPacketRate(n.Addr.Addr()); most < many/2 {
				t.Errorf("the server counted %d packets in a second, of %d", most, many)
			}
			if other := behaviour == "nak:lcp" || strings.HasSuffix(behaviour, "other"); other != (len(values) > many/3) && want == ppp.ConfigureNak {
				t.Errorf("%d values in %d answers", len(values), many)
			}
		})
	}
}

// The server repeats its own request as soon as it is refused or answered.
func TestFaultyServersRepeatOwnRequest(t *testing.T) {
	for behaviour, answer := range map[string]ppp.Code{
		"lcp:callback": ppp.ConfigureReject,
		"lcp:demands":  ppp.ConfigureNak,
		"lcp:restless": ppp.ConfigureAck,
	} {
		t.Run(behaviour, func(t *testing.T) {
			r, n := newOneRig(t, behaviour)
			c := r.placeCall(t, n)
			for range 50 {
				p := c.awaitPacket(t, ppp.LCP, ppp.ConfigureRequest)
				c.sendPacket(t, ppp.LCP, ppp.Packet{Code: answer, ID: p.ID, Data: p.Data})
			}
		})
	}
}

// The message with which a server ends a call reaches the client completely.
func TestEndingsOfACall(t *testing.T) {
	for behaviour, want := range map[string]control.Message{
		"ends-at:call:cdn:1":                        control.CDN{Result: control.DisconnectLostCarrier},
		"ends-at:call:cdn:2/4/34":                   control.CDN{Result: control.DisconnectGeneralError, General: control.ErrorNoResource, Cause: 34},
		"ends-at:call:cdn:3+ends-after:10ms":        control.CDN{Result: control.DisconnectAdminShutdown},
		"ends-at:call:cdn:4+latency:1ms":            control.CDN{Result: control.DisconnectRequested},
		"ends-at:call:stop:1":                       control.StopCCRQ{Reason: control.StopNone},
		"ends-at:call:stop:3+latency:5ms+auth:none": control.StopCCRQ{Reason: control.StopLocalShutdown},
	} {
		t.Run(behaviour, func(t *testing.T) {
			r, n := newOneRig(t, behaviour)
			c := r.placeCall(t, n)
			got := c.readMessage(t)
			if bye, ok := got.(control.CDN); ok {
				if bye.Statistics == "" {
					t.Error("no statistics")
				}
				bye.CallID, bye.Statistics = 0, ""
				got = bye
			}
			if got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			if len(c.came) > 0 {
				t.Error("a GRE packet came before")
			}
		})
	}
	for behaviour, want := range map[string]error{
		"ends-at:call:closed+ends-after:10ms": io.EOF,
		"ends-at:call:reset+ends-after:10ms":  syscall.ECONNRESET,
	} {
		r, n := newOneRig(t, behaviour)
		if m, err := r.placeCall(t, n).Next(); !errors.Is(err, want) {
			t.Errorf("%s: %v, %v, want %v", behaviour, m, err, want)
		}
	}
}

// A server that ends the link waits for the Terminate-Ack, and answers no further
// login.
func TestEndingsOfALink(t *testing.T) {
	r, n := newOneRig(t, "ends-at:login:terminate:Bye+auth:pap")
	c := r.placeCall(t, n)
	p := c.awaitPacket(t, ppp.LCP, ppp.ConfigureRequest)
	c.sendPacket(t, ppp.LCP, ppp.Packet{Code: ppp.ConfigureAck, ID: p.ID, Data: p.Data})
	c.sendPacket(t, ppp.LCP, ppp.Packet{Code: ppp.ConfigureRequest, ID: 1})
	c.awaitPacket(t, ppp.LCP, ppp.EchoRequest)
	login := ppp.Credentials{Name: n.Login, Password: n.Password}.Append(nil)
	c.sendPacket(t, ppp.PAP, ppp.Packet{Code: ppp.PAPRequest, ID: 1, Data: login})
	bye := c.awaitPacket(t, ppp.LCP, ppp.TerminateRequest)
	if string(bye.Data) != "Bye" {
		t.Errorf("the server says %q", bye.Data)
	}
	c.sendPacket(t, ppp.PAP, ppp.Packet{Code: ppp.PAPRequest, ID: 2, Data: login})
	c.sendPacket(t, ppp.LCP, ppp.Packet{Code: ppp.TerminateAck, ID: bye.ID})
	if m, err := c.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("then %v, %v", m, err)
	}
	for len(c.came) > 0 {
		if p := <-c.came; p.proto == ppp.PAP {
			t.Errorf("the login is answered with %v", p.Code)
		}
	}
}

// Before its delay is over, a server neither sends nor receives.
func TestLateServersAreSilentBefore(t *testing.T) {
	r, n := newOneRig(t, "begins:300ms")
	c := r.placeCall(t, n)
	c.sendPacket(t, ppp.LCP, ppp.Packet{Code: ppp.ConfigureRequest, ID: 77})
	if first := c.awaitPacket(t, ppp.LCP, ppp.ConfigureRequest, ppp.ConfigureAck); first.Code != ppp.ConfigureRequest {
		t.Errorf("it heard what came too early: %v", first)
	}
	c.sendPacket(t, ppp.LCP, ppp.Packet{Code: ppp.ConfigureRequest, ID: 78})
	if p := c.awaitPacket(t, ppp.LCP, ppp.ConfigureAck); p.ID != 78 {
		t.Errorf("it answers request %d", p.ID)
	}
}

// pppd's refusal offers a retry before it hangs up; accel-ppp's does not.
func TestRefusalsOfVendors(t *testing.T) {
	for behaviour, retry := range map[string]string{
		"vendor:pptpd+login-refused":     "E=691 R=1 ",
		"vendor:accel-ppp+login-refused": "E=691 R=0 ",
	} {
		r, n := newOneRig(t, behaviour)
		c := r.placeCall(t, n)
		p := c.awaitPacket(t, ppp.LCP, ppp.ConfigureRequest)
		c.sendPacket(t, ppp.LCP, ppp.Packet{Code: ppp.ConfigureAck, ID: p.ID, Data: p.Data})
		c.sendPacket(t, ppp.LCP, ppp.Packet{Code: ppp.ConfigureRequest, ID: 1})
		ask := c.awaitPacket(t, ppp.CHAP, ppp.CHAPChallenge)
		answer := ppp.Value{Value: ppp.MSResponse{}.Append(nil), Name: n.Login}
		c.sendPacket(t, ppp.CHAP, ppp.Packet{Code: ppp.CHAPResponse, ID: ask.ID, Data: answer.Append(nil)})
		no := <-c.came
		for no.proto != ppp.CHAP {
			no = <-c.came
		}
		if no.Code != ppp.CHAPFailure || !strings.HasPrefix(string(no.Data), retry) {
			t.Errorf("%s: %v %q", behaviour, no.Code, no.Data)
		}
		if bye := <-c.came; bye.proto != ppp.LCP || bye.Code != ppp.TerminateRequest || string(bye.Data) != "Authentication failed" {
			t.Errorf("%s: then %v %v %q", behaviour, bye.proto, bye.Code, bye.Data)
		}
	}
}

// offeredAuth returns the login that an LCP Configure-Request asks for.
func offeredAuth(t *testing.T, p packet) string {
	t.Helper()
	list, err := ppp.ParseOptions(p.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list {
		if o.Type == 3 {
			return string(o.Value)
		}
	}
	return ""
}

// The login that a server requests next if the client wants MS-CHAPv2.
func TestOffers(t *testing.T) {
	const papOption, md5, v1, v2 = "\xc0\x23", "\xc2\x23\x05", "\xc2\x23\x80", "\xc2\x23\x81"
	for behaviour, want := range map[string][]string{
		"offers:pap/chap-md5/mschapv1/mschapv2":               {papOption, v2},
		"offers:pap/chap-md5/mschapv1/mschapv2+in-order":      {papOption, md5, v1, v2},
		"offers:pap/chap-md5":                                 {papOption, md5},
		"offers:chap-md5/pap+vendor:pptpd":                    {md5, papOption, ""},
		"auth:chap-md5+vendor:pptpd":                          {md5, ""},
		"auth:chap-md5+vendor:mikrotik":                       {md5, md5, md5},
		"auth:chap-md5+vendor:accel-ppp+declined:terminate":   {md5, ""},
		"offers:eap/mschapv2+vendor:pptpd+declined:terminate": {"\xc2\x27", v2},
	} {
		t.Run(behaviour, func(t *testing.T) {
			r, n := newOneRig(t, behaviour)
			c := r.placeCall(t, n)
			for i, login := range want {
				p := c.awaitPacket(t, ppp.LCP, ppp.ConfigureRequest)
				if got := offeredAuth(t, p); got != login {
					t.Fatalf("request %d asks for % x, want % x", i, got, login)
				}
				c.sendPacket(t, ppp.LCP, ppp.Packet{Code: ppp.ConfigureNak, ID: p.ID, Data: ppp.Option{Type: 3, Value: []byte(v2)}.Append(nil)})
			}
		})
	}
}

// Each server accepts the forms of a password outside ASCII that its spec names.
func TestPasswordForms(t *testing.T) {
	for behaviour, widened := range map[string]bool{"password:utf16": false, "password:widened": true, "password:widened+auth:mschapv1": true} {
		r, n := newOneRig(t, behaviour)
		second := pptp.SecondCall("")
		cfg := r.dialConfig(n, lab.Policy{})
		cfg.OnSecondCall = func(why pptp.SecondCall) { second = why }
		s, err := pptp.Dial(t.Context(), cfg)
		if err != nil {
			t.Errorf("%s: %v", behaviour, err)
			continue
		}
		s.Close()
		if (second == pptp.SecondPassword) != widened {
			t.Errorf("%s: second call %q", behaviour, second)
		}
	}
}

// Loss in one direction does not affect the other.
func TestLossInOneDirection(t *testing.T) {
	for behaviour, down := range map[string]bool{"loss-down:45+auth:none": true, "loss-up:45+auth:none": false} {
		r, n := newOneRig(t, behaviour)
		c := r.placeCall(t, n)
		c.awaitPacket(t, ppp.LCP, ppp.ConfigureRequest)
		for i := range 100 { // each answer is a Code-Reject or lost
			c.sendPacket(t, ppp.LCP, ppp.Packet{Code: 200, ID: byte(i)})
		}
		c.awaitPacket(t, ppp.LCP, ppp.CodeReject)
		if !down {
			if lost := c.call.Stats().Lost; lost > 0 {
				t.Errorf("%s: %d packets of the server are lost, want none", behaviour, lost)
			}
			continue
		}
		late := time.After(10 * time.Second)
		for c.call.Stats().Lost == 0 { // a gap counts when later packets arrive
			select {
			case <-late:
				t.Fatalf("%s: no packet of the server is lost, want some of 100", behaviour)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}
