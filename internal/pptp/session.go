// Package pptp is a PPTP client in user space: from the control connection to
// IP packets, without kernel PPP, routes or a TUN device.
package pptp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
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
	// resetPause is the least time between two Reset-Requests; a server answers
	// each of them, and the first one should have its time.
	resetPause = 200 * time.Millisecond
	// lastWords is how long frames are still read once the control connection is
	// gone: pppd's reason may be behind its end.
	lastWords = 150 * time.Millisecond
	// droppedWithin is the time within which a server that hangs up without any
	// GRE packet most likely could not start its pppd.
	droppedWithin = 2 * time.Second
	// aliveTimeout bounds the sending of an Echo-Request on the control connection.
	aliveTimeout = time.Second
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
	climb  climb // of the goroutine that runs Dial, then of run

	link   *link    // owned by run
	seen   observed // owned by run: what is known when the session ends
	rtt    time.Duration
	frames *queue
	data   *queue
	icmp   chan gre.Unreachable

	controlEcho  <-chan time.Duration // an Echo-Request on the control connection that has no answer yet
	forgetEcho   func()
	controlAlive bool // one was answered

	timeUp  atomic.Bool   // Close is called because Dial's time is over
	heard   atomic.Uint64 // GRE packets at the last call of tunnelShowedLife
	up      chan struct{} // closed when the link is up
	closing chan struct{} // closed by Close
	over    chan struct{} // closed when the session ends
	done    chan struct{} // closed when everything is gone
	once    sync.Once
	err     error // why it ended; valid after over
	upInfo  Info  // valid after up

	txMu     sync.Mutex
	enc      *mppe.Encryptor
	txFrames [][]byte
	mtu      int

	rxMu     sync.Mutex
	dec      atomic.Pointer[mppe.Decryptor]
	rxFrames [Batch]*gre.Buffer
	bad      int  // packets in a row that could not be decrypted
	plain    int  // packets in clear that should have been encrypted
	proven   bool // one could
	reading  bool // ReadPackets was called

	pings       chan chan<- time.Duration
	resetWanted chan struct{}
	lastReset   time.Time
	trouble     chan unreadable
	rejections  atomic.Int64 // Protocol-Rejects of what we sent, once the session was up

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
	Rungs      []Rung
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
func (s *Session) Info() Info { return s.upInfo }

// MTU is the largest packet that WritePackets takes, in bytes.
func (s *Session) MTU() int { return s.upInfo.MTU }

// Headroom is the constant Headroom, for users that know the session as an
// interface.
func (s *Session) Headroom() int { return Headroom }

// Done is closed when the session ends. Err says why.
func (s *Session) Done() <-chan struct{} { return s.over }

// Err is why the session ended: an *Error, or nil after Close. It is nil while
// the session is up.
func (s *Session) Err() error {
	select {
	case <-s.over:
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
		Dropped: s.data.drops(), Garbage: s.garbage.Load(), Stale: s.stale.Load(),
		Oversize: s.oversize.Load(), Resets: s.resets.Load(), GRE: s.call.Stats(),
	}
}

