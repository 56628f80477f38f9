package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/beat"
)

// The timeout of each step if its context has no deadline.
const (
	StartTimeout = 5 * time.Second
	CallTimeout  = 10 * time.Second
	StopTimeout  = time.Second
)

// writeTimeout bounds every write: a few hundred bytes do not fit into the socket
// buffer only if the other side has stopped reading.
const writeTimeout = 5 * time.Second

// Conn is the client's side of a control connection that carries one call. It
// starts no goroutine. The order of calls is Start, Call, Run; Hangup or Stop; Close.
// Methods that read wait for one another, so end Run through its context before Hangup.
// SetLinkInfo, Echo, Clear and Close may be called at any time.
type Conn struct {
	nc        net.Conn
	cfg       Config
	r         *Reader
	readToken chan struct{} // holds a token while a method reads

	mu  sync.Mutex // guards the fields below and the order of writes
	out []byte

	startResult StartResult // the server's answer to Start

	echoMu        sync.Mutex
	lastEchoID    uint32                 // identifier of the last Echo-Request
	pendingEchoes map[uint32]pendingEcho // by identifier
}

// pendingEcho is an Echo-Request that a caller waits for.
type pendingEcho struct {
	sent     time.Time
	answered chan<- time.Duration
}

// NewConn returns the client's side of a control connection over nc. It takes ownership
// of nc.
func NewConn(nc net.Conn, cfg Config) *Conn {
	return &Conn{
		nc:        nc,
		cfg:       cfg.withDefaults(),
		r:         NewReader(nc),
		readToken: make(chan struct{}, 1),
	}
}

// Close closes the TCP connection at once.
func (c *Conn) Close() error { return c.nc.Close() }

// Start opens the control connection. The error is nil if the server answered as a
// PPTP server, which includes StartAlreadyExists. Any other result is returned together
// with a *Refused. Other failures are an *Error.
func (c *Conn) Start(ctx context.Context) (SCCRP, error) {
	var reply SCCRP
	err := c.roundTrip(ctx, StepStart, StartTimeout, SCCRQ{
		Version:  Version,
		Framing:  FramingAsync | FramingSync,
		Bearer:   BearerAnalog | BearerDigital,
		Firmware: c.cfg.Firmware,
		Host:     c.cfg.Host,
		Vendor:   c.cfg.Vendor,
	}, func(m Message) (done bool) {
		reply, done = m.(SCCRP)
		return done
	})
	if err != nil {
		return SCCRP{}, err
	}
	c.startResult = reply.Result
	// Some servers send version zero, and minor versions are compatible.
	if reply.Result.Answers() && reply.Version>>8 > Version>>8 {
		c.startResult = StartVersion
	}
	if !c.startResult.Answers() {
		return reply, &Refused{Step: StepStart, Result: c.startResult, General: reply.General, Version: reply.Version}
	}
	return reply, nil
}

// Call asks for a tunnel. callID is the id of the server's GRE packets to us; the
// reply's CallID is the id of ours. A reply other than CallConnected is returned together
// with a *Refused, a Call-Disconnect-Notify instead of the reply is a *Disconnected, and
// other failures are an *Error.
func (c *Conn) Call(ctx context.Context, callID, serial uint16) (OCRP, error) {
	if !c.startResult.Accepts() {
		return OCRP{}, &Refused{Step: StepStart, Result: c.startResult}
	}
	var (
		reply OCRP
		ended *Disconnected
	)
	// The connection carries one call, so every reply belongs to it, even if
	// the server changed its id.
	err := c.roundTrip(ctx, StepCall, CallTimeout, OCRQ{
		CallID:  callID,
		Serial:  serial,
		MinBPS:  300,
		MaxBPS:  100_000_000,
		Bearer:  BearerAnalog | BearerDigital,
		Framing: FramingAsync | FramingSync,
		Window:  c.cfg.Window,
	}, func(m Message) (done bool) {
		switch m := m.(type) {
		case OCRP:
			reply = m
			return true
		case CDN:
			ended = &Disconnected{Step: StepCall, Notify: m}
			return true
		}
		return false
	})
	switch {
	case err != nil:
		return OCRP{}, err
	case ended != nil:
		return OCRP{}, ended
	case reply.Result != CallConnected:
		return reply, &Refused{Step: StepCall, Result: reply.Result, General: reply.General, Cause: reply.Cause}
	}
	return reply, nil
}

