// Package notify tells people what happened while they were not looking: it
// gathers notices, sums them up and sends them to channels, by the services of
// shoutrrr.
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/guard"
)

// Store is where channels are kept.
type Store interface {
	Channels(ctx context.Context) ([]connexa.Channel, error)
	ChannelSent(ctx context.Context, id int64, at time.Time) error
	ChannelFailed(ctx context.Context, id int64, at time.Time, problem string) error
}

// Config is what a Notifier works with.
type Config struct {
	Store Store
	Words func(lang string, t connexa.Text) string // a sentence in a language
	Panel *url.URL                                 // optional: where people reach the panel
	Log   *slog.Logger
	Guard *guard.Guard                                                       // where messages may go; nil: nowhere on this machine and its link
	Send  func(ctx context.Context, address connexa.Secret, m Message) error // optional: in place of shoutrrr, for tests
}

// The pace of messages to one channel.
const (
	gatherDelay     = 5 * time.Second  // from the first notice to the message that tells of it
	minInterval     = time.Minute      // from the end of one attempt to the next
	sendTimeout     = 20 * time.Second // for one attempt
	shutdownTimeout = 2 * time.Second  // for all that go out at the end
	maxInbox        = 4096
)

// retryDelays are between the attempts at one message. None is shorter than between,
// since an attempt that seems to have failed may have gone out. The last ones
// outlast a short loss of the network.
var retryDelays = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute}

// Notifier sends notices to channels.
type Notifier struct {
	Config
	inbox    chan connexa.Notice
	wake     chan struct{}
	attempts openAttempts
}

// New returns a Notifier. It starts nothing; Run does the work.
func New(c Config) *Notifier {
	if c.Guard == nil {
		c.Guard = &guard.Guard{}
	}
	return &Notifier{Config: c, inbox: make(chan connexa.Notice, maxInbox), wake: make(chan struct{}, 1), attempts: openAttempts{byChannel: map[int64]int{}}}
}

// Notify takes a notice to send. It never blocks: when thousands wait, the
// notice is dropped.
func (n *Notifier) Notify(notice connexa.Notice) {
	if notice.At.IsZero() {
		notice.At = time.Now()
	}
	select {
	case n.inbox <- notice:
	default:
		n.Log.Warn("a notice was dropped", "kind", string(notice.Kind))
	}
}

// Wake says that the channels have changed.
func (n *Notifier) Wake() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// outbox is a channel and what waits to be sent to it. Only Run's goroutine
// touches it.
type outbox struct {
	channel   connexa.Channel
	waiting   digest
	due       time.Time // when to send what waits; zero: nothing does, or an attempt goes on
	notBefore time.Time // no attempt before this
	failures  int       // attempts at what waits
	sending   bool
}

// attemptResult is how an attempt ended.
type attemptResult struct {
	channel int64
	sent    digest
	err     error
}

// Run sends until ctx is done, and then what waits where a message may go out now.
func (n *Notifier) Run(ctx context.Context) error {
	r := &session{Notifier: n, outboxes: map[int64]*outbox{}, ended: make(chan attemptResult)}
	var cut context.CancelFunc
	r.sending, cut = context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	n.reloadChannels(ctx, r.outboxes)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(untilNext(r.outboxes))
		select {
		case <-ctx.Done():
			r.sendRemaining()
			cut()
			return r.attempts.Wait()
		case notice := <-n.inbox:
			select {
			case <-n.wake: // who added a channel before the notice is told of it
				n.reloadChannels(ctx, r.outboxes)
			default:
			}
			r.distribute(notice)
		case <-n.wake:
			n.reloadChannels(ctx, r.outboxes)
		case o := <-r.ended:
			if l := r.outboxes[o.channel]; l != nil {
				n.endAttempt(l, o)
			}
		case <-timer.C:
			for _, l := range r.outboxes {
				if !l.due.IsZero() && time.Until(l.due) <= 0 {
					r.startAttempt(l)
				}
			}
		}
	}
}

