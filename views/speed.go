package views

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// SpeedPlan is the estimated cost of speed tests before they start.
type SpeedPlan struct {
	Kind      connexa.RunKind
	Nodes     int
	Cap       int64         // maximum bytes per test and direction
	Bytes     int64         // maximum bytes of all tests
	Took      time.Duration // approximate time of all tests
	Left      int64         // remaining bytes of the budgets
	Endpoints int           // 0 if none is configured
}

// estimateText summarizes the estimate in one sentence.
func (s SpeedPlan) estimateText(p *i18n.Printer) string {
	each := p.Volume(s.Cap)
	return p.T("speed.estimate", s.Nodes, each, each, p.Volume(s.Bytes), p.About(s.Took))
}

// leftBytes states the remaining budget.
func (s SpeedPlan) leftBytes(p *i18n.Printer) string { return p.T("speed.left", p.Volume(s.Left)) }

// waitsUntil warns that tests must wait for the budgets. It is empty if the budgets
// suffice.
func (s SpeedPlan) waitsUntil(p *i18n.Printer) string {
	if s.Bytes <= s.Left {
		return ""
	}
	return p.T("speed.waits")
}

// ConfirmSpeed asks for confirmation before speed tests start. form is the one that
// chose the nodes. The confirmed form contains it, together with "yes".
func ConfirmSpeed(p *i18n.Printer, s SpeedPlan, to string, form url.Values) Confirm {
	fields := slices.DeleteFunc(hiddenFields(form), func(h Hidden) bool { return h.Name == "yes" || h.Name == "kind" })
	return Confirm{
		Title:   p.T("speed.ask."+string(s.Kind), s.Nodes),
		Text:    s.estimateText(p) + " " + s.leftBytes(p),
		Warning: s.waitsUntil(p),
		URL:     to,
		Button:  p.T("speed.ask.start"),
		Fields:  append(fields, Hidden{"kind", string(s.Kind)}, Hidden{"yes", "1"}),
	}
}

// EndpointForm is the form that asks for a speed endpoint.
type EndpointForm struct {
	Typed  connexa.Endpoint    // the values that were typed; zero for an empty form
	Errors connexa.FieldErrors // errors of Typed
	Run    []Hidden            // the form of the run to start afterwards; empty if there is none
}

func (f EndpointForm) errorOf(kind connexa.EndpointKind, field string) connexa.Text {
	if f.Typed.Kind != kind {
		return connexa.Text{}
	}
	return f.Errors[field]
}

func (f EndpointForm) typedValue(kind connexa.EndpointKind, value string) string {
	if f.Typed.Kind != kind {
		return ""
	}
	return value
}

// isOpen reports whether a choice is expanded: the one that was typed into, or else
// the first.
func (f EndpointForm) isOpen(kind connexa.EndpointKind) bool {
	if f.Typed.Kind == "" {
		return kind == connexa.EndpointOwn
	}
	return f.Typed.Kind == kind
}

var endpointKinds = []connexa.EndpointKind{
	connexa.EndpointOwn, connexa.EndpointLibreSpeed, connexa.EndpointCloudflare, connexa.EndpointURLs,
}

// endpointFields returns the fields that identify an endpoint, without its secrets.
func endpointFields(e connexa.Endpoint) []Hidden {
	e = e.Masked()
	return []Hidden{{"endpoint_kind", string(e.Kind)}, {"endpoint_url", e.URL}, {"endpoint_up_url", e.UpURL}}
}

// SpeedSetup is the speed test part of the settings.
type SpeedSetup struct {
	Values    map[string]string // by field name
	Errors    connexa.FieldErrors
	Endpoints []connexa.Endpoint
	Spent     connexa.SpeedSpent
	Settings  connexa.SpeedSettings
	Uplink    connexa.Uplink
}

// SpeedSetupOf returns the form filled with s.
func SpeedSetupOf(s connexa.SpeedSettings) SpeedSetup {
	return SpeedSetup{Settings: s, Values: map[string]string{
		"speed_mode":      string(s.Mode),
		"speed_at_once":   strconv.Itoa(s.AtOnce),
		"speed_quick_mb":  strconv.Itoa(s.QuickMB),
		"speed_full_mb":   strconv.Itoa(s.FullMB),
		"speed_slow_kbit": strconv.Itoa(s.SlowKbit),
		"speed_hour_gb":   strconv.Itoa(s.HourGB),
		"speed_month_gb":  strconv.Itoa(s.MonthGB),
	}}
}

// spentText states the used and the total budgets.
func (s SpeedSetup) spentText(p *i18n.Printer) string {
	return p.T("speed.spent", p.Volume(s.Spent.Hour), p.Volume(s.Settings.HourBudget()), p.Volume(s.Spent.Month), p.Volume(s.Settings.MonthBudget()))
}

// uplinkText describes the last measurement of this machine's uplink.
func (s SpeedSetup) uplinkText(p *i18n.Printer) string {
	var parts []string
	if s.Uplink.Found.Down > 0 {
		parts = append(parts, p.T("speed.uplink.found", p.Speed(s.Uplink.Found.Down), p.Speed(s.Uplink.Found.Up), s.Uplink.Found.Endpoint))
	}
	if !s.Uplink.Problem.IsZero() {
		parts = append(parts, p.Text(s.Uplink.Problem))
	}
	if len(parts) == 0 {
		return p.T("speed.uplink.none")
	}
	return strings.Join(parts, " ")
}

// liveSpeed returns the current figure of a running test, or "" before there is one.
func liveSpeed(p *i18n.Printer, l connexa.SpeedLive) string {
	switch l.Phase {
	case connexa.PhaseDownload:
		return "↓ " + p.Speed(l.Bits)
	case connexa.PhaseUpload:
		return "↑ " + p.Speed(l.Bits)
	default:
		return ""
	}
}

// speedOrNone returns a speed, or the text for a missing one.
func speedOrNone(p *i18n.Printer, bits int64) string {
	if bits <= 0 {
		return p.T("speed.none")
	}
	return p.Speed(bits)
}

// loadedText returns the latency under load.
func loadedText(p *i18n.Printer, m *connexa.Measurement) string {
	var parts []string
	if m.LoadedDown > 0 {
		parts = append(parts, "↓ "+p.Duration(m.LoadedDown))
	}
	if m.LoadedUp > 0 {
		parts = append(parts, "↑ "+p.Duration(m.LoadedUp))
	}
	return strings.Join(parts, "  ")
}

func gradeTone(grade string) Tone {
	switch grade {
	case "A+", "A", "B":
		return ToneGood
	case "C", "D":
		return ToneWarn
	default:
		return ToneBad
	}
}

func confidenceTone(c connexa.Confidence) Tone {
	switch c {
	case connexa.ConfidenceHigh:
		return ToneGood
	case connexa.ConfidenceMedium:
		return ToneNone
	default:
		return ToneWarn
	}
}

// evenSpread is the spread of samples below which it does not lower the confidence.
const evenSpread = 0.1

// whyConfident gives the reason for the confidence of m: the spread of its samples, or
// a test that was too short.
func whyConfident(p *i18n.Printer, m *connexa.Measurement) string {
	if m.Confidence == connexa.ConfidenceLow && m.Spread < evenSpread {
		return p.T("speed.short")
	}
	return p.T("speed.spread", p.Percent(m.Spread))
}
