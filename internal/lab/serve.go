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

// idleTimeout is how long a server waits for the next message. A client asks after its
// health every minute, so three are enough.
const idleTimeout = 3 * time.Minute

// clientConn is a connection to a client, near or far.
type clientConn interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
	closeWrite() // says that nothing more will come
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

// connections are used again: the buffers are most of what a connection would
// allocate.
var connections = sync.Pool{New: func() any { return new(connection) }}

// serveConn lets node i behave on c.
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
		slow := newSlowConn(c, late)
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
	default: // Good; and Refuse, which nobody reaches
		t.servePPTP(ctx, 0, control.StartOK)
	}
}

// runSecond is a connection after a server's first.
func (t *connection) runSecond(s Second) {
	if s == SecondSilent {
		t.drainConn()
		return
	}
	if t.readMessage() != nil && s == SecondReset {
		t.abort()
	}
}

// breakOff ends a connection without a whole answer.
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

// closeGracefully closes the connection once the client has done so. What the client still
// sends must not meet a closed connection: that would be a reset.
func (t *connection) closeGracefully() {
	t.closeWrite()
	t.drainConn()
}

// resetDelay is how long a server waits that resets a connection at once: the client
// should have noticed that there is one.
const resetDelay = 20 * time.Millisecond

// servePPTP is a server as it should be, but for a delay before each answer and the
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
			continue // Set-Link-Info, and what only servers send
		}
		t.out = answer.Append(t.out[:0])
		if !t.writeBytes(t.out) || m.Type() == control.TypeStopCCRQ {
			return
		}
		if !result.Answers() {
			t.drainConn() // the client leaves, as the RFC has it
			return
		}
		if m.Type() == control.TypeOCRQ && !t.startCall() {
			t.closeGracefully()
			return
		}
	}
}

// answerCall places a call, one at a time. It is nil where no answer goes out.
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

// sessionControl is a control connection as its session sees it.
type sessionControl struct{ clientConn }

func (d sessionControl) sendMessage(m control.Message) { _, _ = d.Write(m.Append(nil)) } // a client that is gone hears nothing
func (d sessionControl) close()                        { _ = d.Close() }

// controlEchoMuted reports whether echoes of the control connection are not answered.
func (s Session) controlEchoMuted() bool { return s.Echo == EchoLCP || s.Echo == EchoNone }

// startCall follows an Outgoing-Call-Reply. It is false when the connection is to
// end.
func (t *connection) startCall() bool {
	if t.session != nil {
		t.session.startPPP()
	}
	return t.node.Behaviour.Session.Call != CallDropped
}

// clearCall ends the call. Whose id stands in the notification is a matter of
// taste: the RFC wants the server's, accel-ppp has the client's.
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
	switch {
	case result == control.StartGeneralError:
		reply.General = control.ErrorNoResource
	case result == control.StartVersion:
		reply.Version = 0x0200
	}
	return reply
}

// readMessage waits for a message. It is nil when the client left, said what is no
// PPTP, or said nothing for too long.
func (t *connection) readMessage() control.Message {
	t.SetDeadline(time.Now().Add(idleTimeout))
	m, err := t.r.Next()
	if err != nil {
		return nil
	}
	return m
}

// awaitStart waits for the start and returns the whole answer to it, or nil.
func (t *connection) awaitStart() []byte {
	if _, ok := t.readMessage().(control.SCCRQ); !ok {
		return nil
	}
	t.out = t.startReply(control.StartOK).Append(t.out[:0])
	return t.out
}

// drainConn reads until the client leaves or has said nothing for too long.
func (t *connection) drainConn() {
	t.SetDeadline(time.Now().Add(idleTimeout))
	var sink [256]byte
	for {
		if _, err := t.Read(sink[:]); err != nil {
			return
		}
	}
}

func (t *connection) writeBytes(b []byte) bool {
	t.SetDeadline(time.Now().Add(idleTimeout))
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

// garbageBytes is what other services say to a stranger.
func (t *connection) garbageBytes() []byte {
	switch seed := binary.BigEndian.Uint32(t.node.Addr.Addr().AsSlice()); seed % 3 {
	case 0:
		return []byte("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request")
	case 1:
		return []byte("220 ftp.example.net FTP server ready\r\n500 Unknown command\r\n")
	default:
		b := make([]byte, 64)
		for i := range b {
			seed = seed*1664525 + 1013904223 // any noise does, if it is the same each time
			b[i] = byte(seed >> 24)
		}
		return b
	}
}

// sleepContext waits, and reports whether ctx let it.
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
