package connexa

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MonitorSettings are the settings of the monitor.
type MonitorSettings struct {
	On          bool
	Tags        string    // separated by commas: nodes with any of them are monitored; empty: all
	PingMinutes int       // between two pings of a node that is up, 1 to 1440; 0: no pings
	LoginHours  int       // between two logins, 1 to 720; 0: no logins
	Targets     string    // host:port, separated by commas: they answer while this machine is online. Optional.
	Offered     time.Time // when the admin declined the monitor; zero: not asked yet, or switched on
}

// DefaultMonitorSettings returns the settings of a new panel: the monitor is off.
func DefaultMonitorSettings() MonitorSettings {
	return MonitorSettings{PingMinutes: 30, LoginHours: 12}
}

// MaxTargets is the maximum number of reference targets.
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
	if net.ParseIP(host) != nil { // of either version: a target is not a node
		return true
	}
	address, bad := ParseAddress(host)
	return bad == nil && strings.EqualFold(address, strings.TrimSuffix(host, ".")) // it is dialled as it is typed
}

// TagList lists the tags of the monitored nodes; empty: all nodes.
func (s MonitorSettings) TagList() []string { return parseTags(s.Tags, FieldErrors{}) }

// TargetList lists the reference targets.
func (s MonitorSettings) TargetList() []string {
	return strings.FieldsFunc(s.Targets, func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
}

// PingInterval returns the time between pings of a node that is up; zero: no pings.
func (s MonitorSettings) PingInterval() time.Duration {
	return time.Duration(s.PingMinutes) * time.Minute
}

// LoginInterval returns the time between logins; zero: no logins.
func (s MonitorSettings) LoginInterval() time.Duration {
	return time.Duration(s.LoginHours) * time.Hour
}

// Covers reports whether nodes with these tags are monitored.
func (s MonitorSettings) Covers(tags []string) bool {
	want := s.TagList()
	return len(want) == 0 || slices.ContainsFunc(want, func(t string) bool {
		return slices.ContainsFunc(tags, func(has string) bool { return strings.EqualFold(t, has) })
	})
}

// MonitorPlan is the rule by which the monitor schedules a node.
type MonitorPlan string

// The plans.
const (
	PlanNew     MonitorPlan = ""        // the node is not scheduled yet
	PlanUp      MonitorPlan = "up"      // the node is up
	PlanDown    MonitorPlan = "down"    // it failed and is pinged at growing intervals
	PlanRefused MonitorPlan = "refused" // its login was refused and is tried once a day
)

// Monitored is the monitor's record of a node that was validated since its last edit.
type Monitored struct {
	NodeID   int64
	DueAt    time.Time // of the next probe or decision; zero: none is planned
	LoginAt  time.Time // when a login is due, while the node is up
	Plan     MonitorPlan
	Attempts int  // probes since it failed
	Earned   bool // it answered while it was down: one login is due

	// As of the time when the record was read.
	Status Status
	Tags   []string
	Last   Kind // kind and time of the last probe
	LastAt time.Time
}

// MaxRefusals is the maximum number of retries of a refused login.
const MaxRefusals = 3

// Next returns the kind of the next probe; empty: none is planned.
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

// Why returns the reason for the time of the next probe, or why none is planned.
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

// MonitorRun is a decision of the monitor about some nodes.
type MonitorRun struct {
	Ping, Login []int64 // nodes to probe
	Plans       []Replan
}

// Replan replaces the record Old of a node with New. If the record is not Old any
// more, the node changed meanwhile and is scheduled again.
type Replan struct {
	OldDue time.Time
	New    Monitored
}

// Reach is the state of the reference targets.
type Reach int

// What is known of the targets.
const (
	ReachUnknown  Reach = iota // there are none
	ReachAnswered              // one does
	ReachSilent                // all of them are silent
)

// FlapWithin is the period in which three changes make a node flap, and the time
// without a change after which it is stable.
const FlapWithin = 30 * time.Minute

// Flaps has the last times at which a node went down or came up.
type Flaps struct {
	Before, Last time.Time // the last two; zero: there were none
	Until        time.Time // when it becomes stable; zero: it does not flap
}

// Turn reports whether a change of status means that the node went down or came up. A
// change from not tested is neither, and a slow node is up.
func Turn(before, after Status) bool {
	return before != NotTested && after != NotTested && isUp(before) != isUp(after)
}

func isUp(s Status) bool { return s == PingOK || s.Validated() }

// After adds a change; began reports that the node flaps from now on.
func (f Flaps) After(at time.Time) (next Flaps, began bool) {
	next = Flaps{Before: f.Last, Last: at, Until: f.Until}
	flaps := at.Before(f.Until)
	if flaps || !f.Before.IsZero() && at.Sub(f.Before) <= FlapWithin {
		next.Until = at.Add(FlapWithin)
	}
	return next, !flaps && next.Until.After(at)
}

// StableNode is a node that no longer flaps.
type StableNode struct {
	NodeID    int64
	Address   string
	Port      int
	Status    Status
	Monitored bool // it was validated since its last edit
}