// session is one Run. Only its goroutine touches it.
type session struct {
	*Notifier
	outboxes map[int64]*outbox
	attempts errgroup.Group
	sending  context.Context // of the senders; it outlasts Run's by a moment
	ended    chan attemptResult
}

// distribute gives a notice to the channels that want it.
func (r *session) distribute(notice connexa.Notice) {
	for _, l := range r.outboxes {
		if l.channel.Wants(notice) {
			l.addNotice(notice)
		}
	}
}

// startAttempt makes an attempt at what waits.
func (r *session) startAttempt(l *outbox) {
	batch, channel := l.beginAttempt(), l.channel
	r.attempts.Go(func() error {
		err := r.deliverMessage(r.sending, channel, batch.formatMessage(r.Notifier, channel.Lang))
		select {
		case r.ended <- attemptResult{channel.ID, batch, err}:
		case <-r.sending.Done():
		}
		return nil
	})
}

// sendRemaining makes the last attempts. What is not out in time, or may not go out yet,
// is lost.
func (r *session) sendRemaining() {
	for more := true; more; {
		select {
		case notice := <-r.inbox:
			r.distribute(notice)
		default:
			more = false
		}
	}
	busy := 0
	for _, l := range r.outboxes {
		if !l.waiting.isEmpty() && !l.sending && time.Until(l.notBefore) <= 0 {
			r.startAttempt(l)
		}
		if l.sending {
			busy++
		}
	}
	over := time.NewTimer(shutdownTimeout)
	defer over.Stop()
	for late := false; busy > 0 && !late; {
		select {
		case o := <-r.ended:
			if l := r.outboxes[o.channel]; l != nil {
				l.sending = false
				busy--
				if o.err != nil {
					l.waiting.merge(o.sent)
				}
			}
		case <-over.C:
			late = true
		}
	}
	for _, l := range r.outboxes {
		if !l.waiting.isEmpty() || l.sending {
			r.Log.Warn("notices were lost at the end", "channel", l.channel.Name, "waiting", l.waiting.noticeCount(), "attempt", l.sending)
		}
	}
}

// untilNext is how long nothing is due.
func untilNext(lanes map[int64]*outbox) time.Duration {
	wait := time.Hour
	for _, l := range lanes {
		if !l.due.IsZero() {
			wait = min(wait, time.Until(l.due))
		}
	}
	return max(0, wait)
}

func (l *outbox) addNotice(notice connexa.Notice) {
	l.waiting.add(notice)
	if l.due.IsZero() && !l.sending {
		l.scheduleAttempt(gatherDelay)
	}
}

// scheduleAttempt sets the time of the next attempt, so long from now at least.
func (l *outbox) scheduleAttempt(wait time.Duration) {
	l.due = time.Now().Add(wait)
	if l.due.Before(l.notBefore) {
		l.due = l.notBefore
	}
}

// beginAttempt empties the lane for an attempt.
func (l *outbox) beginAttempt() digest {
	batch := l.waiting
	l.waiting, l.due, l.sending = digest{}, time.Time{}, true
	return batch
}

// endAttempt goes on after an attempt: a failed message is joined with what came
// since, and tried again a few times.
func (n *Notifier) endAttempt(l *outbox, o attemptResult) {
	l.sending, l.notBefore = false, time.Now().Add(minInterval)
	wait := gatherDelay
	switch {
	case o.err == nil:
		l.failures = 0
	case l.failures < len(retryDelays):
		wait = retryDelays[l.failures]
		l.failures++
		o.sent.merge(l.waiting)
		l.waiting = o.sent
	default:
		n.Log.Warn("notices were given up", "channel", l.channel.Name, "notices", o.sent.noticeCount(), "attempts", l.failures+1)
		l.failures = 0
	}
	switch {
	case !l.channel.On:
		l.waiting = digest{}
	case !l.waiting.isEmpty():
		l.scheduleAttempt(wait)
	}
}

