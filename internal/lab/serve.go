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

// idle is how long a server waits for the next message. A client asks after its
// health every minute, so three are enough.
const idle = 3 * time.Minute

// way is a connection to a client, near or far.
type way interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
	closeWrite() // says that nothing more will come
	abort()      // closes it with a reset
}

// talk is one connection to one server.
type talk struct {
	way
	conn    *conn
	fleet   *Fleet
	number  int // of the node
	node    *Node
	visit   uint64 // 1 for the node's first connection
	session *session
	r       control.Reader
	out     []byte
}

// talks are used again: the buffers are most of what a connection would
// allocate.
var talks = sync.Pool{New: func() any { return new(talk) }}

// serve lets node i behave on c.
func (f *Fleet) serve(ctx context.Context, i int, c *conn) {
	if !f.keep(c) {
		c.Close()
		return
	}
	defer f.forget(c)
	t := talks.Get().(*talk)
	defer talks.Put(t)
	t.way, t.conn, t.fleet, t.number, t.node, t.visit = c, c, f, i, &f.nodes[i], f.visits[i].Add(1)
	if late := t.node.Behaviour.Session.Latency; late > 0 {
		slow := newSlowConn(c, late)
		defer slow.wait()
		defer slow.Close()
		t.way = slow
	}
	t.r.Reset(t.way)
	t.behave(ctx)
	t.endSession()
	t.way, t.conn, t.fleet, t.node = nil, nil, nil, nil
	t.r.Reset(nil)
}

func (t *talk) behave(ctx context.Context) {
	if t.visit > 1 && t.node.Behaviour.Session.Second != "" {
		t.again(t.node.Behaviour.Session.Second)
		return
	}
	switch b := t.node.Behaviour; b.Kind {
	case Slow:
		t.pptp(ctx, b.Delay, control.StartOK)
	case Lossy:
		if t.visit%uint64(b.Every) != 0 {
			t.listen()
			return
		}
		t.pptp(ctx, 0, control.StartOK)
	case Denied:
		t.pptp(ctx, 0, b.Result)
	case Silent:
		t.listen()
	case Garbage:
		if t.hear() != nil {
			t.write(t.garbage())
			t.listen()
		}
	case Half:
		if reply := t.reply(); reply != nil {
			t.write(reply[:len(reply)/2])
			t.listen()
		}
	case Reset, Close:
		t.breakOff(ctx, b)
	case Drip:
		t.drip(ctx, t.reply())
	case SSH:
		t.write([]byte("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"))
		t.listen()
	default: // Good; and Refuse, which nobody reaches
		t.pptp(ctx, 0, control.StartOK)
	}
}

// again is a connection after a server's first.
func (t *talk) again(s Second) {
	if s == SecondSilent {
		t.listen()
		return
	}
	if t.hear() != nil && s == SecondReset {
		t.abort()
	}
}

// breakOff ends a connection without a whole answer.
func (t *talk) breakOff(ctx context.Context, b Behaviour) {
	switch {
	case b.When == AtAccept && b.Kind == Close:
		t.finish()
	case b.When == AtAccept && !pause(ctx, settle):
	case b.When == Unread && !t.conn.awaitData():
	case b.When == Request && t.hear() == nil:
	case b.When == "":
		if reply := t.reply(); reply != nil {
			t.write(reply[:len(reply)/2])
			t.abort()
		}
	case b.Kind == Reset:
		t.abort()
	}
}

// finish closes the connection once the client has done so. What the client still
// sends must not meet a closed connection: that would be a reset.
func (t *talk) finish() {
	t.closeWrite()
	t.listen()
}

// settle is how long a server waits that resets a connection at once: the client
// should have noticed that there is one.
const settle = 20 * time.Millisecond

// pptp is a server as it should be, but for a delay before each answer and the
// result of the start.
func (t *talk) pptp(ctx context.Context, delay time.Duration, result control.StartResult) {
	delay += t.node.Behaviour.Session.Reply
	for {
		m := t.hear()
		if m == nil || !pause(ctx, delay) {
			return
		}
		if _, echo := m.(control.EchoRequest); echo && t.node.Behaviour.Session.mute() {
			continue
		}
		var answer control.Message
		switch m := m.(type) {
		case control.SCCRQ:
			answer = t.start(result)
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
		if !t.write(t.out) || m.Type() == control.TypeStopCCRQ {
			return
		}
		if !result.Answers() {
			t.listen() // the client leaves, as the RFC has it
			return
		}
		if m.Type() == control.TypeOCRQ && !t.begin() {
			t.finish()
			return
		}
	}
}

// answerCall places a call, one at a time. It is nil where no answer goes out.
func (t *talk) answerCall(m control.OCRQ, result control.StartResult) control.Message {
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
	s, err := t.fleet.openSession(t.number, t.conn.peer, m.CallID, wayDoor{t.way})
	if err != nil {
		return no(control.CallGeneralError, control.ErrorNoResource)
	}
	t.session = s
	yes.CallID = s.call.ID()
	return yes
}

// wayDoor is a control connection as its session sees it.
type wayDoor struct{ way }

func (d wayDoor) tell(m control.Message) { _, _ = d.Write(m.Append(nil)) } // a client that is gone hears nothing
func (d wayDoor) close()                 { _ = d.Close() }

// mute reports whether echoes of the control connection are not answered.
func (s Session) mute() bool { return s.Echo == EchoLCP || s.Echo == EchoNone }

// begin follows an Outgoing-Call-Reply. It is false when the connection is to
// end.
func (t *talk) begin() bool {
	if t.session != nil {
		t.session.start()
	}
	return t.node.Behaviour.Session.Call != CallDropped
}

// clearCall ends the call. Whose id stands in the notification is a matter of
// taste: the RFC wants the server's, accel-ppp has the client's.
func (t *talk) clearCall(m control.CallClear) control.Message {
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

func (t *talk) endSession() {
	if t.session != nil {
		t.session.close()
		t.session = nil
	}
}

func (t *talk) start(result control.StartResult) control.SCCRP {
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

// hear waits for a message. It is nil when the client left, said what is no
// PPTP, or said nothing for too long.
func (t *talk) hear() control.Message {
	t.SetDeadline(time.Now().Add(idle))
	m, err := t.r.Next()
	if err != nil {
		return nil
	}
	return m
}

// reply waits for the start and returns the whole answer to it, or nil.
func (t *talk) reply() []byte {
	if _, ok := t.hear().(control.SCCRQ); !ok {
		return nil
	}
	t.out = t.start(control.StartOK).Append(t.out[:0])
	return t.out
}

// listen reads until the client leaves or has said nothing for too long.
func (t *talk) listen() {
	t.SetDeadline(time.Now().Add(idle))
	var sink [256]byte
	for {
		if _, err := t.Read(sink[:]); err != nil {
			return
		}
	}
}

func (t *talk) write(b []byte) bool {
	t.SetDeadline(time.Now().Add(idle))
	_, err := t.Write(b)
	return err == nil
}

func (t *talk) drip(ctx context.Context, reply []byte) {
	for i := range reply {
		if !t.write(reply[i:i+1]) || !pause(ctx, time.Second) {
			return
		}
	}
	if reply != nil {
		t.listen()
	}
}

// garbage is what other services say to a stranger.
func (t *talk) garbage() []byte {
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

// pause waits, and reports whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
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
