package views

import (
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// MonitorSetup is the form of the monitor's settings.
type MonitorSetup struct {
	Values map[string]string
	Errors connexa.FieldErrors
	Tried  []TriedTarget // results of the targets, if the admin had them tested
}

// TriedTarget is the result of one reference target.
type TriedTarget struct {
	Target   string
	Answered bool
}

// MonitorSetupOf returns the form filled with s.
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

// NextProbe holds when the monitor probes a node next, and why.
type NextProbe struct {
	On   bool
	Next connexa.Kind // empty if no probe is scheduled
	At   time.Time
	Soon bool // it is due: the next run of the monitor includes it
	Why  connexa.Text
}

// NextProbeOf returns the part of a node page about the monitor.
func NextProbeOf(w *connexa.Monitored, s connexa.MonitorSettings, now time.Time) NextProbe {
	v := NextProbe{On: s.On, Why: w.Why(s)}
	if s.On && w != nil && s.Covers(w.Tags) {
		v.Next, v.At, v.Soon = w.Next(), w.DueAt, !w.DueAt.After(now)
	}
	return v
}

// nextText describes the next scheduled probe.
func (v NextProbe) nextText(p *i18n.Printer) string {
	switch {
	case v.Next == "":
		return p.T("monitor.next.none")
	case v.Soon:
		return p.T("monitor.next.soon", p.T("kind."+string(v.Next)))
	default:
		return p.T("monitor.next", p.T("kind."+string(v.Next)), p.When(v.At))
	}
}
