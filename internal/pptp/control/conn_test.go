package control

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// server is the far end of a pipe, which a test drives step by step.
type server struct {
	t testing.TB
	net.Conn
	r *Reader
}

func (s *server) wantMessage(want Message) {
	s.t.Helper()
	if m, err := s.r.Next(); err != nil || !reflect.DeepEqual(m, want) {
		s.t.Errorf("the server got %+v, %v, want %+v", m, err, want)
	}
}

func (s *server) wantType(want Type) {
	s.t.Helper()
	if m, err := s.r.Next(); err != nil || m.Type() != want {
		s.t.Errorf("the server got %+v, %v, want %v", m, err, want)
	}
}

func (s *server) sendMessage(m ...Message) {
	s.t.Helper()
	for _, m := range m {
		if _, err := s.Write(m.Append(nil)); err != nil {
			s.t.Errorf("the server sends %v: %v", m.Type(), err)
		}
	}
}

var (
	accepted  = SCCRP{Version: Version, Result: StartOK, Host: "local", Vendor: "linux", Firmware: 1}
	connected = OCRP{CallID: 0x80, PeerCallID: 0x1234, Result: CallConnected, Window: 64}
)

// serveConn runs client against script, each at one end of a pipe, in a synctest
// bubble.
func serveConn(t *testing.T, cfg Config, script func(s *server), client func(t *testing.T, c *Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := NewConn(near, cfg)
		var wg sync.WaitGroup
		wg.Go(func() {
			defer far.Close()
			script(&server{t: t, Conn: far, r: NewReader(far)})
		})
		client(t, c)
		c.Close()
		wg.Wait()
	})
}

func TestSession(t *testing.T) {
	var sent, received []Type
	cfg := Config{OnMessage: func(out bool, m Message) {
		if out {
			sent = append(sent, m.Type())
		} else {
			received = append(received, m.Type())
		}
	}}
	serveConn(t, cfg, func(s *server) {
		s.wantMessage(SCCRQ{Version: Version, Framing: 3, Bearer: 3, Firmware: 1, Host: "connexa", Vendor: "Connexa"})
		s.sendMessage(accepted)
		s.wantMessage(OCRQ{CallID: 0x1234, Serial: 9, MinBPS: 300, MaxBPS: 100_000_000, Bearer: 3, Framing: 3, Window: 64})
		// Messages between a request and its reply are answered or ignored.
		s.sendMessage(Unknown{Class: 1, Control: 77, Body: []byte("x")}, EchoRequest{ID: 5})
		s.wantMessage(EchoReply{ID: 5, Result: ReplyOK})
		s.sendMessage(ICRQ{CallID: 3})
		s.wantMessage(ICRP{PeerCallID: 3, Result: IncomingNotAccepted})
		s.sendMessage(connected)
		s.wantMessage(SLI{PeerCallID: 0x80, SendACCM: NoMap, ReceiveACCM: NoMap})
		s.wantMessage(CallClear{CallID: 0x1234})
		s.sendMessage(WEN{}, CDN{CallID: 0x80, Result: DisconnectRequested})
		s.wantMessage(StopCCRQ{Reason: StopNone})
		s.sendMessage(StopCCRP{Result: ReplyOK})
	}, func(t *testing.T, c *Conn) {
		reply, err := c.Start(t.Context())
		if err != nil || reply.Server() != (Server{Vendor: "linux", Host: "local", Firmware: 1}) {
			t.Fatalf("Start = %+v, %v", reply, err)
		}
		if reply, err := c.Call(t.Context(), 0x1234, 9); err != nil || reply != connected {
			t.Fatalf("Call = %+v, %v", reply, err)
		}
		if err := c.SetLinkInfo(t.Context(), 0x80); err != nil {
			t.Error(err)
		}
		if err := c.Hangup(t.Context(), 0x1234); err != nil {
			t.Error(err)
		}
	})
	if len(sent) != 7 || len(received) != 8 {
		t.Errorf("traced %v and %v", sent, received)
	}
}

// startConn acts as a server up to its reply to the start.
func startConn(s *server, reply SCCRP) {
	s.wantType(TypeSCCRQ)
	s.sendMessage(reply)
}

