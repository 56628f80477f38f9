package lab

import (
	"context"
	"encoding/binary"
	"io"
	"math/bits"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// idleTimeout is how long a server waits for the next message. A client sends an
// Echo-Request every minute, so three minutes are enough.
const idleTimeout = 3 * time.Minute

// clientConn is a connection to a client, with or without a delay.
type clientConn interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
	closeWrite() // ends the sending direction
	abort()      // closes it with a reset
}

// connection is one connection to one server.
type connection struct {
	clientConn
	conn      *conn
	fleet     *Fleet
	nodeIndex int // of the node
	node      *Node
	visit     uint64 // 1 for the node's first connection
	session   *session
	r         control.Reader
	out       []byte
}

// connections are reused: their buffers are most of what a connection would
// allocate.
var connections = sync.Pool{New: func() any { return new(connection) }}

// serveConn runs the behaviour of node i on c.
func (f *Fleet) serveConn(ctx context.Context, i int, c *conn) {
	if !f.trackConn(c) {
		c.Close()
		return
	}
	defer f.untrackConn(c)
	t := connections.Get().(*connection)
	defer connections.Put(t)
	t.clientConn, t.conn, t.fleet, t.nodeIndex, t.node, t.visit = c, c, f, i, &f.nodes[i], f.visits[i].Add(1)
	if late := t.node.Behaviour.Session.Latency; late > 0 {
		slow := startSlowConn(c, late)
		defer slow.wait()
		defer slow.Close()
		t.clientConn = slow
	}
	t.r.Reset(t.clientConn)
	t.runBehaviour(ctx)
	t.endSession()
	t.clientConn, t.conn, t.fleet, t.node = nil, nil, nil, nil
	t.r.Reset(nil)
}

func (t *connection) runBehaviour(ctx context.Context) {
	if t.visit > 1 && t.node.Behaviour.Session.Second != "" {
		t.runSecond(t.node.Behaviour.Session.Second)
		return
	}
	switch b := t.node.Behaviour; b.Kind {
	case Slow:
		t.servePPTP(ctx, b.Delay, control.StartOK)
	case Lossy:
		if t.visit%uint64(b.Every) != 0 {
			t.drainConn()
			return
		}
		t.servePPTP(ctx, 0, control.StartOK)
	case Denied:
		t.servePPTP(ctx, 0, b.Result)
	case Silent:
		t.drainConn()
	case Garbage:
		if t.readMessage() != nil {
			t.writeBytes(t.garbageBytes())
			t.drainConn()
		}
	case Half:
		if reply := t.awaitStart(); reply != nil {
			t.writeBytes(reply[:len(reply)/2])
			t.drainConn()
		}
	case Reset, Close:
		t.breakOff(ctx, b)
	case Drip:
		t.dripReply(ctx, t.awaitStart())
	case SSH:
		t.writeBytes([]byte("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"))
		t.drainConn()
	default: // Good; a client cannot connect to Refuse
		t.servePPTP(ctx, 0, control.StartOK)
	}
}

// runSecond serves a connection after a server's first.
func (t *connection) runSecond(s Second) {
	if s == SecondSilent {
		t.drainConn()
		return
	}
	if t.readMessage() != nil && s == SecondReset {
		t.abort()
	}
}

// breakOff ends a connection without a complete answer.
func (t *connection) breakOff(ctx context.Context, b Behaviour) {
	switch {
	case b.When == AtAccept && b.Kind == Close:
		t.closeGracefully()
	case b.When == AtAccept && !sleepContext(ctx, resetDelay):
	case b.When == Unread && !t.conn.awaitData():
	case b.When == Request && t.readMessage() == nil:
	case b.When == "":
		if reply := t.awaitStart(); reply != nil {
			t.writeBytes(reply[:len(reply)/2])
			t.abort()
		}
	case b.Kind == Reset:
		t.abort()
	}
}

// closeGracefully closes the connection after the client has closed it. Data that the
// client still sends would otherwise cause a reset.
func (t *connection) closeGracefully() {
	t.closeWrite()
	t.drainConn()
}

// resetDelay is how long a server waits before it resets a new connection: the client
// must first see that it is established.
const resetDelay = 20 * time.Millisecond

// servePPTP behaves as a correct server, with a delay before each answer and the given
// result of the start.
func (t *connection) servePPTP(ctx context.Context, delay time.Duration, result control.StartResult) {
	delay += t.node.Behaviour.Session.Reply
	for {
		m := t.readMessage()
		if m == nil || !sleepContext(ctx, delay) {
			return
		}
		if _, echo := m.(control.EchoRequest); echo && t.node.Behaviour.Session.controlEchoMuted() {
			continue
		}
		var answer control.Message
		switch m := m.(type) {
		case control.SCCRQ:
			answer = t.startReply(result)
		case control.EchoRequest:
			answer = control.EchoReply{ID: m.ID, Result: control.ReplyOK}
		case control.OCRQ:
			if answer = t.answerCall(m, result); answer == nil {
				continue
			}
		case control.CallClear:
			answer = t.clearCall(m)
		case control.StopCCRQ:
			answer = control.StopCCRP{Result: control.ReplyOK}
		default:
			continue // Set-Link-Info, and messages that only servers send
		}
		t.out = answer.Append(t.out[:0])
		if !t.writeBytes(t.out) || m.Type() == control.TypeStopCCRQ {
			return
		}
		if !result.Answers() {
			t.drainConn() // the client must close the connection now, RFC 2637 section 2.2
			return
		}
		if m.Type() == control.TypeOCRQ && !t.startCall() {
			t.closeGracefully()
			return
		}
	}
}