// SetLinkInfo tells the server that no character needs escaping. peerCallID is
// the server's call id.
func (c *Conn) SetLinkInfo(ctx context.Context, peerCallID uint16) error {
	return c.sendMessage(ctx, StepSession, SLI{PeerCallID: peerCallID, SendACCM: NoMap, ReceiveACCM: NoMap})
}

// Clear asks the server to end the call with our callID. Run reports the
// server's Call-Disconnect-Notify.
func (c *Conn) Clear(ctx context.Context, callID uint16) error {
	return c.sendMessage(ctx, StepStop, CallClear{CallID: callID})
}

// Stop sends a Stop-Control-Connection-Request and waits for the reply or the end of
// the connection, at most StopTimeout. It does not close the connection.
func (c *Conn) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, StopTimeout)
	defer cancel()
	err := c.roundTrip(ctx, StepStop, StopTimeout, StopCCRQ{Reason: StopNone}, func(m Message) bool {
		_, done := m.(StopCCRP)
		return done
	})
	return ignoreClosed(err)
}

// Hangup ends the call with our callID, stops the control connection and closes it.
// It waits for the server at most twice StopTimeout.
func (c *Conn) Hangup(ctx context.Context, callID uint16) error {
	defer c.Close()
	brief, cancel := context.WithTimeout(ctx, StopTimeout)
	defer cancel()
	err := c.roundTrip(brief, StepStop, StopTimeout, CallClear{CallID: callID}, func(m Message) bool {
		_, done := m.(CDN)
		return done
	})
	if err != nil && !hasFailure(err, FailureTimeout) {
		return ignoreClosed(err) // pptpd closes the connection at this point, so there is nothing to stop
	}
	return c.Stop(ctx)
}

// ignoreClosed returns nil if err says that the server has ended the connection, which
// is as good as a reply when we end it too.
func ignoreClosed(err error) error {
	if hasFailure(err, FailureClosed) || hasFailure(err, FailureReset) || hasFailure(err, FailureStopped) {
		return nil
	}
	return err
}

// Run keeps the connection alive until it ends: it answers Echo-Requests, sends its own
// after a silence, and ignores messages that it does not need. It returns a
// *Disconnected after a Call-Disconnect-Notify, an *Error if the connection ended or the
// server is dead, or the context's error; after the latter the connection is still
// usable.
func (c *Conn) Run(ctx context.Context) error {
	done, err := c.acquireRead(ctx, StepSession)
	if err != nil {
		return err
	}
	defer done()
	// Align the echoes with those of other silent connections.
	silence := func() time.Time { return beat.Before(time.Now().Add(c.cfg.EchoInterval), c.cfg.EchoInterval/100) }
	limit, asked := silence(), false
	for {
		m, err := c.receiveMessage(ctx, StepSession, limit)
		var e *Error
		switch {
		case err == nil:
			// Any message proves that the server is alive, not only the reply.
			limit, asked = silence(), false
		case asked && ctx.Err() == nil && hasFailure(err, FailureTimeout) && c.isAlive():
			limit, asked = silence(), false
		case asked || ctx.Err() != nil || !errors.As(err, &e) || !errors.Is(e.Err, os.ErrDeadlineExceeded):
			if ctx.Err() != nil {
				return fmt.Errorf("%s: %w", StepSession, ctx.Err())
			}
			return err
		default:
			c.isAlive()
			if err := c.sendMessage(ctx, StepSession, EchoRequest{ID: c.nextEcho()}); err != nil {
				return err
			}
			limit, asked = time.Now().Add(c.cfg.EchoTimeout), true
		}
		switch m := m.(type) {
		case CDN:
			return &Disconnected{Step: StepSession, Notify: m}
		case EchoReply:
			c.completeEcho(m.ID)
		}
	}
}

func (c *Conn) isAlive() bool { return c.cfg.Alive != nil && c.cfg.Alive() }

// Echo sends an Echo-Request while Run reads. The channel receives how long the
// answer took. The caller must always call forget. Echo may be called at any
// time.
func (c *Conn) Echo(ctx context.Context) (answered <-chan time.Duration, forget func(), err error) {
	ch := make(chan time.Duration, 1)
	id := c.nextEcho()
	c.echoMu.Lock()
	if c.pendingEchoes == nil {
		c.pendingEchoes = make(map[uint32]pendingEcho)
	}
	c.pendingEchoes[id] = pendingEcho{time.Now(), ch}
	c.echoMu.Unlock()
	forget = func() {
		c.echoMu.Lock()
		delete(c.pendingEchoes, id)
		c.echoMu.Unlock()
	}
	if err := c.sendMessage(ctx, StepSession, EchoRequest{ID: id}); err != nil {
		forget()
		return nil, nil, err
	}
	return ch, forget, nil
}

