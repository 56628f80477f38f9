// Package pptp is a PPTP client in user space: from the control connection to
// IP packets, without kernel PPP, routes or a TUN device.
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
	unreadQueue  = 64   // packets kept for a ReadPackets that nobody has called yet
	dataQueue    = 4096 // packets that wait for ReadPackets: a window of 4 MiB, and more
	controlQueue = 64   // frames that wait for the link
	// minResetInterval is the least time between two Reset-Requests; a server answers
	// each of them, and the first one should have its time.
	minResetInterval = 200 * time.Millisecond
	// finalReadTime is how long frames are still read once the control connection is
	// gone: pppd's reason may be behind its end.
	finalReadTime = 150 * time.Millisecond
	// earlyDropTime is the time within which a server that hangs up without any
	// GRE packet most likely could not start its pppd.
	earlyDropTime = 2 * time.Second
	// echoSendTimeout bounds the sending of an Echo-Request on the control connection.
	echoSendTimeout = time.Second
)

// Session is a PPTP session that is up, or was. Its methods are safe for
// concurrent use, ReadPackets by one goroutine at a time.
type Session struct {
	cfg    Config
	conn   *control.Conn
	call   *gre.Call
	local  netip.Addr
	remote netip.Addr
	server Server
	log    *transcript
	trace  trace // of the goroutine that runs Dial, then of run

	link        *link    // owned by run
	seen        observed // owned by run: what is known when the session ends
	rtt         time.Duration
	linkInfoErr error // why the Set-Link-Info could not be sent
	frames      *queue
	data        *queue
	icmp        chan gre.Unreachable

	controlEcho  <-chan time.Duration // an Echo-Request on the control connection that has no answer yet
	cancelEcho   func()
	controlAlive bool // one was answered

	dialTimedOut atomic.Bool   // Close is called because Dial's time is over
	lastReceived atomic.Uint64 // GRE packets at the last call of tunnelWasActive
	up           chan struct{} // closed when the link is up
	closing      chan struct{} // closed by Close
	ended        chan struct{} // closed when the session ends
	done         chan struct{} // closed when everything is gone
	closeOnce    sync.Once
	err          error // why it ended; valid after over
	info         Info  // valid after up

	txMu     sync.Mutex
	enc      *mppe.Encryptor
	txFrames [][]byte
	mtu      int

	rxMu          sync.Mutex
	dec           atomic.Pointer[mppe.Decryptor]
	rxFrames      [Batch]*gre.Buffer
	undecryptable int  // packets in a row that could not be decrypted
	plainPackets  int  // packets in clear that should have been encrypted
	decryptedOnce bool // one could
	readStarted   bool // ReadPackets was called

	echoRequests   chan chan<- time.Duration
	resetWanted    chan struct{}
	lastReset      time.Time
	unreadableSeen chan unreadableReason
	rejections     atomic.Int64 // Protocol-Rejects of what we sent, once the session was up

	rxPackets, rxBytes, txPackets, txBytes atomic.Uint64
	garbage, stale, oversize, resets       atomic.Uint64
}

// Info describes a session that is up.
type Info struct {
	LocalIP    netip.Addr   // ours, inside
	PeerIP     netip.Addr   // the server's, inside; it may be invalid or 0.0.0.0
	DNS        []netip.Addr // what the server named, possibly none
	Encryption string       // "MPPE-128 stateless", or "none"
	Bits       int          // of the weaker direction's key; 0 when one is not encrypted
	Auth       string       // "MS-CHAPv2"
	MTU        int          // of the IP packets, in bytes
	Server     Server       // as it names itself; its texts are fit to show
	Local      netip.Addr   // ours, outside
	Remote     netip.Addr   // the server's, outside
	Trace      []StepResult
	SetUp      time.Duration // from the begin of Dial
}

