// Package notify sends notifications of events to channels: it collects them, summarises
// them and sends them through the services of shoutrrr.
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

// Store stores the channels and their state.
type Store interface {
	Channels(ctx context.Context) ([]connexa.Channel, error)
	ChannelSent(ctx context.Context, id int64, at time.Time) error
	ChannelFailed(ctx context.Context, id int64, at time.Time, problem string) error
}

// Config configures a Notifier.
type Config struct {
	Store Store
	Words func(lang string, t connexa.Text) string // translates a text
	Panel *url.URL                                 // public URL of the panel. Optional.
	Log   *slog.Logger
	Guard *guard.Guard                                                       // restricts where messages may go. Defaults to no local destinations.
	Send  func(ctx context.Context, address connexa.Secret, m Message) error // replaces shoutrrr in tests. Optional.
}

// The times and bounds of messages to one channel.
const (
	gatherDelay     = 5 * time.Second  // from the first notification to its message
	minInterval     = time.Minute      // from the end of one attempt to the next
	sendTimeout     = 20 * time.Second // for one attempt
	shutdownTimeout = 2 * time.Second  // for all messages that are sent at shutdown
	maxInbox        = 4096
)

// retryDelays are the delays between the attempts at one message. None is shorter
// than minInterval, since an attempt that seems to have failed may have been
// delivered. The last ones outlast a short loss of the network.
var retryDelays = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute}

// Notifier sends notifications to channels.
type Notifier struct {
	Config
	inbox    chan connexa.Notification
	wake     chan struct{}
	attempts openAttempts
}

// New returns a Notifier. It starts nothing; Run does the work.
func New(c Config) *Notifier {
	if c.Guard == nil {
		c.Guard = &guard.Guard{}
	}
	return &Notifier{Config: c, inbox: make(chan connexa.Notification, maxInbox), wake: make(chan struct{}, 1), attempts: openAttempts{byChannel: map[int64]int{}}}
}

// Notify queues a notification. It never blocks: when the queue is full, the notification is
// dropped.
func (n *Notifier) Notify(notification connexa.Notification) {
	if notification.At.IsZero() {
		notification.At = time.Now()
	}
	select {
	case n.inbox <- notification:
	default:
		n.Log.Warn("a notification was dropped", "kind", string(notification.Kind))
	}
}

// Wake makes the Notifier reload the channels.
func (n *Notifier) Wake() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Run sends messages until ctx is done, and then the waiting ones that may be sent now.
func (n *Notifier) Run(ctx context.Context) error {
	r := &session{Notifier: n, outboxes: map[int64]*outbox{}, ended: make(chan attemptResult)}
	sending, cut := context.WithCancel(context.WithoutCancel(ctx)) // of the attempts, which end shortly after ctx
	defer cut()
	n.reloadChannels(ctx, r.outboxes)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(untilNext(r.outboxes))
		select {
		case <-ctx.Done():
			r.sendRemaining(sending)
			cut()
			return r.attempts.Wait()
		case notification := <-n.inbox:
			select {
			case <-n.wake: // a channel that was added before the notification gets it
				n.reloadChannels(ctx, r.outboxes)
			default:
			}
			r.distribute(notification)
		case <-n.wake:
			n.reloadChannels(ctx, r.outboxes)
		case o := <-r.ended:
			if l := r.outboxes[o.channel]; l != nil {
				n.endAttempt(l, o)
			}
		case <-timer.C:
			for _, l := range r.outboxes {
				if !l.due.IsZero() && time.Until(l.due) <= 0 {
					r.startAttempt(sending, l)
				}
			}
		}
	}
}

// session is the state of one Run. Only its goroutine uses it.
type session struct {
	*Notifier
	outboxes map[int64]*outbox
	attempts errgroup.Group
	ended    chan attemptResult
}

// distribute adds a notification to the outboxes of the channels that want it.
func (r *session) distribute(notification connexa.Notification) {
	for _, l := range r.outboxes {
		if l.channel.Wants(notification) {
			l.addNotification(notification)
		}
	}
}

