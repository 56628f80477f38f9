package monitor

import (
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	// longestRest is how long a node that failed is left alone at most.
	longestRest = 6 * time.Hour
	// usualRest is where its rests begin when fine nodes are not pinged.
	usualRest = 15 * time.Minute
	// refusedRest is between two tries of a login that was refused.
	refusedRest = 24 * time.Hour
)

// Plan says how to look at a node whose time has come, and what to remember of
// it; an empty kind looks at nothing. Spread is in 0..1 and keeps nodes from
// being due together: by it a rest is up to a tenth longer.
func Plan(s connexa.MonitorSettings, w connexa.Watch, now time.Time, spread float64) (look connexa.Kind, next connexa.Watch) {
	return planner{s: s, now: now, spread: spread}.plan(w)
}

// PlanPing is Plan for a fine node whose login must wait for its turn: meanwhile
// it is pinged as on any other day.
func PlanPing(s connexa.MonitorSettings, w connexa.Watch, now time.Time, spread float64) (look connexa.Kind, next connexa.Watch) {
	return planner{s: s, now: now, spread: spread, pings: true}.plan(w)
}

func (p planner) plan(w connexa.Watch) (look connexa.Kind, next connexa.Watch) {
	now, s := p.now, p.s
	if w.LastAt.After(now) { // the clock was set back
		w.LastAt = now
	}
	switch {
	case !s.Watches(w.Tags):
		w.DueAt, w.Earned = time.Time{}, false
		return "", w
	case w.Status.Validated():
		return p.up(w)
	case w.Status == connexa.LoginFailed:
		return p.refused(w)
	default:
		return p.down(w)
	}
}

type planner struct {
	s      connexa.MonitorSettings
	now    time.Time
	spread float64
	pings  bool // a login that is due waits
}

// after is a time that lies d after from, or a little more.
func (p planner) after(from time.Time, d time.Duration) time.Time {
	return from.Add(d + time.Duration(p.spread*float64(d)/10))
}

// up pings a node that is fine, and logs in where that is due. A look that
// somebody else had made counts as one of ours.
func (p planner) up(w connexa.Watch) (connexa.Kind, connexa.Watch) {
	ping, login := p.s.Ping(), p.s.Login()
	w.Plan, w.Tries, w.Earned = connexa.WatchUp, 0, false
	session := w.Last == connexa.Login || w.Last == connexa.Speed
	switch {
	case login == 0:
		w.LoginAt = time.Time{}
	case session && w.LoginAt.Before(w.LastAt.Add(login)):
		w.LoginAt = p.after(w.LastAt, login)
	case w.LoginAt.IsZero(): // its last session was before anybody kept count
		w.LoginAt = p.after(p.now, login)
	}
	look := connexa.Kind("")
	switch {
	case login > 0 && !w.LoginAt.After(p.now) && !p.pings:
		look, w.LoginAt = connexa.Login, p.after(p.now, login)
		w.DueAt = p.after(p.now, ping)
	case ping > 0 && w.LastAt.Add(ping).After(p.now):
		w.DueAt = p.after(w.LastAt, ping)
	case ping > 0:
		look, w.DueAt = connexa.Ping, p.after(p.now, ping)
	}
	if login > 0 && !p.pings && (ping == 0 || w.LoginAt.Before(w.DueAt)) {
		w.DueAt = w.LoginAt
	}
	if ping == 0 && login == 0 {
		w.DueAt = time.Time{}
	}
	return look, w
}

// down pings a node that failed, ever more rarely. Once it answers it has earned
// a login.
func (p planner) down(w connexa.Watch) (connexa.Kind, connexa.Watch) {
	answered := w.Earned || w.Status == connexa.PingOK
	if w.Plan != connexa.WatchDown {
		w.Plan, w.Tries = connexa.WatchDown, 0
		if w.DueAt = p.rest(w.LastAt, 0); !answered && w.DueAt.After(p.now) {
			return "", w
		}
	}
	look := connexa.Ping
	if answered {
		look, w.Earned = connexa.Login, false
	}
	w.Tries++
	w.DueAt = p.rest(p.now, w.Tries)
	return look, w
}

// rest is when a node that failed is looked at after so many tries.
func (p planner) rest(from time.Time, tries int) time.Time {
	d := p.s.Ping()
	if d == 0 {
		d = usualRest
	}
	d = min(d, longestRest)
	for range tries {
		if d *= 2; d >= longestRest {
			return from.Add(longestRest)
		}
	}
	return from.Add(min(d+time.Duration(p.spread*float64(d)/10), longestRest))
}

// refused tries a login that was refused once a day, a few times; then it is a
// person's turn.
func (p planner) refused(w connexa.Watch) (connexa.Kind, connexa.Watch) {
	w.Earned = false
	if w.Plan != connexa.WatchRefused {
		w.Plan, w.Tries = connexa.WatchRefused, 0
		w.DueAt = p.after(p.now, refusedRest)
		return "", w
	}
	if w.Tries >= connexa.MostRefusals {
		w.DueAt = time.Time{}
		return "", w
	}
	w.Tries++
	w.DueAt = time.Time{}
	if w.Tries < connexa.MostRefusals {
		w.DueAt = p.after(p.now, refusedRest)
	}
	return connexa.Login, w
}