// Stats counts what went through a session since it began.
type Stats struct {
	RxPackets, RxBytes uint64 // IP packets given to ReadPackets
	TxPackets, TxBytes uint64 // IP packets taken by WritePackets
	Dropped            uint64 // nobody read them in time
	Garbage            uint64 // could not be decrypted, or were not encrypted
	Stale              uint64 // came too late to be decrypted
	Oversize           uint64 // exceeded the MTU, or were empty
	Resets             uint64 // of a stateful stream
	GRE                gre.Stats
}

// Loss is the share of the server's packets that did not arrive, from 0 to 1.
func (s Stats) Loss() float64 {
	if s.GRE.Lost == 0 {
		return 0
	}
	return float64(s.GRE.Lost) / float64(s.GRE.Lost+s.GRE.Received)
}

// Info returns what the session is.
func (s *Session) Info() Info { return s.info }

// MTU is the largest packet that WritePackets takes, in bytes.
func (s *Session) MTU() int { return s.info.MTU }

// Headroom is the constant Headroom, for users that know the session as an
// interface.
func (s *Session) Headroom() int { return Headroom }

// Done is closed when the session ends. Err says why.
func (s *Session) Done() <-chan struct{} { return s.ended }

// Err is why the session ended: an *Error, or nil after Close. It is nil while
// the session is up.
func (s *Session) Err() error {
	select {
	case <-s.ended:
		return s.err
	default:
		return nil
	}
}

// Transcript returns the last 64 protocol events, the oldest first.
func (s *Session) Transcript() []Event { return s.log.events() }

// Stats returns the counters as they stand.
func (s *Session) Stats() Stats {
	return Stats{
		RxPackets: s.rxPackets.Load(), RxBytes: s.rxBytes.Load(),
		TxPackets: s.txPackets.Load(), TxBytes: s.txBytes.Load(),
		Dropped: s.data.droppedCount(), Garbage: s.garbage.Load(), Stale: s.stale.Load(),
		Oversize: s.oversize.Load(), Resets: s.resets.Load(), GRE: s.call.Stats(),
	}
}

// Echo asks the server for a sign of life through the tunnel, with an LCP
// Echo-Request, and returns how long the answer took. The error is net.ErrClosed
// after the session's end, or the context's.
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

// ControlEcho is Echo on the control connection, with an Echo-Request of RFC 2637
// section 2.5.
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

// Close ends the session: it tells the server, waits for its answers for 2 s at
// most, and returns when nothing of the session is left.
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
	default: // one is as good as the next
	}
}

// --- the goroutine of the session

// run drives the link until it ends, and takes leave.
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

// serveLink works until the session ends, and says why: nil after Close.
func (s *Session) serveLink(ended <-chan error) error {
	var (
		began   = time.Now()
		timer   = time.NewTimer(time.Hour)
		gone    error // the control connection's end
		goneAt  time.Time
		heardAt uint64
	)
	defer timer.Stop()
	defer s.endControlEcho()
	for {
		now := time.Now()
		s.processFrames(now)
		if n := s.call.Stats(); n.Received != heardAt || n.PeerAcked && s.trace.lastReached() == StepCall {
			if heardAt == 0 && n.Received > 0 {
				s.link.restartLCPTime(now)
			}
			heardAt = n.Received
			s.link.noteActivity()
			s.trace.addReached(StepGRE, "")
		}
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

// setTimer sets the timer to the next thing that happens by itself.
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
	timer.Reset(max(time.Until(next), 0)) // now is past: sessions that wait for one beat would miss it by as much
}

// processFrames gives the frames that came to the link.
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

// --- what the link calls

func (s *Session) sendFrame(proto ppp.Protocol, p ppp.Packet) {
	b := make([]byte, gre.Headroom, gre.Headroom+ppp.FrameOverhead+4+len(p.Data))
	b = p.Append(ppp.AppendFrame(b, proto))
	_ = s.call.Send(b) // every request is repeated until it is answered
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
