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
	gather   = 5 * time.Second  // from the first notice to the message that tells of it
	between  = time.Minute      // from the end of one attempt to the next
	sendTime = 20 * time.Second // for one attempt
	lastTime = 2 * time.Second  // for all that go out at the end
	inboxMax = 4096
)

// pauses are between the attempts at one message. None is shorter than between,
// since an attempt that seems to have failed may have gone out. The last ones
// outlast a short loss of the network.
var pauses = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute}

// Notifier sends notices to channels.
type Notifier struct {
	Config
	inbox chan connexa.Notice
	wake  chan struct{}
	hung  hung
}

// New returns a Notifier. It starts nothing; Run does the work.
func New(c Config) *Notifier {
	if c.Guard == nil {
		c.Guard = &guard.Guard{}
	}
	return &Notifier{Config: c, inbox: make(chan connexa.Notice, inboxMax), wake: make(chan struct{}, 1), hung: hung{at: map[int64]int{}}}
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

// lane is a channel and what waits to be sent to it. Only Run's goroutine
// touches it.
type lane struct {
	channel connexa.Channel
	waiting digest
	due     time.Time // when to send what waits; zero: nothing does, or an attempt goes on
	free    time.Time // no attempt before this
	failed  int       // attempts at what waits
	busy    bool
}

// outcome is how an attempt ended.
type outcome struct {
	channel int64
	sent    digest
	err     error
}

// Run sends until ctx is done, and then what waits where a message may go out now.
func (n *Notifier) Run(ctx context.Context) error {
	r := &round{Notifier: n, lanes: map[int64]*lane{}, ended: make(chan outcome)}
	var cut context.CancelFunc
	r.sending, cut = context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	n.reload(ctx, r.lanes)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(untilNext(r.lanes))
		select {
		case <-ctx.Done():
			r.finish()
			cut()
			return r.senders.Wait()
		case notice := <-n.inbox:
			select {
			case <-n.wake: // who added a channel before the notice is told of it
				n.reload(ctx, r.lanes)
			default:
			}
			r.hand(notice)
		case <-n.wake:
			n.reload(ctx, r.lanes)
		case o := <-r.ended:
			if l := r.lanes[o.channel]; l != nil {
				n.settle(l, o)
			}
		case <-timer.C:
			for _, l := range r.lanes {
				if !l.due.IsZero() && time.Until(l.due) <= 0 {
					r.send(l)
				}
			}
		}
	}
}

// round is one Run. Only its goroutine touches it.
type round struct {
	*Notifier
	lanes   map[int64]*lane
	senders errgroup.Group
	sending context.Context // of the senders; it outlasts Run's by a moment
	ended   chan outcome
}

// hand gives a notice to the channels that want it.
func (r *round) hand(notice connexa.Notice) {
	for _, l := range r.lanes {
		if l.channel.Wants(notice) {
			l.add(notice)
		}
	}
}

// send makes an attempt at what waits.
func (r *round) send(l *lane) {
	batch, channel := l.take(), l.channel
	r.senders.Go(func() error {
		err := r.deliver(r.sending, channel, batch.message(r.Notifier, channel.Lang))
		select {
		case r.ended <- outcome{channel.ID, batch, err}:
		case <-r.sending.Done():
		}
		return nil
	})
}

// finish makes the last attempts. What is not out in time, or may not go out yet,
// is lost.
func (r *round) finish() {
	for more := true; more; {
		select {
		case notice := <-r.inbox:
			r.hand(notice)
		default:
			more = false
		}
	}
	busy := 0
	for _, l := range r.lanes {
		if !l.waiting.empty() && !l.busy && time.Until(l.free) <= 0 {
			r.send(l)
		}
		if l.busy {
			busy++
		}
	}
	over := time.NewTimer(lastTime)
	defer over.Stop()
	for late := false; busy > 0 && !late; {
		select {
		case o := <-r.ended:
			if l := r.lanes[o.channel]; l != nil {
				l.busy = false
				busy--
				if o.err != nil {
					l.waiting.join(o.sent)
				}
			}
		case <-over.C:
			late = true
		}
	}
	for _, l := range r.lanes {
		if !l.waiting.empty() || l.busy {
			r.Log.Warn("notices were lost at the end", "channel", l.channel.Name, "waiting", l.waiting.count(), "attempt", l.busy)
		}
	}
}

// untilNext is how long nothing is due.
func untilNext(lanes map[int64]*lane) time.Duration {
	wait := time.Hour
	for _, l := range lanes {
		if !l.due.IsZero() {
			wait = min(wait, time.Until(l.due))
		}
	}
	return max(0, wait)
}