// reloadChannels reads the channels again. What waits for one stays, unless it was
// removed or switched off; one that failed is tried at once.
func (n *Notifier) reloadChannels(ctx context.Context, lanes map[int64]*outbox) {
	list, err := n.Store.Channels(ctx)
	if err != nil {
		if ctx.Err() == nil {
			n.Log.Error("the channels of notices stay as they were", "err", err)
		}
		return
	}
	for id := range lanes {
		if !slices.ContainsFunc(list, func(c connexa.Channel) bool { return c.ID == id }) {
			delete(lanes, id)
		}
	}
	for _, c := range list {
		l := lanes[c.ID]
		if l == nil {
			lanes[c.ID] = &outbox{channel: c}
			continue
		}
		fresh := !l.channel.Address.Equal(c.Address)
		l.channel = c
		switch {
		case !c.On:
			l.waiting, l.due = digest{}, time.Time{}
		case fresh && !l.sending && !l.waiting.isEmpty():
			l.failures = 0
			l.scheduleAttempt(gatherDelay)
		}
	}
}

// deliverMessage makes one attempt and keeps how it ended for the page. Its error can be
// shown.
func (n *Notifier) deliverMessage(ctx context.Context, c connexa.Channel, m Message) error {
	err := n.attemptSend(ctx, c, m)
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var lost error
	switch {
	case err == nil:
		lost = n.Store.ChannelSent(keep, c.ID, time.Now())
	case ctx.Err() != nil: // a shutdown is no failure of the channel
		return err
	default:
		n.Log.Warn("a message was not sent", "channel", c.Name, "service", c.Service(), "err", err)
		lost = n.Store.ChannelFailed(keep, c.ID, time.Now(), storedError(err))
	}
	if lost != nil {
		n.Log.Error("keep the state of a channel", "channel", c.Name, "err", lost)
	}
	return err
}

// Test sends a message that says that it is a test, at once.
func (n *Notifier) Test(ctx context.Context, c connexa.Channel) error {
	title := n.Words(c.Lang, connexa.T("notify.test"))
	err := n.deliverMessage(ctx, c, Message{Title: title, Text: n.withLink(title, n.panelURL(""))})
	if err != nil {
		return &connexa.Error{Code: connexa.Invalid, Text: connexa.T("channel.test.failed", c.Name, errorText(err)), Err: err}
	}
	return nil
}

// attemptSend sends m, within a time and without the address in its error. The
// services know no context: one that hangs is left behind, and a channel with two
// of those has no more attempts until one of them ends.
func (n *Notifier) attemptSend(ctx context.Context, c connexa.Channel, m Message) error {
	send := n.Send
	if send == nil {
		send = func(ctx context.Context, address connexa.Secret, m Message) error {
			return sendMessage(ctx, n.Guard, address, m)
		}
	}
	if !n.attempts.tryBegin(c.ID) {
		return errTooMany
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer n.attempts.end(c.ID)
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("the service panicked: %v", p)
			}
		}()
		done <- send(ctx, c.Address, m)
	}()
	select {
	case err := <-done:
		if err != nil {
			return errors.New(Scrub(c.Address, err.Error()))
		}
		return nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return errSlow
		}
		return ctx.Err()
	}
}

var (
	errSlow    = connexa.Errorf(connexa.Busy, "channel.slow", sendTimeout)
	errTooMany = connexa.Errorf(connexa.Busy, "channel.hung")
)

// errorText is what a page may say of a failure: a sentence of ours, or the words of a
// service.
func errorText(err error) any {
	var e *connexa.Error
	if errors.As(err, &e) {
		return e.Text
	}
	return err.Error()
}

// storedError is what is kept of it.
func storedError(err error) string {
	if t, ok := errorText(err).(connexa.Text); ok {
		return connexa.AuditDetail(t)
	}
	return err.Error()
}

// openAttempts counts the attempts at each channel that have not ended.
type openAttempts struct {
	mu        sync.Mutex
	byChannel map[int64]int
}

// maxAttempts is how many attempts at one channel there may be: one, and one beside
// it that was left behind or is a test.
const maxAttempts = 2

func (h *openAttempts) tryBegin(id int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byChannel[id] >= maxAttempts {
		return false
	}
	h.byChannel[id]++
	return true
}

func (h *openAttempts) end(id int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byChannel[id]--; h.byChannel[id] == 0 {
		delete(h.byChannel, id)
	}
}