func (c *Conn) nextEcho() uint32 {
	c.echoMu.Lock()
	defer c.echoMu.Unlock()
	c.lastEchoID++
	return c.lastEchoID
}

// completeEcho handles the answer to an Echo-Request.
func (c *Conn) completeEcho(id uint32) {
	c.echoMu.Lock()
	defer c.echoMu.Unlock()
	if a, ok := c.pendingEchoes[id]; ok {
		delete(c.pendingEchoes, id)
		a.answered <- time.Since(a.sent) // buffered for one value
	}
}

// roundTrip sends a request and reads until done reports that the reply has come.
func (c *Conn) roundTrip(ctx context.Context, step Step, timeout time.Duration, request Message, done func(Message) bool) error {
	free, err := c.acquireRead(ctx, step)
	if err != nil {
		return err
	}
	defer free()
	limit, ok := ctx.Deadline()
	if !ok {
		limit = time.Now().Add(timeout)
	}
	// A server that resets or closes the connection has often sent a reason before, so
	// read even if the request could not be written.
	sent := c.sendMessage(ctx, step, request)
	for {
		m, err := c.receiveMessage(ctx, step, limit)
		switch {
		case err == nil && done(m):
			return nil
		case err != nil && hasFailure(err, FailureClosed) && hasFailure(sent, FailureReset):
			return sent // the write consumed the reset that the read would have returned
		case err != nil:
			return c.markUnacked(step, err)
		}
	}
}

// markUnacked changes a timeout of a request that did not reach the server's machine to
// the failure that says so.
func (c *Conn) markUnacked(step Step, err error) error {
	var e *Error
	if errors.As(err, &e) && e.Failure == FailureTimeout && hasUnacked(c.nc) {
		switch step {
		case StepStart:
			e.Failure = FailureNoAck
		case StepCall:
			e.Failure = FailureLost
		}
	}
	return err
}

// hasFailure reports whether err is an *Error with this failure.
func hasFailure(err error, seen Failure) bool {
	var e *Error
	return errors.As(err, &e) && e.Failure == seen
}

// acquireRead waits until no other method reads, and makes ctx end the reads that
// follow. The caller must call done after reading.
func (c *Conn) acquireRead(ctx context.Context, step Step) (done func(), err error) {
	select {
	case c.readToken <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", step, ctx.Err())
	}
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // if this fails, so does the read
	})
	return func() {
		if !stop() {
			<-cut // otherwise it would end the next reader's read
		}
		<-c.readToken
	}, nil
}

// receiveMessage reads one message and sends the answer that every client owes to it.
func (c *Conn) receiveMessage(ctx context.Context, step Step, limit time.Time) (Message, error) {
	_ = c.nc.SetReadDeadline(limit) // if this fails, so does the read
	// The limit may have replaced the deadline that ctx has just set.
	if ctx.Err() != nil {
		return nil, newError(ctx, step, c.r.Pending(), os.ErrDeadlineExceeded)
	}
	m, err := c.r.Next()
	if err != nil {
		return nil, newError(ctx, step, c.r.Pending(), err)
	}
	if c.cfg.OnMessage != nil {
		c.cfg.OnMessage(false, m)
	}
	switch m := m.(type) {
	case EchoRequest:
		return m, c.sendMessage(ctx, step, EchoReply{ID: m.ID, Result: ReplyOK})
	case ICRQ:
		return m, c.sendMessage(ctx, step, ICRP{PeerCallID: m.CallID, Result: IncomingNotAccepted})
	case StopCCRQ:
		// The reply is a courtesy: only the server's stop counts.
		_ = c.sendMessage(ctx, step, StopCCRP{Result: ReplyOK})
		return nil, &Error{Step: step, Failure: FailureStopped, Reason: m.Reason}
	}
	return m, nil
}

// sendMessage writes one message.
func (c *Conn) sendMessage(ctx context.Context, step Step, m Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cfg.OnMessage != nil {
		c.cfg.OnMessage(true, m)
	}
	limit := time.Now().Add(writeTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(limit) {
		limit = d
	}
	_ = c.nc.SetWriteDeadline(limit) // if this fails, so does the write
	c.out = m.Append(c.out[:0])
	if _, err := c.nc.Write(c.out); err != nil {
		return newError(ctx, step, nil, fmt.Errorf("send %v: %w", m.Type(), err))
	}
	return nil
}
