package i18n

import (
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"
	_ "time/tzdata" // the machine may lack the readers' time zones
)

var zones sync.Map // name → *time.Location; bounded, because it only has names that exist

// Zone returns the time zone with an IANA name, or UTC. The name comes from the
// reader's browser and may be any text.
func Zone(name string) *time.Location {
	if z, ok := zones.Load(name); ok {
		return z.(*time.Location)
	}
	if len(name) > 64 || name == "" || name == "Local" {
		return time.UTC
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	zones.Store(name, z)
	return z
}

// Duration formats d briefly: <1 ms, 97 ms, 1.3 s, 44 s, 2 min 5 s, 1 h 5 min, 3 d 4
// h.
func (p *Printer) Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "−" + p.Duration(-d)
	case d > 0 && d < time.Millisecond:
		return "<" + p.T("unit.ms", "1")
	case d < time.Second && math.Round(float64(d)/1e6) < 1000:
		return p.T("unit.ms", p.Decimal(float64(d)/1e6, 0))
	case d < 10*time.Second-50*time.Millisecond:
		return p.T("unit.s", p.Decimal(d.Seconds(), 1))
	case d.Round(time.Second) < time.Minute:
		return p.T("unit.s", p.Decimal(d.Seconds(), 0))
	case d < time.Hour:
		return p.pairUnits(d.Round(time.Second), time.Minute, "unit.min", time.Second, "unit.s")
	case d < 24*time.Hour:
		return p.pairUnits(d.Round(time.Minute), time.Hour, "unit.h", time.Minute, "unit.min")
	default:
		return p.pairUnits(d.Round(time.Hour), 24*time.Hour, "unit.d", time.Hour, "unit.h")
	}
}

// About formats an estimated duration by its largest unit only.
func (p *Printer) About(d time.Duration) string {
	switch {
	case d < time.Minute:
		return p.T("unit.s", p.Decimal(math.Max(1, math.Ceil(d.Seconds())), 0))
	case d < 90*time.Minute:
		return p.T("unit.min", p.Decimal(math.Round(d.Minutes()), 0))
	default:
		return p.Duration(d.Round(time.Minute))
	}
}

func (p *Printer) pairUnits(d, big time.Duration, bigUnit string, small time.Duration, smallUnit string) string {
	s := p.T(bigUnit, p.Number(int64(d/big)))
	if rest := d % big / small; rest > 0 {
		s += " " + p.T(smallUnit, p.Number(int64(rest)))
	}
	return s
}

// Ago formats the time since t: now, 12 s ago, 5 min ago, 2 h ago, 3 d ago; after a
// month it returns the day. The zero time is "never". The page's script updates these
// texts with the same sentences and limits.
func (p *Printer) Ago(t time.Time) string {
	if t.IsZero() {
		return p.T("time.never")
	}
	switch d := p.now().Sub(t); {
	case d < 5*time.Second:
		return p.T("time.now")
	case d < time.Minute:
		return p.T("time.ago.s", int64(d/time.Second))
	case d < time.Hour:
		return p.T("time.ago.min", int64(d/time.Minute))
	case d < 24*time.Hour:
		return p.T("time.ago.h", int64(d/time.Hour))
	case d < 30*24*time.Hour:
		return p.T("time.ago.d", int64(d/(24*time.Hour)))
	default:
		return p.Day(t)
	}
}

// Exact formats t to the second in the reader's zone. If that is UTC, the text says
// so.
func (p *Printer) Exact(t time.Time) string {
	if t.IsZero() {
		return p.T("time.never")
	}
	s := p.Day(t) + ", " + t.In(p.zone).Format(time.TimeOnly)
	if p.zone == time.UTC {
		s += " UTC"
	}
	return s
}

// Day formats the day of t in the reader's zone: 22 Nov 2026.
func (p *Printer) Day(t time.Time) string { return p.dayIn(t, p.zone) }

// HomeDay is Day in the panel's zone.
func (p *Printer) HomeDay(t time.Time) string { return p.dayIn(t, p.home) }

func (p *Printer) dayIn(t time.Time, zone *time.Location) string {
	y, m, d := t.In(zone).Date()
	return fmt.Sprintf("%d %s %d", d, p.T("time.month."+strconv.Itoa(int(m))), y)
}

// When formats t for a list in order of time: only the time if t is today, otherwise
// the day and the time.
func (p *Printer) When(t time.Time) string {
	if t.IsZero() {
		return p.T("time.never")
	}
	local, now := t.In(p.zone), p.now().In(p.zone)
	clock := local.Format("15:04")
	y, m, d := local.Date()
	ny, nm, nd := now.Date()
	switch {
	case y == ny && m == nm && d == nd:
		return clock
	case y == ny:
		return fmt.Sprintf("%d %s, %s", d, p.T("time.month."+strconv.Itoa(int(m))), clock)
	default:
		return p.Day(t) + ", " + clock
	}
}