func (l *lane) add(notice connexa.Notice) {
	l.waiting.add(notice)
	if l.due.IsZero() && !l.busy {
		l.schedule(gather)
	}
}

// schedule sets the time of the next attempt, so long from now at least.
func (l *lane) schedule(wait time.Duration) {
	l.due = time.Now().Add(wait)
	if l.due.Before(l.free) {
		l.due = l.free
	}
}

// take empties the lane for an attempt.
func (l *lane) take() digest {
	batch := l.waiting
	l.waiting, l.due, l.busy = digest{}, time.Time{}, true
	return batch
}

// settle goes on after an attempt: a failed message is joined with what came
// since, and tried again a few times.
func (n *Notifier) settle(l *lane, o outcome) {
	l.busy, l.free = false, time.Now().Add(between)
	wait := gather
	switch {
	case o.err == nil:
		l.failed = 0
	case l.failed < len(pauses):
		wait = pauses[l.failed]
		l.failed++
		o.sent.join(l.waiting)
		l.waiting = o.sent
	default:
		n.Log.Warn("notices were given up", "channel", l.channel.Name, "notices", o.sent.count(), "attempts", l.failed+1)
		l.failed = 0
	}
	switch {
	case !l.channel.On:
		l.waiting = digest{}
	case !l.waiting.empty():
		l.schedule(wait)
	}
}

// reload reads the channels again. What waits for one stays, unless it was
// removed or switched off; one that failed is tried at once.
func (n *Notifier) reload(ctx context.Context, lanes map[int64]*lane) {
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
			lanes[c.ID] = &lane{channel: c}
			continue
		}
		fresh := !l.channel.Address.Equal(c.Address)
		l.channel = c
		switch {
		case !c.On:
			l.waiting, l.due = digest{}, time.Time{}
		case fresh && !l.busy && !l.waiting.empty():
			l.failed = 0
			l.schedule(gather)
		}
	}
}

// deliver makes one attempt and keeps how it ended for the page. Its error can be
// shown.
func (n *Notifier) deliver(ctx context.Context, c connexa.Channel, m Message) error {
	err := n.attempt(ctx, c, m)
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
		lost = n.Store.ChannelFailed(keep, c.ID, time.Now(), kept(err))
	}
	if lost != nil {
		n.Log.Error("keep the state of a channel", "channel", c.Name, "err", lost)
	}
	return err
}

// Test sends a message that says that it is a test, at once.
func (n *Notifier) Test(ctx context.Context, c connexa.Channel) error {
	title := n.Words(c.Lang, connexa.T("notify.test"))
	err := n.deliver(ctx, c, Message{Title: title, Text: n.signed(title, n.link(""))})
	if err != nil {
		return &connexa.Error{Code: connexa.Invalid, Text: connexa.T("channel.test.failed", c.Name, said(err)), Err: err}
	}
	return nil
}

// attempt sends m, within a time and without the address in its error. The
// services know no context: one that hangs is left behind, and a channel with two
// of those has no more attempts until one of them ends.
func (n *Notifier) attempt(ctx context.Context, c connexa.Channel, m Message) error {
	send := n.Send
	if send == nil {
		send = func(ctx context.Context, address connexa.Secret, m Message) error {
			return post(ctx, n.Guard, address, m)
		}
	}
	if !n.hung.begin(c.ID) {
		return errHung
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer n.hung.end(c.ID)
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
	errSlow = connexa.Errorf(connexa.Busy, "channel.slow", sendTime)
	errHung = connexa.Errorf(connexa.Busy, "channel.hung")
)

// said is what a page may say of a failure: a sentence of ours, or the words of a
// service.
func said(err error) any {
	var e *connexa.Error
	if errors.As(err, &e) {
		return e.Text
	}
	return err.Error()
}

// kept is what is kept of it.
func kept(err error) string {
	if t, ok := said(err).(connexa.Text); ok {
		return connexa.AuditDetail(t)
	}
	return err.Error()
}

// hung counts the attempts at each channel that have not ended.
type hung struct {
	mu sync.Mutex
	at map[int64]int
}

// hungMost is how many attempts at one channel there may be: one, and one beside
// it that was left behind or is a test.
const hungMost = 2

func (h *hung) begin(id int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at[id] >= hungMost {
		return false
	}
	h.at[id]++
	return true
}

func (h *hung) end(id int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at[id]--; h.at[id] == 0 {
		delete(h.at, id)
	}
}
