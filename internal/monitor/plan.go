package monitor

import (
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	// maxRetryDelay is how long a node that failed is left alone at most.
	maxRetryDelay = 6 * time.Hour
	// defaultRetryDelay is where its rests begin when fine nodes are not pinged.
	defaultRetryDelay = 15 * time.Minute
	// refusedRetryDelay is between two tries of a login that was refused.
	refusedRetryDelay = 24 * time.Hour
)

// Plan says how to look at a node whose time has come, and what to remember of
// it; an empty kind looks at nothing. Spread is in 0..1 and keeps nodes from
// being due together: by it a rest is up to a tenth longer.
func Plan(s connexa.MonitorSettings, w connexa.Watch, now time.Time, spread float64) (look connexa.Kind, next connexa.Watch) {
	return planner{settings: s, now: now, spread: spread}.planProbe(w)
}

// PlanPing is Plan for a fine node whose login must wait for its turn: meanwhile
// it is pinged as on any other day.
func PlanPing(s connexa.MonitorSettings, w connexa.Watch, now time.Time, spread float64) (look connexa.Kind, next connexa.Watch) {
	return planner{settings: s, now: now, spread: spread, pingOnly: true}.planProbe(w)
}

func (p planner) planProbe(w connexa.Watch) (look connexa.Kind, next connexa.Watch) {
	now, s := p.now, p.settings
	if w.LastAt.After(now) { // the clock was set back
		w.LastAt = now
	}
	switch {
	case !s.Watches(w.Tags):
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
	pingOnly bool // a login that is due waits
}

// spreadAfter is a time that lies d after from, or a little more.
func (p planner) spreadAfter(from time.Time, d time.Duration) time.Time {
	return from.Add(d + time.Duration(p.spread*float64(d)/10))
}

// planOnline pings a node that is fine, and logs in where that is due. A look that
// somebody else had made counts as one of ours.
func (p planner) planOnline(w connexa.Watch) (connexa.Kind, connexa.Watch) {
	ping, login := p.settings.Ping(), p.settings.Login()
	w.Plan, w.Tries, w.Earned = connexa.WatchUp, 0, false
	session := w.Last == connexa.Login || w.Last == connexa.Speed
	switch {
	case login == 0:
		w.LoginAt = time.Time{}
	case session && w.LoginAt.Before(w.LastAt.Add(login)):
		w.LoginAt = p.spreadAfter(w.LastAt, login)
	case w.LoginAt.IsZero(): // its last session was before anybody kept count
		w.LoginAt = p.spreadAfter(p.now, login)
	}
	look := connexa.Kind("")
	switch {
	case login > 0 && !w.LoginAt.After(p.now) && !p.pingOnly:
		look, w.LoginAt = connexa.Login, p.spreadAfter(p.now, login)
		w.DueAt = p.spreadAfter(p.now, ping)
	case ping > 0 && w.LastAt.Add(ping).After(p.now):
		w.DueAt = p.spreadAfter(w.LastAt, ping)
	case ping > 0:
		look, w.DueAt = connexa.Ping, p.spreadAfter(p.now, ping)
	}
	if login > 0 && !p.pingOnly && (ping == 0 || w.LoginAt.Before(w.DueAt)) {
		w.DueAt = w.LoginAt
	}
	if ping == 0 && login == 0 {
		w.DueAt = time.Time{}
	}
	return look, w
}

// planFailed pings a node that failed, ever more rarely. Once it answers it has earned
// a login.
func (p planner) planFailed(w connexa.Watch) (connexa.Kind, connexa.Watch) {
	answered := w.Earned || w.Status == connexa.PingOK
	if w.Plan != connexa.WatchDown {
		w.Plan, w.Tries = connexa.WatchDown, 0
		if w.DueAt = p.retryAt(w.LastAt, 0); !answered && w.DueAt.After(p.now) {
			return "", w
		}
	}
	look := connexa.Ping
	if answered {
		look, w.Earned = connexa.Login, false
	}
	w.Tries++
	w.DueAt = p.retryAt(p.now, w.Tries)
	return look, w
}

// retryAt is when a node that failed is looked at after so many tries.
func (p planner) retryAt(from time.Time, tries int) time.Time {
	d := p.settings.Ping()
	if d == 0 {
		d = defaultRetryDelay
	}
	d = min(d, maxRetryDelay)
	for range tries {
		if d *= 2; d >= maxRetryDelay {
			return from.Add(maxRetryDelay)
		}
	}
	return from.Add(min(d+time.Duration(p.spread*float64(d)/10), maxRetryDelay))
}

// planRefused tries a login that was refused once a day, a few times; then it is a
// person's turn.
func (p planner) planRefused(w connexa.Watch) (connexa.Kind, connexa.Watch) {
	w.Earned = false
	if w.Plan != connexa.WatchRefused {
		w.Plan, w.Tries = connexa.WatchRefused, 0
		w.DueAt = p.spreadAfter(p.now, refusedRetryDelay)
		return "", w
	}
	if w.Tries >= connexa.MostRefusals {
		w.DueAt = time.Time{}
		return "", w
	}
	w.Tries++
	w.DueAt = time.Time{}
	if w.Tries < connexa.MostRefusals {
		w.DueAt = p.spreadAfter(p.now, refusedRetryDelay)
	}
	return connexa.Login, w
}