// startAttempt sends the waiting notifications of a channel.
func (r *session) startAttempt(ctx context.Context, l *outbox) {
	batch, channel := l.beginAttempt(), l.channel
	r.attempts.Go(func() error {
		err := r.deliverMessage(ctx, channel, batch.formatMessage(r.Notifier, channel.Lang))
		select {
		case r.ended <- attemptResult{channel.ID, batch, err}:
		case <-ctx.Done():
		}
		return nil
	})
}

// sendRemaining makes the last attempts. Notifications that are not sent in time, or may not
// be sent yet, are lost.
func (r *session) sendRemaining(ctx context.Context) {
	for more := true; more; {
		select {
		case notification := <-r.inbox:
			r.distribute(notification)
		default:
			more = false
		}
	}
	busy := 0
	for _, l := range r.outboxes {
		if !l.waiting.isEmpty() && !l.sending && time.Until(l.notBefore) <= 0 {
			r.startAttempt(ctx, l)
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
			r.Log.Warn("notifications were lost at the end", "channel", l.channel.Name, "waiting", l.waiting.notificationCount(), "attempt", l.sending)
		}
	}
}

// reloadChannels reads the channels. Waiting notifications stay, unless their channel was
// deleted or disabled. A failed channel with a new address is retried at once.
func (n *Notifier) reloadChannels(ctx context.Context, outboxes map[int64]*outbox) {
	list, err := n.Store.Channels(ctx)
	if err != nil {
		if ctx.Err() == nil {
			n.Log.Error("the channels of notifications stay as they were", "err", err)
		}
		return
	}
	for id := range outboxes {
		if !slices.ContainsFunc(list, func(c connexa.Channel) bool { return c.ID == id }) {
			delete(outboxes, id)
		}
	}
	for _, c := range list {
		l := outboxes[c.ID]
		if l == nil {
			outboxes[c.ID] = &outbox{channel: c}
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

// deliverMessage makes one attempt and stores its result for the channels page. The
// error may be shown to users.
func (n *Notifier) deliverMessage(ctx context.Context, c connexa.Channel, m Message) error {
	err := n.attemptSend(ctx, c, m)
	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var lost error
	switch {
	case err == nil:
		lost = n.Store.ChannelSent(keep, c.ID, time.Now())
	case ctx.Err() != nil: // a shutdown is not a failure of the channel
		return err
	default:
		n.Log.Warn("a message was not sent", "channel", c.Name, "service", c.Transport(), "err", err)
		lost = n.Store.ChannelFailed(keep, c.ID, time.Now(), storedError(err))
	}
	if lost != nil {
		n.Log.Error("keep the state of a channel", "channel", c.Name, "err", lost)
	}
	return err
}

// Test sends a test message at once.
func (n *Notifier) Test(ctx context.Context, c connexa.Channel) error {
	title := n.Words(c.Lang, connexa.T("notify.test"))
	err := n.deliverMessage(ctx, c, Message{Title: title, Text: n.withLink(title, n.panelURL(""))})
	if err != nil {
		return &connexa.Error{Code: connexa.Invalid, Text: connexa.T("channel.test.failed", c.Name, errorText(err)), Err: err}
	}
	return nil
}

// attemptSend sends m within sendTimeout and removes the address from the error. The
// services take no context: a call that hangs is abandoned, and a channel with
// maxAttempts open calls gets no more until one of them ends.
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

// errorText returns what a page shows of a failure: a text of ours, or the words of a
// service.
func errorText(err error) any {
	if e, ok := errors.AsType[*connexa.Error](err); ok {
		return e.Text
	}
	return err.Error()
}

// storedError returns a failure in the form that is stored.
func storedError(err error) string {
	if t, ok := errorText(err).(connexa.Text); ok {
		return connexa.AuditDetail(t)
	}
	return err.Error()
}

// openAttempts counts the attempts per channel that have not ended.
type openAttempts struct {
	mu        sync.Mutex
	byChannel map[int64]int
}

// maxAttempts is the largest number of open attempts per channel: one, and one more
// beside an abandoned one or for a test.
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
