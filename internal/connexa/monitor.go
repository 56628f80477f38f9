package connexa

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MonitorSettings are what an admin may turn about the health monitor.
type MonitorSettings struct {
	On          bool
	Tags        string    // separated by commas: nodes with any of them are looked at; empty: all
	PingMinutes int       // between two looks at a node that is fine, 1 to 1440; 0: no pings
	LoginHours  int       // between two logins, 1 to 720; 0: no logins
	Targets     string    // host:port, separated by commas: they answer while this machine is online; empty: nobody is asked
	Offered     time.Time // when the admin said that no monitor is wanted; zero: was not asked, or has switched it on
}

// DefaultMonitorSettings are those of a new panel: no node is looked at unless a
// person asks.
func DefaultMonitorSettings() MonitorSettings {
	return MonitorSettings{PingMinutes: 30, LoginHours: 12}
}

// MaxTargets is how many reference targets there may be.
const MaxTargets = 8

func (s MonitorSettings) checkMonitor(errs FieldErrors) {
	tags := FieldErrors{}
	parseTags(s.Tags, tags)
	if text, bad := tags["tags"]; bad {
		errs["monitor_tags"] = text
	}
	if s.PingMinutes < 0 || s.PingMinutes > 1440 {
		errs.Add("monitor_ping_minutes", "field.bounds", 0, 1440)
	}
	if s.LoginHours < 0 || s.LoginHours > 720 {
		errs.Add("monitor_login_hours", "field.bounds", 0, 720)
	}
	if s.On && s.PingMinutes == 0 && s.LoginHours == 0 {
		errs.Add("monitor_ping_minutes", "field.monitor.nothing")
	}
	list := s.TargetList()
	if len(list) > MaxTargets {
		errs.Add("monitor_targets", "field.monitor.many", MaxTargets)
	}
	for _, t := range list {
		if !isTarget(t) {
			errs.Add("monitor_targets", "field.monitor.target", t)
		}
	}
}

func isTarget(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return false
	}
	if net.ParseIP(host) != nil { // of either version: it is asked, it is no node
		return true
	}
	address, bad := ParseAddress(host)
	return bad == nil && strings.EqualFold(address, strings.TrimSuffix(host, ".")) // it is dialed as it is typed
}

// TagList lists the tags of the nodes that are looked at; none: all are.
func (s MonitorSettings) TagList() []string { return parseTags(s.Tags, FieldErrors{}) }

// TargetList lists the reference targets.
func (s MonitorSettings) TargetList() []string {
	return strings.FieldsFunc(s.Targets, func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
}

// PingInterval is how long a node that is fine is left alone; zero: it is not pinged.
func (s MonitorSettings) PingInterval() time.Duration {
	return time.Duration(s.PingMinutes) * time.Minute
}

// LoginInterval is how long after a login the next is due; zero: none ever is.
func (s MonitorSettings) LoginInterval() time.Duration {
	return time.Duration(s.LoginHours) * time.Hour
}

// Covers says whether nodes with these tags are looked at.
func (s MonitorSettings) Covers(tags []string) bool {
	want := s.TagList()
	return len(want) == 0 || slices.ContainsFunc(want, func(t string) bool {
		return slices.ContainsFunc(tags, func(has string) bool { return strings.EqualFold(t, has) })
	})
}

// MonitorPlan is by which of its rules the monitor looks at a node.
type MonitorPlan string

// The plans.
const (
	PlanNew     MonitorPlan = ""        // it has not thought about the node yet
	PlanUp      MonitorPlan = "up"      // the node is fine
	PlanDown    MonitorPlan = "down"    // it failed, and is pinged ever more rarely
	PlanRefused MonitorPlan = "refused" // its login was refused, and is tried once a day
)

// MonitorPlans lists every plan.
func MonitorPlans() []MonitorPlan { return []MonitorPlan{PlanNew, PlanUp, PlanDown, PlanRefused} }

// Monitored is what the monitor remembers of a node that was validated since its
// last edit.
type Monitored struct {
	NodeID   int64
	DueAt    time.Time // of the next look, or thought; zero: none is planned
	LoginAt  time.Time // when a login is due, while the node is fine
	Plan     MonitorPlan
	Attempts int  // looks since it failed
	Earned   bool // it answered while it was down: one login is due

	// As they stood when the watch was read.
	Status Status
	Tags   []string
	Last   Kind // of the last probe, and when that was
	LastAt time.Time
}

// MaxRefusals is how often a login that was refused is tried again.
const MaxRefusals = 3

// Next is the kind of the next look; empty: none is planned.
func (w Monitored) Next() Kind {
	switch {
	case w.DueAt.IsZero():
		return ""
	case w.Earned, w.Plan == PlanRefused, w.Status == PingOK, w.Status.Validated() && !w.LoginAt.IsZero() && !w.LoginAt.After(w.DueAt):
		return Login
	default:
		return Ping
	}
}

// Why says in words why a node is looked at when it is, or why it is not.
func (w *Monitored) Why(s MonitorSettings) Text {
	switch {
	case !s.On:
		return T("monitor.why.off")
	case w == nil:
		return T("monitor.why.never")
	case !s.Covers(w.Tags):
		return T("monitor.why.tags")
	case w.Plan == PlanRefused && w.DueAt.IsZero():
		return T("monitor.why.given_up", MaxRefusals)
	case w.Plan == PlanRefused:
		return T("monitor.why.refused", w.Attempts, MaxRefusals)
	case w.Earned:
		return T("monitor.why.earned")
	case w.Plan == PlanDown:
		return T("monitor.why.down", w.Attempts)
	default:
		return T("monitor.why.up")
	}
}

// MonitorRun is what the monitor has decided about some nodes.
type MonitorRun struct {
	Ping, Login []int64 // nodes to look at
	Plans       []Replan
}

// Replan puts New in the place of what the monitor remembered of a node; when
// that is not Old any more, something has happened to the node and it is thought
// about again.
type Replan struct {
	OldDue time.Time
	New    Monitored
}

// Reach is whether the reference targets answer.
type Reach int

// What is known of the targets.
const (
	ReachUnknown  Reach = iota // there are none
	ReachAnswered              // one does
	ReachSilent                // all of them are silent
)

// FlapWithin is how close together three changes are that make a node flap, and
// how long it must then be quiet to have settled.
const FlapWithin = 30 * time.Minute

// Flaps remembers the last times at which a node went down or came up.
type Flaps struct {
	Before, Last time.Time // the last two; zero: there were none
	Until        time.Time // when it has settled; zero: it does not flap
}

// Turn says whether a status that becomes another means that the node went down
// or came up. From not tested nothing turns, and a node that is found slow is up
// all the same.
func Turn(before, after Status) bool {
	return before != NotTested && after != NotTested && isUp(before) != isUp(after)
}

func isUp(s Status) bool { return s == PingOK || s.Validated() }

// After takes in a turn; began says that it made the node flap.
func (f Flaps) After(at time.Time) (next Flaps, began bool) {
	next = Flaps{Before: f.Last, Last: at, Until: f.Until}
	flaps := at.Before(f.Until)
	if flaps || !f.Before.IsZero() && at.Sub(f.Before) <= FlapWithin {
		next.Until = at.Add(FlapWithin)
	}
	return next, !flaps && next.Until.After(at)
}

// StableNode is a node that has ceased to flap.
type StableNode struct {
	NodeID    int64
	Address   string
	Port      int
	Status    Status
	Monitored bool // it was validated since its last edit
}