// Echo asks the server for a sign of life through the tunnel, with an LCP
// Echo-Request, and returns how long the answer took. The error is net.ErrClosed
// after the session's end, or the context's.
func (s *Session) Echo(ctx context.Context) (time.Duration, error) {
	answered := make(chan time.Duration, 1)
	select {
	case s.pings <- answered:
	case <-s.over:
		return 0, net.ErrClosed
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return s.await(ctx, answered)
}

// ControlEcho is Echo on the control connection, with an Echo-Request of RFC 2637
// section 2.5.
func (s *Session) ControlEcho(ctx context.Context) (time.Duration, error) {
	answered, forget, err := s.conn.Echo(ctx)
	if err != nil {
		return 0, err
	}
	defer forget()
	return s.await(ctx, answered)
}

func (s *Session) await(ctx context.Context, answered <-chan time.Duration) (time.Duration, error) {
	select {
	case d := <-answered:
		return d, nil
	case <-s.over:
		return 0, net.ErrClosed
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Close ends the session: it tells the server, waits for its answers for 2 s at
// most, and returns when nothing of the session is left.
func (s *Session) Close() error {
	s.once.Do(func() { close(s.closing) })
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
	s.frames.signal()
	s.data.signal()
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

	s.link.start(time.Now())
	s.err = s.serve(ended)
	close(s.over)
	s.leave(cancel, ended)
	s.call.Close()
	s.frames.close()
	s.data.close()
}

// serve works until the session ends, and says why: nil after Close.
func (s *Session) serve(ended <-chan error) error {
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
		s.drain(now)
		if n := s.call.Stats(); n.Received != heardAt || n.PeerAcked && s.climb.top() == StepCall {
			heardAt = n.Received
			s.link.alive()
			s.climb.reached(StepGRE, "")
		}
		s.link.tick(now)
		switch {
		case s.link.over:
			return s.conclude(s.link.note, s.link.refused())
		case s.silentSince(began, now):
			s.seen.end, s.seen.afterCall = endTime, now.Sub(began)
			return s.conclude(s.silenceNote(now.Sub(began)), nil)
		case gone != nil && now.Sub(goneAt) >= lastWords:
			s.seen.afterCall = goneAt.Sub(began)
			return s.hungUp(gone)
		}
		s.noteUp()
		s.arm(timer, now, began, goneAt)
		select {
		case <-s.frames.wake:
		case <-timer.C:
		case u := <-s.icmp:
			s.noteICMP(u)
		case <-s.resetWanted:
			if now := time.Now(); now.Sub(s.lastReset) >= resetPause {
				s.lastReset = now
				s.resets.Add(1)
				s.link.askReset(now)
			}
		case answered := <-s.pings:
			s.link.ping(time.Now(), answered)
		case <-s.controlEcho:
			s.endControlEcho()
			s.controlAlive = true
		case s.seen.unreadable = <-s.trouble:
			s.seen.end = endUnreadable
			return s.conclude(s.unreadableNote(), nil)
		case err := <-ended:
			ended = nil
			gone, goneAt = err, time.Now()
		case <-s.closing:
			if s.timeUp.Load() && s.upInfo.MTU == 0 {
				s.seen.end = endTime
				return s.conclude("the whole dial took too long", errTimeIsOver)
			}
			return nil
		}
	}
}

// silentSince reports whether GRE has been silent for too long since the call. A
// server whose control connection answers gets more time: its PPP may be slow to
// start.
func (s *Session) silentSince(began, now time.Time) bool {
	if s.climb.top() != StepCall {
		return false
	}
	after, patience := now.Sub(began), s.cfg.Timeouts.GRE
	if after >= patience/3 && !s.seen.echoAsked {
		s.seen.echoAsked = true
		s.askControl()
	}
	if s.controlAlive {
		s.seen.echoHeard = true
		patience += patience * 2 / 3
	}
	return after >= patience
}

func (s *Session) silenceNote(after time.Duration) string {
	answer := "an Echo-Request on the control connection was answered"
	if !s.seen.echoHeard {
		answer = "an Echo-Request on the control connection was not answered either"
	}
	return fmt.Sprintf("no GRE packet within %s of the call; %s", after.Round(time.Second), answer)
}

func (s *Session) noteICMP(u gre.Unreachable) {
	s.seen.icmp = &u
	s.log.add(Event{Protocol: "GRE", Name: "unreachable", ID: -1, Note: u.String()})
}

// askControl asks the server for a sign of life on the control connection.
func (s *Session) askControl() {
	s.endControlEcho()
	ctx, cancel := context.WithTimeout(context.Background(), aliveTimeout)
	defer cancel()
	answered, forget, err := s.conn.Echo(ctx)
	if err != nil {
		return // the connection's own end tells why
	}
	s.controlEcho, s.forgetEcho = answered, forget
}

func (s *Session) endControlEcho() {
	if s.forgetEcho != nil {
		s.forgetEcho()
	}
	s.controlEcho, s.forgetEcho = nil, nil
}

// tunnelShowedLife reports whether GRE packets came since the last call. A server may
// answer no Echo-Request of RFC 2637 and yet carry data.
func (s *Session) tunnelShowedLife() bool {
	n := s.call.Stats().Received
	return s.heard.Swap(n) != n
}

// controlShowedLife reports whether the control connection was alive since the last
// call.
func (s *Session) controlShowedLife() bool {
	alive := s.controlAlive
	s.controlAlive = false
	return alive
}

// arm sets the timer to the next thing that happens by itself.
func (s *Session) arm(timer *time.Timer, now, began, goneAt time.Time) {
	next := s.link.deadline()
	earlier := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if s.climb.top() == StepCall {
		patience := s.cfg.Timeouts.GRE
		if !s.seen.echoAsked {
			earlier(began.Add(patience / 3))
		}
		if s.controlAlive {
			patience += patience * 2 / 3
		}
		earlier(began.Add(patience))
	}
	if !goneAt.IsZero() {
		earlier(goneAt.Add(lastWords))
	}
	if next.IsZero() {
		next = now.Add(time.Hour)
	}
	timer.Reset(max(time.Until(next), 0)) // now is past: sessions that wait for one beat would miss it by as much
}

// drain gives the frames that came to the link.
func (s *Session) drain(now time.Time) {
	var batch [8]*gre.Buffer
	for {
		n := s.frames.take(batch[:])
		if n == 0 {
			return
		}
		for _, b := range batch[:n] {
			if proto, body, err := ppp.ParseFrame(b.Data); err == nil {
				s.climb.reached(StepGRE, "")
				s.link.input(now, proto, body)
			}
			b.Release()
		}
	}
}

// noteUp publishes the session once the link is up.
func (s *Session) noteUp() {
	if s.link.phase != phaseUp || s.upInfo.MTU != 0 {
		return
	}
	l := s.link
	s.upInfo = Info{
		LocalIP: l.ipo.Local, PeerIP: l.ipo.Peer, DNS: l.dns(),
		Encryption: l.encryption(), Auth: l.lcpo.PeerAuth.String(), MTU: l.mtu(),
		Server: s.server, Local: s.local, Remote: s.remote,
		Rungs: append([]Rung(nil), s.climb.rungs...), SetUp: time.Since(s.climb.began),
	}
	if l.enc != nil && l.dec != nil {
		s.upInfo.Bits = min(l.ccpo.Send.Bits(), l.ccpo.Recv.Bits())
	}
	s.txMu.Lock()
	s.mtu = s.upInfo.MTU
	s.txMu.Unlock()
	close(s.up)
}

// conclude makes the Error of a session that ended, from all that was observed.
func (s *Session) conclude(evidence string, why error) error {
	for drained := false; !drained; {
		select {
		case u := <-s.icmp:
			s.noteICMP(u)
		default:
			drained = true
		}
	}
	o, l := &s.seen, s.link
	o.up = s.upInfo.MTU != 0
	o.gre = s.call.Stats()
	o.missed, o.unheard = l.missed(), l.unheard()
	o.step = s.climb.next()
	if o.step == StepEncryption && o.ended() && !o.ccpHeard && o.ipcpHeard {
		o.step = StepIP // the server had gone on to that
	}
	step, code := o.cause()
	e := &Error{Step: step, Code: code, Evidence: s.withCounts(code, evidence), PeerText: o.text, Err: why, Server: s.server}
	if step == StepAuth && code == "refused" && e.Err == nil {
		e.Err = &Refused{Text: o.text}
	}
	s.climb.failed(step, code)
	e.Rungs = append([]Rung(nil), s.climb.rungs...)
	e.Transcript = s.log.events()
	return e
}

// withCounts adds to the evidence what was counted and what came from elsewhere.
func (s *Session) withCounts(code, evidence string) string {
	o := &s.seen
	notes := []string{evidence}
	n := o.gre
	switch {
	case o.lossy() && !o.up:
		notes = []string{fmt.Sprintf("%d of %d packets were lost", n.Lost+uint64(o.missed), n.Lost+uint64(o.missed)+n.Received), evidence}
	case code == "timeout" || code == "loss":
		notes = append(notes, fmt.Sprintf("%d GRE packets came, %d were lost, ours acknowledged: %v", n.Received, n.Lost, n.PeerAcked))
	}
	if again := s.link.resent(); again > 0 && (o.end == endTime || code == "loss") {
		notes = append(notes, fmt.Sprintf("%d of our requests were sent again", again))
	}
	if code == "no_outbound" {
		notes = append(notes, fmt.Sprintf("the server sent its request %d times and acknowledged none of our packets", s.link.sameReq+1))
	}
	if o.icmp != nil && !strings.Contains(evidence, o.icmp.String()) {
		notes = append(notes, o.icmp.String())
	}
	if o.step == StepGRE && n.Strays > 0 {
		notes = append(notes, fmt.Sprintf("%d GRE packets came for calls that do not exist", n.Strays))
	}
	if s.rtt >= slowWay {
		notes = append(notes, fmt.Sprintf("the way is slow: packets take %s there and back", s.rtt.Round(10*time.Millisecond)))
	}
	return strings.Join(slices.DeleteFunc(notes, func(n string) bool { return n == "" }), "; ")
}

// slowWay is the round-trip time from which on a failure is told with it.
const slowWay = 400 * time.Millisecond

func (s *Session) unreadableNote() string {
	if s.seen.unreadable == serverSendsPlain {
		return "the server sends IP packets in clear, although encryption was agreed on"
	}
	return "packets of the server decrypt to nonsense"
}

// hungUp is the error of a session whose control connection or call ended.
func (s *Session) hungUp(why error) error {
	s.seen.end, s.seen.said = endHungUp, "lost"
	evidence := fmt.Sprintf("the control connection ended %s after the call", s.seen.afterCall.Round(time.Millisecond))
	var (
		bye *control.Disconnected
		bad *control.Error
	)
	switch {
	case errors.As(why, &bye):
		s.seen.said = "disconnected"
		evidence = describeNotify(bye.Notify)
	case errors.As(why, &bad):
		s.seen.said = string(bad.Seen)
		if bad.Seen == control.SeenTimeout {
			s.seen.said = "no_echo"
		}
		evidence = bad.Error()
		if s.upInfo.MTU == 0 {
			evidence += fmt.Sprintf(", %s after the call", s.seen.afterCall.Round(time.Millisecond))
		}
	}
	if s.seen.declined != "" {
		evidence = "the server asks for " + s.link.declinedName + "; " + evidence
	}
	return s.conclude(evidence, why)
}

// leave says goodbye on both layers, within the time that Close may take.
func (s *Session) leave(cancel context.CancelFunc, ended <-chan error) {
	ctx, stop := context.WithTimeout(context.Background(), s.cfg.Timeouts.Close)
	defer stop()
	s.link.close(time.Now())
	s.terminate(ctx)
	cancel()
	if err, first := <-ended; first && errors.Is(err, context.Canceled) {
		_ = s.conn.Hangup(ctx, s.call.ID()) // its errors are the server's last word, or none
	}
	s.conn.Close()
}

// terminate waits for the server's Terminate-Ack, for a quarter of the time.
func (s *Session) terminate(ctx context.Context) {
	timer := time.NewTimer(s.cfg.Timeouts.Close / 4)
	defer timer.Stop()
	for !s.link.quiet() {
		select {
		case <-s.frames.wake:
			s.drain(time.Now())
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// --- what the link calls

func (s *Session) sendFrame(proto ppp.Protocol, p ppp.Packet) {
	b := make([]byte, gre.Headroom, gre.Headroom+ppp.FrameOverhead+4+len(p.Data))
	b = p.Append(ppp.AppendFrame(b, proto))
	_ = s.call.Send(b) // every request is repeated until it is answered
}

func (s *Session) keyed(enc *mppe.Encryptor, dec *mppe.Decryptor) {
	s.txMu.Lock()
	s.enc = enc
	s.txMu.Unlock()
	s.dec.Store(dec)
}

func (s *Session) flush() {
	dec := s.dec.Load()
	s.txMu.Lock()
	defer s.txMu.Unlock()
	if s.enc != nil {
		s.enc.Flush(dec != nil && dec.PeerKeepsKey())
	}
}

func (s *Session) astray() {
	s.txMu.Lock()
	defer s.txMu.Unlock()
	if s.enc != nil {
		s.enc.Astray()
	}
}