// answerCall places a call, one at a time. It returns nil if no answer is sent.
func (t *connection) answerCall(m control.OCRQ, result control.StartResult) control.Message {
	no := func(r control.CallResult, e control.GeneralError) control.Message {
		return control.OCRP{PeerCallID: m.CallID, Result: r, General: e}
	}
	what := t.node.Behaviour.Session
	switch {
	case !result.Accepts(), t.session != nil:
		return no(control.CallGeneralError, control.ErrorNoResource)
	case what.Call == CallBusy:
		return no(control.CallBusy, control.ErrorNone)
	case what.Call == CallRefused:
		return no(control.CallNotAccepted, control.ErrorNone)
	case what.Call == CallSilent:
		return nil
	}
	yes := control.OCRP{
		PeerCallID: m.CallID,
		Result:     control.CallConnected,
		Speed:      m.MaxBPS,
		Window:     gre.Window,
	}
	if what.Call == CallDropped || what.GRE == GREICMP { // no socket for GRE
		yes.CallID = m.CallID
		return yes
	}
	s, err := t.fleet.openSession(t.nodeIndex, t.conn.peer, m.CallID, sessionControl{t.clientConn})
	if err != nil {
		return no(control.CallGeneralError, control.ErrorNoResource)
	}
	t.session = s
	yes.CallID = s.call.ID()
	return yes
}

// sessionControl is the control connection of a session.
type sessionControl struct{ clientConn }

func (d sessionControl) sendMessage(m control.Message) { _, _ = d.Write(m.Append(nil)) } // the client may have closed the connection
func (d sessionControl) close()                        { _ = d.Close() }

// controlEchoMuted reports whether the control connection answers no echoes.
func (s Session) controlEchoMuted() bool { return s.Echo == EchoLCP || s.Echo == EchoNone }

// startCall runs after an Outgoing-Call-Reply. It returns false if the connection must
// end.
func (t *connection) startCall() bool {
	if t.session != nil {
		t.session.startPPP()
	}
	return t.node.Behaviour.Session.Call != CallDropped
}

// clearCall ends the call. The call id in the notification varies: the RFC requires the
// server's, accel-ppp sends the client's.
func (t *connection) clearCall(m control.CallClear) control.Message {
	bye := control.CDN{CallID: m.CallID, Result: control.DisconnectRequested}
	if t.session != nil {
		bye.CallID = t.session.call.ID()
	}
	if t.node.Behaviour.Session.SwappedCDN {
		bye.CallID = bits.ReverseBytes16(m.CallID)
	}
	t.endSession()
	return bye
}

func (t *connection) endSession() {
	if t.session != nil {
		t.session.close()
		t.session = nil
	}
}

func (t *connection) startReply(result control.StartResult) control.SCCRP {
	reply := control.SCCRP{
		Version:     control.Version,
		Result:      result,
		MaxChannels: 1,
		Firmware:    t.node.Server.Firmware,
		Host:        t.node.Server.Host,
		Vendor:      t.node.Server.Vendor,
	}
	switch result {
	case control.StartGeneralError:
		reply.General = control.ErrorNoResource
	case control.StartVersion:
		reply.Version = 0x0200
	}
	return reply
}

// readMessage waits for a message. It returns nil if the client closed the connection,
// sent another protocol, or was silent for idleTimeout.
func (t *connection) readMessage() control.Message {
	_ = t.SetDeadline(time.Now().Add(idleTimeout))
	m, err := t.r.Next()
	if err != nil {
		return nil
	}
	return m
}

// awaitStart waits for the start request and returns the complete answer, or nil.
func (t *connection) awaitStart() []byte {
	if _, ok := t.readMessage().(control.SCCRQ); !ok {
		return nil
	}
	t.out = t.startReply(control.StartOK).Append(t.out[:0])
	return t.out
}

// drainConn reads until the client closes the connection or is silent for idleTimeout.
func (t *connection) drainConn() {
	_ = t.SetDeadline(time.Now().Add(idleTimeout))
	var sink [256]byte
	for {
		if _, err := t.Read(sink[:]); err != nil {
			return
		}
	}
}

func (t *connection) writeBytes(b []byte) bool {
	_ = t.SetDeadline(time.Now().Add(idleTimeout))
	_, err := t.Write(b)
	return err == nil
}

func (t *connection) dripReply(ctx context.Context, reply []byte) {
	for i := range reply {
		if !t.writeBytes(reply[i:i+1]) || !sleepContext(ctx, time.Second) {
			return
		}
	}
	if reply != nil {
		t.drainConn()
	}
}

// garbageBytes returns the answer of another kind of service.
func (t *connection) garbageBytes() []byte {
	switch seed := binary.BigEndian.Uint32(t.node.Addr.Addr().AsSlice()); seed % 3 {
	case 0:
		return []byte("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request")
	case 1:
		return []byte("220 ftp.example.net FTP server ready\r\n500 Unknown command\r\n")
	default:
		b := make([]byte, 64)
		for i := range b {
			seed = seed*1664525 + 1013904223 // any reproducible noise is sufficient
			b[i] = byte(seed >> 24)
		}
		return b
	}
}

// sleepContext waits for d and returns false if ctx ended first.
func sleepContext(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

var _ io.ReadWriteCloser = (*conn)(nil)
