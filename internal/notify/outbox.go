package notify

import (
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// outbox is a channel and its waiting notifications. Only Run's goroutine uses it.
type outbox struct {
	channel   connexa.Channel
	waiting   digest
	due       time.Time // of the next attempt; zero without waiting notifications, and during an attempt
	notBefore time.Time // earliest time of the next attempt
	failures  int       // failed attempts at the waiting notifications
	sending   bool
}

// attemptResult is the result of an attempt.
type attemptResult struct {
	channel int64
	sent    digest
	err     error
}

// untilNext returns the time until the next attempt.
func untilNext(outboxes map[int64]*outbox) time.Duration {
	wait := time.Hour
	for _, l := range outboxes {
		if !l.due.IsZero() {
			wait = min(wait, time.Until(l.due))
		}
	}
	return max(0, wait)
}

func (l *outbox) addNotification(notification connexa.Notification) {
	l.waiting.add(notification)
	if l.due.IsZero() && !l.sending {
		l.scheduleAttempt(gatherDelay)
	}
}

// scheduleAttempt schedules the next attempt after wait, or later if notBefore demands it.
func (l *outbox) scheduleAttempt(wait time.Duration) {
	l.due = time.Now().Add(wait)
	if l.due.Before(l.notBefore) {
		l.due = l.notBefore
	}
}

// beginAttempt takes the waiting notifications for an attempt.
func (l *outbox) beginAttempt() digest {
	batch := l.waiting
	l.waiting, l.due, l.sending = digest{}, time.Time{}, true
	return batch
}

// endAttempt applies the result of an attempt. A failed message is merged with newer
// notifications and retried after the next of retryDelays.
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
		n.Log.Warn("notifications were given up", "channel", l.channel.Name, "notifications", o.sent.notificationCount(), "attempts", l.failures+1)
		l.failures = 0
	}
	switch {
	case !l.channel.On:
		l.waiting = digest{}
	case !l.waiting.isEmpty():
		l.scheduleAttempt(wait)
	}
}
