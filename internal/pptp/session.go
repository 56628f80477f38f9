// Package pptp is a PPTP client in user space: it turns a TCP control connection and GRE
// into a session that carries IP packets, without kernel PPP, routes or a TUN device.
package pptp

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/pptp/mppe"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

const (
	unreadQueue  = 64   // packets kept before the first call of ReadPackets
	dataQueue    = 4096 // packets queued for ReadPackets: more than a window of 4 MiB
	controlQueue = 64   // frames queued for the link
	// minResetInterval is the minimum time between two Reset-Requests; the server answers
	// each of them, and the first answer needs time to arrive.
	minResetInterval = 200 * time.Millisecond
	// finalReadTime is how long frames are still read after the control connection has
	// ended: pppd's reason may arrive later than that end.
	finalReadTime = 150 * time.Millisecond
	// earlyDropTime is the time after the call within which a server that hangs up without
	// a GRE packet most likely could not start its pppd.
	earlyDropTime = 2 * time.Second
	// echoSendTimeout bounds the sending of an Echo-Request on the control connection.
	echoSendTimeout = time.Second
)

// Session is a PPTP session that is or was established. Its methods are safe for
// concurrent use, but only one goroutine at a time may read packets.
type Session struct {
	cfg    Config
	conn   *control.Conn
	call   *gre.Call
	local  netip.Addr
	remote netip.Addr
	server Server
	log    *transcript
	trace  trace // owned by the goroutine of Dial, then by run

	link        *link    // owned by run
	seen        observed // owned by run; the facts about the session's end
	rtt         time.Duration
	linkInfoErr error // why the Set-Link-Info could not be sent
	frames      *queue
	data        *queue
	icmp        chan gre.Unreachable

	controlEcho  <-chan time.Duration // the answer to a pending Echo-Request on the control connection
	cancelEcho   func()
	controlAlive bool // an Echo-Request on the control connection was answered

	dialTimedOut atomic.Bool   // Close was called because the dial timed out
	lastReceived atomic.Uint64 // GRE packets counted at the last call of tunnelWasActive
	up           chan struct{} // closed when the link is up
	closing      chan struct{} // closed by Close
	ended        chan struct{} // closed when the session ends
	done         chan struct{} // closed when all resources are released
	closeOnce    sync.Once
	err          error // why the session ended; valid after ended is closed
	info         Info  // valid after up is closed

	txMu     sync.Mutex
	enc      *mppe.Encryptor
	txFrames [][]byte
	mtu      int

	rxMu          sync.Mutex
	dec           atomic.Pointer[mppe.Decryptor]
	rxFrames      [Batch]*gre.Buffer
	undecryptable int  // undecryptable packets in a row
	plainPackets  int  // plain packets that should have been encrypted
	decryptedOnce bool // at least one packet was decrypted
	readStarted   bool // ReadPackets was called

	echoRequests   chan chan<- time.Duration
	resetWanted    chan struct{}
	lastReset      time.Time
	unreadableSeen chan unreadableReason
	rejections     atomic.Int64 // Protocol-Rejects of our packets since the session is up

	rxPackets, rxBytes, txPackets, txBytes atomic.Uint64
	garbage, stale, oversize, resets       atomic.Uint64
}

// Done returns a channel that is closed when the session ends. Err says why.
func (s *Session) Done() <-chan struct{} { return s.ended }

// Err returns why the session ended: an *Error, or nil after Close. It returns nil while
// the session is up.
func (s *Session) Err() error {
	select {
	case <-s.ended:
		return s.err
	default:
		return nil
	}
}

// Transcript returns the last 64 protocol events, oldest first.
func (s *Session) Transcript() []Event { return s.log.events() }

