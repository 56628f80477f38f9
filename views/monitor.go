package views

import (
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// MonitorSetup is the form of the settings of the health monitor.
type MonitorSetup struct {
	Values map[string]string
	Errors connexa.FieldErrors
	Tried  []TriedTarget // what came of asking the targets, when that was asked for
}

// TriedTarget is a reference target that was asked.
type TriedTarget struct {
	Target   string
	Answered bool
}

// MonitorSetupOf is the form as the settings fill it.
func MonitorSetupOf(s connexa.MonitorSettings) MonitorSetup {
	on := ""
	if s.On {
		on = "1"
	}
	return MonitorSetup{Values: map[string]string{
		"monitor_on":           on,
		"monitor_tags":         s.Tags,
		"monitor_ping_minutes": strconv.Itoa(s.PingMinutes),
		"monitor_login_hours":  strconv.Itoa(s.LoginHours),
		"monitor_targets":      s.Targets,
	}}
}

// Watched says when the monitor looks at a node next, and why.
type Watched struct {
	On   bool
	Next connexa.Kind // empty: it does not
	At   time.Time
	Soon bool // that is now, or was: its turn comes with the next run
	Why  connexa.Text
}

// WatchedOf is what the page of a node says about the monitor.
func WatchedOf(w *connexa.Monitored, s connexa.MonitorSettings, now time.Time) Watched {
	v := Watched{On: s.On, Why: w.Why(s)}
	if s.On && w != nil && s.Covers(w.Tags) {
		v.Next, v.At, v.Soon = w.Next(), w.DueAt, !w.DueAt.After(now)
	}
	return v
}

// nextText says when and how the node is looked at next.
func (v Watched) nextText(p *i18n.Printer) string {
	switch {
	case v.Next == "":
		return p.T("monitor.next.none")
	case v.Soon:
		return p.T("monitor.next.soon", p.T("kind."+string(v.Next)))
	default:
		return p.T("monitor.next", p.T("kind."+string(v.Next)), p.When(v.At))
	}
}
