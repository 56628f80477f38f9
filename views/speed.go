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

// SpeedPlan is what speed tests of some nodes would cost, before they begin.
type SpeedPlan struct {
	Kind      connexa.RunKind
	Nodes     int
	Cap       int64         // bytes that each moves at most each way
	Bytes     int64         // of all, at most
	Took      time.Duration // of all, about
	Left      int64         // bytes of the budgets
	Endpoints int           // zero: none was chosen yet
}

// estimateText is the sum of it in one sentence.
func (s SpeedPlan) estimateText(p *i18n.Printer) string {
	each := p.Volume(s.Cap)
	return p.T("speed.estimate", s.Nodes, each, each, p.Volume(s.Bytes), p.About(s.Took))
}

// leftBytes says what is left of the budgets.
func (s SpeedPlan) leftBytes(p *i18n.Printer) string { return p.T("speed.left", p.Volume(s.Left)) }

// waitsUntil says that the budgets do not reach; empty when they do.
func (s SpeedPlan) waitsUntil(p *i18n.Printer) string {
	if s.Bytes <= s.Left {
		return ""
	}
	return p.T("speed.waits")
}

// ConfirmSpeed asks before speed tests begin. The form is the one that chose the
// nodes; the answer carries it to an address, along with "yes".
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

// EndpointForm is what a person is asked about a speed endpoint.
type EndpointForm struct {
	Typed  connexa.Endpoint    // what was typed; the zero Endpoint asks afresh
	Errors connexa.FieldErrors // about it
	Run    []Hidden            // the form of the run that goes on afterwards; empty: none does
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

// isOpen says which of the choices is open: the first, or the one that was typed into.
func (f EndpointForm) isOpen(kind connexa.EndpointKind) bool {
	if f.Typed.Kind == "" {
		return kind == connexa.EndpointOwn
	}
	return f.Typed.Kind == kind
}

var endpointKinds = []connexa.EndpointKind{
	connexa.EndpointOwn, connexa.EndpointLibreSpeed, connexa.EndpointCloudflare, connexa.EndpointURLs,
}

// endpointFields name an endpoint in a form, without what is secret of it.
func endpointFields(e connexa.Endpoint) []Hidden {
	e = e.Masked()
	return []Hidden{{"endpoint_kind", string(e.Kind)}, {"endpoint_url", e.URL}, {"endpoint_up_url", e.UpURL}}
}

// SpeedSetup is the part of the settings about speed tests.
type SpeedSetup struct {
	Values    map[string]string // of the form, by the name of the field
	Errors    connexa.FieldErrors
	Endpoints []connexa.Endpoint
	Spent     connexa.SpeedSpent
	Settings  connexa.SpeedSettings
	Uplink    connexa.Uplink
}

// SpeedSetupOf is the form as the settings fill it.
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

// spentText says what tests have moved of what they may.
func (s SpeedSetup) spentText(p *i18n.Printer) string {
	return p.T("speed.spent", p.Volume(s.Spent.Hour), p.Volume(s.Settings.HourBudget()), p.Volume(s.Spent.Month), p.Volume(s.Settings.MonthBudget()))
}

// uplinkText is what is known of this machine's own line.
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

// liveSpeed is the figure of a running test in one word; empty before there is one.
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

// speedOrNone is a speed, or that there is none.
func speedOrNone(p *i18n.Printer, bits int64) string {
	if bits <= 0 {
		return p.T("speed.none")
	}
	return p.Speed(bits)
}

// loadedText is the latency of small requests while the line is full.
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

// evenSpread is a spread of samples that is no reason for doubt.
const evenSpread = 0.1

// whyConfident says what the confidence of m rests on: the spread of its samples,
// or that they were too few.
func whyConfident(p *i18n.Printer, m *connexa.Measurement) string {
	if m.Confidence == connexa.ConfidenceLow && m.Spread < evenSpread {
		return p.T("speed.short")
	}
	return p.T("speed.spread", p.Percent(m.Spread))
}