func TestStart(t *testing.T) {
	half := accepted.Append(nil)[:100]
	for name, tt := range map[string]struct {
		script func(s *server)
		code   string // of the error, empty for none
		first  string
	}{
		"accepted":       {func(s *server) { startConn(s, accepted) }, "", ""},
		"result 0":       {func(s *server) { startConn(s, SCCRP{Version: Version, Result: StartZero}) }, "", ""},
		"exists already": {func(s *server) { startConn(s, SCCRP{Version: Version, Result: StartAlreadyExists}) }, "", ""},
		"no version":     {func(s *server) { startConn(s, SCCRP{Result: StartOK}) }, "", ""},
		"general error": {
			func(s *server) { startConn(s, SCCRP{Result: StartGeneralError, General: ErrorNoResource}) }, "control.rejected", "",
		},
		"not authorised": {func(s *server) { startConn(s, SCCRP{Result: StartNotAuthorised}) }, "control.rejected", ""},
		"version":        {func(s *server) { startConn(s, SCCRP{Result: StartVersion}) }, "control.version", ""},
		"version 2.0":    {func(s *server) { startConn(s, SCCRP{Version: 0x0200, Result: StartOK}) }, "control.version", ""},
		"result 77":      {func(s *server) { startConn(s, SCCRP{Result: 77}) }, "control.rejected", ""},
		"closed":         {func(s *server) { s.wantType(TypeSCCRQ) }, "control.closed", ""},
		"silent":         {func(s *server) { io.Copy(io.Discard, s) }, "control.timeout", ""},
		"half, closed":   {func(s *server) { s.wantType(TypeSCCRQ); s.Write(half) }, "control.half", string(half[:16])},
		"half, silent":   {func(s *server) { s.wantType(TypeSCCRQ); s.Write(half); io.Copy(io.Discard, s) }, "control.half", string(half[:16])},
		"drip": {func(s *server) {
			s.wantType(TypeSCCRQ)
			for _, b := range accepted.Append(nil) {
				if _, err := s.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(1500 * time.Millisecond)
			}
		}, "control.half", string(half[:4])},
		"garbage": {func(s *server) { s.wantType(TypeSCCRQ); s.Write([]byte("HTTP/1.1 400 Bad Request\r\n")) }, "control.not_pptp", "HTTP/1.1 400 Bad"},
		"word":    {func(s *server) { s.wantType(TypeSCCRQ); s.Write([]byte("hi\r\n")) }, "control.not_pptp", "hi\r\n"},
		"malformed": {func(s *server) {
			s.wantType(TypeSCCRQ)
			s.Write([]byte("\x00\x0c\x00\x01\x1a\x2b\x3c\x4d\x00\x02\x00\x00"))
		}, "control.malformed", ""},
		"stopped": {func(s *server) {
			s.wantType(TypeSCCRQ)
			s.sendMessage(StopCCRQ{Reason: StopLocalShutdown})
			s.wantType(TypeStopCCRP)
		}, "control.stopped", ""},
		"unrelated":  {func(s *server) { s.wantType(TypeSCCRQ); s.sendMessage(EchoReply{}, OCRP{}); io.Copy(io.Discard, s) }, "control.timeout", ""},
		"hears none": {func(s *server) { time.Sleep(time.Hour) }, "control.timeout", ""},
	} {
		t.Run(name, func(t *testing.T) {
			serveConn(t, Config{}, tt.script, func(t *testing.T, c *Conn) {
				_, err := c.Start(t.Context())
				if CodeOf(err) != tt.code || (err == nil) != (tt.code == "") {
					t.Fatalf("Start: %v, code %q, want %q", err, CodeOf(err), tt.code)
				}
				var e *Error
				if errors.As(err, &e) && string(e.First) != tt.first {
					t.Errorf("first bytes %q, want %q", e.First, tt.first)
				}
			})
		})
	}
}

func TestStartKeepsToTheDeadline(t *testing.T) {
	serveConn(t, Config{}, func(s *server) { io.Copy(io.Discard, s) }, func(t *testing.T, c *Conn) {
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := c.Start(ctx); CodeOf(err) != "control.timeout" || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Start: %v", err)
		}
		if d := time.Since(began); d != 8*time.Second { // the bubble's clock is exact
			t.Errorf("Start took %v", d)
		}
	})
}