// Echo sends an LCP Echo-Request through the tunnel and returns how long the answer
// took. The error is net.ErrClosed after the session has ended, or the context's.
func (s *Session) Echo(ctx context.Context) (time.Duration, error) {
	answered := make(chan time.Duration, 1)
	select {
	case s.echoRequests <- answered:
	case <-s.ended:
		return 0, net.ErrClosed
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return s.awaitEcho(ctx, answered)
}

// ControlEcho sends an Echo-Request on the control connection, RFC 2637 section 2.5, and
// returns how long the answer took. The errors are those of Echo.
func (s *Session) ControlEcho(ctx context.Context) (time.Duration, error) {
	answered, forget, err := s.conn.Echo(ctx)
	if err != nil {
		return 0, err
	}
	defer forget()
	return s.awaitEcho(ctx, answered)
}

func (s *Session) awaitEcho(ctx context.Context, answered <-chan time.Duration) (time.Duration, error) {
	select {
	case d := <-answered:
		return d, nil
	case <-s.ended:
		return 0, net.ErrClosed
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Close ends the session: it tells the server, waits at most 2 s for its answers, and
// returns when all resources are released.
func (s *Session) Close() error {
	s.closeOnce.Do(func() { close(s.closing) })
	<-s.done
	return nil
}

// --- gre.Handler

// Deliver implements gre.Handler.
func (s *Session) Deliver(b *gre.Buffer) {
	proto, _, err := ppp.ParseFrame(b.Data)
	switch {
	case err != nil:
		b.Release()
	case proto == ppp.MPPE || proto == ppp.IPv4:
		s.data.put(b)
	default:
		s.frames.put(b)
	}
}

// Flush implements gre.Handler.
func (s *Session) Flush() {
	s.frames.wakeIfFilled()
	s.data.wakeIfFilled()
}

// Unreachable implements gre.Handler.
func (s *Session) Unreachable(u gre.Unreachable) {
	select {
	case s.icmp <- u:
	default: // one ICMP error is enough
	}
}

// --- The goroutine of the session

// run serves the link until it ends, then terminates the session.
func (s *Session) run() {
	defer close(s.done)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		ended <- s.conn.Run(ctx)
	}()

	s.link.startLCP(time.Now())
	s.err = s.serveLink(ended)
	close(s.ended)
	s.terminateSession(cancel, ended)
	s.call.Close()
	s.frames.close()
	s.data.close()
}

// serveLink runs the session until it ends and returns why: nil after Close.
func (s *Session) serveLink(ended <-chan error) error {
	var (
		began    = time.Now()
		timer    = time.NewTimer(time.Hour)
		gone     error // why the control connection ended
		goneAt   time.Time
		received uint64 // GRE packets so far
	)
	defer timer.Stop()
	defer s.endControlEcho()
	for {
		now := time.Now()
		s.processFrames(now)
		received = s.noteReceived(now, received)
		s.link.tick(now)
		switch {
		case s.link.ended:
			return s.makeError(s.link.evidence, s.link.refusalError())
		case s.silentSince(began, now), s.rejectedByRouter(began, now):
			s.seen.end, s.seen.afterCall = endTime, now.Sub(began)
			return s.makeError(s.silenceNote(now.Sub(began)), nil)
		case gone != nil && now.Sub(goneAt) >= finalReadTime:
			s.seen.afterCall = goneAt.Sub(began)
			return s.peerClosedError(gone)
		}
		s.noteUp()
		s.setTimer(timer, now, began, goneAt)
		select {
		case <-s.frames.wake:
		case <-timer.C:
		case u := <-s.icmp:
			s.noteICMP(u)
		case <-s.resetWanted:
			if now := time.Now(); now.Sub(s.lastReset) >= minResetInterval {
				s.lastReset = now
				s.resets.Add(1)
				s.link.askReset(now)
			}
		case answered := <-s.echoRequests:
			s.link.requestEcho(time.Now(), answered)
		case <-s.controlEcho:
			s.endControlEcho()
			s.controlAlive = true
		case s.seen.unreadableReason = <-s.unreadableSeen:
			s.seen.end = endUnreadable
			return s.makeError(s.unreadableNote(), nil)
		case err := <-ended:
			ended = nil
			gone, goneAt = err, time.Now()
		case <-s.closing:
			if s.dialTimedOut.Load() && s.info.MTU == 0 {
				s.seen.end = endTime
				return s.makeError("the whole dial took too long", errDialTimeout)
			}
			return nil
		}
	}
}

// noteReceived records that GRE packets came since the last call, when there were
// before of them, and returns how many there are now.
func (s *Session) noteReceived(now time.Time, before uint64) uint64 {
	n := s.call.Stats()
	if n.Received != before || n.PeerAcked && s.trace.lastReached() == StepCall {
		if before == 0 && n.Received > 0 {
			s.link.restartLCPTime(now)
		}
		s.link.noteActivity()
		s.trace.addReached(StepGRE, "")
	}
	return n.Received
}

// setTimer sets the timer to the next deadline.
func (s *Session) setTimer(timer *time.Timer, now, began, goneAt time.Time) {
	next := s.link.deadline()
	earlier := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if s.trace.lastReached() == StepCall {
		if !s.seen.controlEchoSent {
			earlier(began.Add(s.cfg.Timeouts.GRE / 3))
		}
		earlier(began.Add(s.greTimeout()))
		if half := began.Add(s.cfg.Timeouts.GRE / 2); now.Before(half) {
			earlier(half) // see rejectedByRouter
		}
	}
	if !goneAt.IsZero() {
		earlier(goneAt.Add(finalReadTime))
	}
	if next.IsZero() {
		next = now.Add(time.Hour)
	}
	timer.Reset(max(time.Until(next), 0)) // now is past; with it, sessions that share a beat would miss it by the difference
}

// processFrames passes the queued frames to the link.
func (s *Session) processFrames(now time.Time) {
	var batch [8]*gre.Buffer
	for {
		n := s.frames.take(batch[:])
		if n == 0 {
			return
		}
		for _, b := range batch[:n] {
			if proto, body, err := ppp.ParseFrame(b.Data); err == nil {
				s.trace.addReached(StepGRE, "")
				s.link.input(now, proto, body)
			}
			b.Release()
		}
	}
}

// noteUp publishes the session once the link is up.
func (s *Session) noteUp() {
	if s.link.phase != phaseUp || s.info.MTU != 0 {
		return
	}
	l := s.link
	s.info = Info{
		LocalIP: l.ipo.Local, PeerIP: l.ipo.Peer, DNS: l.dnsServers(),
		Encryption: l.encryptionName(), Auth: l.lcpo.PeerAuth.String(), MTU: l.packetMTU(),
		Server: s.server, Local: s.local, Remote: s.remote,
		Trace: append([]StepResult(nil), s.trace.results...), SetUp: time.Since(s.trace.began),
	}
	if l.enc != nil && l.dec != nil {
		s.info.Bits = min(l.ccpo.Send.Bits(), l.ccpo.Recv.Bits())
	}
	s.txMu.Lock()
	s.mtu = s.info.MTU
	s.txMu.Unlock()
	close(s.up)
}

// --- Hooks of the link

func (s *Session) sendFrame(proto ppp.Protocol, p ppp.Packet) {
	b := make([]byte, gre.Headroom, gre.Headroom+ppp.FrameOverhead+4+len(p.Data))
	b = p.Append(ppp.AppendFrame(b, proto))
	_ = s.call.Send(b) // an unanswered request is sent again
}

func (s *Session) setKeys(enc *mppe.Encryptor, dec *mppe.Decryptor) {
	s.txMu.Lock()
	s.enc = enc
	s.txMu.Unlock()
	s.dec.Store(dec)
}

func (s *Session) flushStream() {
	dec := s.dec.Load()
	s.txMu.Lock()
	defer s.txMu.Unlock()
	if s.enc != nil {
		s.enc.Flush(dec != nil && dec.PeerKeepsKey())
	}
}

func (s *Session) handleKeyMismatch() {
	s.txMu.Lock()
	defer s.txMu.Unlock()
	if s.enc != nil {
		s.enc.HandleKeyMismatch()
	}
}
