package monitor

import (
	"cmp"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	// maxRetryDelay is the longest delay between two probes of a failed node.
	maxRetryDelay = 6 * time.Hour
	// defaultRetryDelay is the first delay when good nodes are not pinged.
	defaultRetryDelay = 15 * time.Minute
	// refusedRetryDelay is the delay between two tries of a refused login.
	refusedRetryDelay = 24 * time.Hour
)

// Plan returns the probe to make of a node that is due, and its next plan. An empty
// kind means no probe. spread is in 0..1 and keeps nodes from being due together: it
// lengthens a delay by up to a tenth.
func Plan(s connexa.MonitorSettings, w connexa.Monitored, now time.Time, spread float64) (kind connexa.Kind, next connexa.Monitored) {
	return planner{settings: s, now: now, spread: spread}.planProbe(w)
}

// PlanPing is Plan for a good node whose login must wait for the quota: meanwhile the
// node is pinged on schedule.
func PlanPing(s connexa.MonitorSettings, w connexa.Monitored, now time.Time, spread float64) (kind connexa.Kind, next connexa.Monitored) {
	return planner{settings: s, now: now, spread: spread, pingOnly: true}.planProbe(w)
}

func (p planner) planProbe(w connexa.Monitored) (kind connexa.Kind, next connexa.Monitored) {
	now, s := p.now, p.settings
	if w.LastAt.After(now) { // the clock was set back
		w.LastAt = now
	}
	switch {
	case !s.Covers(w.Tags):
		w.DueAt, w.Earned = time.Time{}, false
		return "", w
	case w.Status.Validated():
		return p.planOnline(w)
	case w.Status == connexa.LoginFailed:
		return p.planRefused(w)
	default:
		return p.planFailed(w)
	}
}

type planner struct {
	settings connexa.MonitorSettings
	now      time.Time
	spread   float64
	pingOnly bool // a due login waits for the quota
}

// spreadAfter returns a time at least d after from, lengthened by the spread.
func (p planner) spreadAfter(from time.Time, d time.Duration) time.Time {
	return from.Add(d + time.Duration(p.spread*float64(d)/10))
}

// planOnline pings a good node, and logs in when a login is due. A probe of another
// run counts like one of the monitor.
func (p planner) planOnline(w connexa.Monitored) (connexa.Kind, connexa.Monitored) {
	ping, login := p.settings.PingInterval(), p.settings.LoginInterval()
	w.Plan, w.Attempts, w.Earned = connexa.PlanUp, 0, false
	session := w.Last == connexa.Login || w.Last == connexa.Speed
	switch {
	case login == 0:
		w.LoginAt = time.Time{}
	case session && w.LoginAt.Before(w.LastAt.Add(login)):
		w.LoginAt = p.spreadAfter(w.LastAt, login)
	case w.LoginAt.IsZero(): // no session since the node is monitored
		w.LoginAt = p.spreadAfter(p.now, login)
	}
	kind := connexa.Kind("")
	switch {
	case login > 0 && !w.LoginAt.After(p.now) && !p.pingOnly:
		kind, w.LoginAt = connexa.Login, p.spreadAfter(p.now, login)
		w.DueAt = p.spreadAfter(p.now, ping)
	case ping > 0 && w.LastAt.Add(ping).After(p.now):
		w.DueAt = p.spreadAfter(w.LastAt, ping)
	case ping > 0:
		kind, w.DueAt = connexa.Ping, p.spreadAfter(p.now, ping)
	}
	if login > 0 && !p.pingOnly && (ping == 0 || w.LoginAt.Before(w.DueAt)) {
		w.DueAt = w.LoginAt
	}
	if ping == 0 && login == 0 {
		w.DueAt = time.Time{}
	}
	return kind, w
}

// planFailed pings a failed node at growing intervals. Once it answers, a login is
// tried.
func (p planner) planFailed(w connexa.Monitored) (connexa.Kind, connexa.Monitored) {
	answered := w.Earned || w.Status == connexa.PingOK
	if w.Plan != connexa.PlanDown {
		w.Plan, w.Attempts = connexa.PlanDown, 0
		if w.DueAt = p.retryAt(w.LastAt, 0); !answered && w.DueAt.After(p.now) {
			return "", w
		}
	}
	kind := connexa.Ping
	if answered {
		kind, w.Earned = connexa.Login, false
	}
	w.Attempts++
	w.DueAt = p.retryAt(p.now, w.Attempts)
	return kind, w
}

// retryAt returns when a failed node is probed after a number of tries.
func (p planner) retryAt(from time.Time, tries int) time.Time {
	d := p.settings.PingInterval()
	d = cmp.Or(d, defaultRetryDelay)
	d = min(d, maxRetryDelay)
	for range tries {
		if d *= 2; d >= maxRetryDelay {
			return from.Add(maxRetryDelay)
		}
	}
	return from.Add(min(d+time.Duration(p.spread*float64(d)/10), maxRetryDelay))
}

// planRefused tries a refused login once a day, connexa.MaxRefusals times. After
// that an admin has to act.
func (p planner) planRefused(w connexa.Monitored) (connexa.Kind, connexa.Monitored) {
	w.Earned = false
	if w.Plan != connexa.PlanRefused {
		w.Plan, w.Attempts = connexa.PlanRefused, 0
		w.DueAt = p.spreadAfter(p.now, refusedRetryDelay)
		return "", w
	}
	if w.Attempts >= connexa.MaxRefusals {
		w.DueAt = time.Time{}
		return "", w
	}
	w.Attempts++
	w.DueAt = time.Time{}
	if w.Attempts < connexa.MaxRefusals {
		w.DueAt = p.spreadAfter(p.now, refusedRetryDelay)
	}
	return connexa.Login, w
}