// A cancelled context is not a fact about the server.
func TestCancelledStartIsNoFact(t *testing.T) {
	serveConn(t, Config{}, func(s *server) { io.Copy(io.Discard, s) }, func(t *testing.T, c *Conn) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := c.Start(ctx); !errors.Is(err, context.Canceled) || CodeOf(err) != "" {
			t.Errorf("Start: %v", err)
		}
		if _, err := c.Start(ctx); !errors.Is(err, context.Canceled) || CodeOf(err) != "" {
			t.Errorf("Start again: %v", err)
		}
		time.AfterFunc(time.Second, func() { c.Close() })
		if _, err := c.Start(t.Context()); err == nil || CodeOf(err) != "" {
			t.Errorf("Start on a connection that we close: %v", err)
		}
	})
}

func TestCall(t *testing.T) {
	for name, tt := range map[string]struct {
		script func(s *server)
		code   string
	}{
		"connected": {func(s *server) { s.sendMessage(connected) }, ""},
		"swapped":   {func(s *server) { s.sendMessage(OCRP{Result: CallConnected, PeerCallID: 0x3412}) }, ""},
		"busy":      {func(s *server) { s.sendMessage(OCRP{Result: CallBusy}) }, "call.busy"},
		"no modem":  {func(s *server) { s.sendMessage(OCRP{Result: CallGeneralError, General: ErrorNoResource}) }, "call.rejected"},
		"dropped":   {func(s *server) { s.sendMessage(CDN{Result: DisconnectLostCarrier}) }, "call.disconnected"},
		"closed":    {func(s *server) {}, "call.closed"},
		"silent":    {func(s *server) { io.Copy(io.Discard, s) }, "call.timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			serveConn(t, Config{}, func(s *server) {
				startConn(s, accepted)
				s.wantType(TypeOCRQ)
				tt.script(s)
			}, func(t *testing.T, c *Conn) {
				if _, err := c.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Call(t.Context(), 0x1234, 1); CodeOf(err) != tt.code || (err == nil) != (tt.code == "") {
					t.Errorf("Call: %v, code %q, want %q", err, CodeOf(err), tt.code)
				}
			})
		})
	}
}

// A server that answers "connected already" accepts no call.
func TestCallNeedsAStart(t *testing.T) {
	serveConn(t, Config{}, func(s *server) {
		startConn(s, SCCRP{Version: Version, Result: StartAlreadyExists})
		s.wantType(TypeStopCCRQ)
	}, func(t *testing.T, c *Conn) {
		if _, err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := c.Call(t.Context(), 1, 1)
		var no *Refused
		if !errors.As(err, &no) || no.Result != StartAlreadyExists || no.Code() != "control.rejected" {
			t.Errorf("Call: %v", err)
		}
		if err := c.Stop(t.Context()); err != nil { // the end of the connection is as good as a reply
			t.Errorf("Stop: %v", err)
		}
	})
}

func TestRun(t *testing.T) {
	for name, tt := range map[string]struct {
		script func(s *server)
		after  time.Duration
		code   string
	}{
		"dies": {func(s *server) {
			s.wantMessage(EchoRequest{ID: 1})
			io.Copy(io.Discard, s)
		}, 2 * time.Minute, "session.timeout"},
		"lives": {func(s *server) {
			for id := uint32(1); id <= 3; id++ {
				s.wantMessage(EchoRequest{ID: id})
				s.sendMessage(EchoReply{ID: id, Result: ReplyOK})
			}
		}, 3 * time.Minute, "session.closed"},
		"asks itself": {func(s *server) {
			for id := uint32(1); id <= 5; id++ {
				time.Sleep(59 * time.Second)
				s.sendMessage(EchoRequest{ID: id})
				s.wantMessage(EchoReply{ID: id, Result: ReplyOK})
			}
		}, 5 * 59 * time.Second, "session.closed"},
		"hangs up": {func(s *server) {
			s.sendMessage(WEN{}, SLI{}, CDN{Result: DisconnectAdminShutdown})
		}, 0, "session.disconnected"},
		"stops": {func(s *server) {
			s.sendMessage(StopCCRQ{Reason: StopNone})
			s.wantMessage(StopCCRP{Result: ReplyOK})
		}, 0, "session.stopped"},
		"half": {func(s *server) { s.Write(CDN{}.Append(nil)[:20]) }, 0, "session.half"},
		"half, then silent": {func(s *server) {
			s.Write(CDN{}.Append(nil)[:20])
			s.wantType(TypeEchoRequest)
			io.Copy(io.Discard, s)
		}, 2 * time.Minute, "session.half"},
		"half, then the rest": {func(s *server) {
			wire := CDN{}.Append(nil)
			s.Write(wire[:20])
			s.wantType(TypeEchoRequest)
			s.Write(wire[20:])
		}, time.Minute, "session.disconnected"},
	} {
		t.Run(name, func(t *testing.T) {
			serveConn(t, Config{}, tt.script, func(t *testing.T, c *Conn) {
				began := time.Now()
				if err := c.Run(t.Context()); CodeOf(err) != tt.code {
					t.Errorf("Run: %v, code %q, want %q", err, CodeOf(err), tt.code)
				}
				if d := time.Since(began); d != tt.after { // the bubble's clock is exact
					t.Errorf("Run took %v, want %v", d, tt.after)
				}
			})
		})
	}
}

// Run releases the connection when its context ends, even in the middle of a
// message.
func TestRunEndsAndHangupFollows(t *testing.T) {
	wire := CDN{Result: DisconnectRequested}.Append(nil)
	serveConn(t, Config{}, func(s *server) {
		s.Write(wire[:30])
		s.wantType(TypeCallClear)
		s.Write(wire[30:])
		s.wantType(TypeStopCCRQ)
		s.sendMessage(StopCCRP{Result: ReplyOK})
	}, func(t *testing.T, c *Conn) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run: %v", err)
		}
		if err := c.Hangup(t.Context(), 1); err != nil {
			t.Errorf("Hangup: %v", err)
		}
	})
}

func TestHangupIsBounded(t *testing.T) {
	serveConn(t, Config{}, func(s *server) { io.Copy(io.Discard, s) }, func(t *testing.T, c *Conn) {
		began := time.Now()
		if err := c.Hangup(t.Context(), 1); CodeOf(err) != "stop.timeout" {
			t.Errorf("Hangup: %v", err)
		}
		if d := time.Since(began); d != 2*StopTimeout {
			t.Errorf("Hangup took %v", d)
		}
	})
}

// Two readers never share the stream: the second waits until its context
// ends.
func TestReadersWaitForOneAnother(t *testing.T) {
	serveConn(t, Config{}, func(s *server) { io.Copy(io.Discard, s) }, func(t *testing.T, c *Conn) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := c.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Run: %v", err)
			}
		})
		synctest.Wait()
		if err := c.Stop(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop during Run: %v", err)
		}
		cancel()
		wg.Wait()
	})
}

// Only a real socket reports a reset. The result does not depend on whether the write or
// the read reports it first.
func TestReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var wg sync.WaitGroup
	dialed := make(chan bool)
	wg.Go(func() {
		for range dialed {
			nc, err := l.Accept()
			if err != nil {
				t.Error(err)
				continue
			}
			nc.(*net.TCPConn).SetLinger(0)
			nc.Close()
		}
	})
	for range 50 {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		dialed <- true // an earlier reset would fail the dial
		c := NewConn(nc, Config{})
		if _, err := c.Start(t.Context()); CodeOf(err) != "control.reset" {
			t.Errorf("Start: %v", err)
		}
		c.Close()
	}
	close(dialed)
	wg.Wait()
}

func TestErrorsReadWell(t *testing.T) {
	for want, err := range map[string]error{
		"control: this is no PPTP server, it sent \"SSH-2.0\"":                &Error{Step: StepStart, Failure: FailureNotPPTP, First: []byte("SSH-2.0")},
		"session: the server ended the control connection, no special reason": &Error{Step: StepSession, Failure: FailureStopped, Reason: StopNone},
		"control: refused: general error, the server has no resources left":   &Refused{Step: StepStart, Result: StartGeneralError, General: ErrorNoResource},
		"call: refused: busy, cause 17: user busy":                            &Refused{Step: StepCall, Result: CallBusy, Cause: 17},
		"session: the server ended the call: general error, the call id is invalid here": &Disconnected{
			Step: StepSession, Notify: CDN{Result: DisconnectGeneralError, General: ErrorBadCallID},
		},
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err.Error(), want)
		}
	}
	if c := CodeOf(io.EOF); c != "" {
		t.Errorf("CodeOf(EOF) = %q", c)
	}
}

// A machine that keeps the connection without reading still acknowledges what we
// send; an unreachable one does not. The two have different causes.
func TestUnacknowledgedRequestHasOwnFailure(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := NewConn(nc, Config{})
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := c.Start(ctx); CodeOf(err) != "control.timeout" {
		t.Errorf("a server that reads nothing: %v", err)
	}
}
