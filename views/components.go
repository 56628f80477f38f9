package views

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// StatusTone returns the colour of a status.
func StatusTone(s connexa.Status) Tone {
	switch s {
	case connexa.LoginOK, connexa.SpeedOK, connexa.PingOK:
		return ToneGood
	case connexa.SpeedSlow:
		return ToneWarn
	case connexa.PingFailed, connexa.TunnelFailed, connexa.LoginFailed:
		return ToneBad
	default:
		return ToneNone
	}
}

// ResultTone returns the colour of a result.
func ResultTone(m connexa.Result) Tone {
	switch m {
	case connexa.ResultGood:
		return ToneGood
	case connexa.ResultSlow:
		return ToneWarn
	case connexa.ResultBad:
		return ToneBad
	default:
		return ToneNone
	}
}

// stepBars returns the CSS classes of the ten bars of a trace.
func (a TraceArgs) stepBars() []string {
	height := a.Reached.Index()
	classes := make([]string, len(connexa.Steps()))
	for i := range classes {
		switch {
		case i < height:
			classes[i] = "ok"
		case i == height && a.Testing:
			classes[i] = "now"
		case a.Cause != "" && connexa.StepAt(i+1) == a.Cause.Step() && !a.Testing:
			classes[i] = "stop"
		case a.ByService:
			classes[i] = "held"
		}
	}
	return classes
}

// barsPath returns the data of an SVG path through the middle of the bars of one class,
// or around those that are hollow. It is empty if there are none.
func barsPath(classes []string, class string) string {
	const pitch = 11
	var d strings.Builder
	for i, c := range classes {
		switch x := i * pitch; {
		case c != class:
		case class == "held":
			fmt.Fprintf(&d, "M%d.5 1.5h8v2h-8z", x)
		case class == "stop":
			fmt.Fprintf(&d, "M%d.5 2.5h4", x+2)
		default:
			fmt.Fprintf(&d, "M%d.5 2.5h6", x+1)
		}
	}
	return d.String()
}

func (a TraceArgs) ariaLabel(p *i18n.Printer) string {
	label := p.T("trace.reached", a.Reached.Index(), len(connexa.Steps()))
	if a.ByService {
		label = p.T("trace.service")
	}
	if a.Cause != "" {
		label += ", " + p.T("trace.stopped", p.T("step."+string(a.Cause.Step())))
	}
	return label
}

// needsPassword reports whether a form must show the field for the admin's own
// password.
func needsPassword(errs connexa.FieldErrors, field string) bool {
	_, wrong := errs["own_password"]
	return wrong || strings.HasPrefix(errs[field].Key, "account.proof.")
}

// FieldAttrs returns the attributes that connect a control to its Field.
func FieldAttrs(a FieldArgs) templ.Attributes {
	attrs := templ.Attributes{"id": "f-" + a.Name}
	switch {
	case !a.Error.IsZero():
		attrs["aria-invalid"] = "true"
		attrs["aria-describedby"] = "e-" + a.Name
	case a.Help != "":
		attrs["aria-describedby"] = "h-" + a.Name
	}
	return attrs
}

func orText(kind string) string {
	if kind == "" {
		return "text"
	}
	return kind
}

// drawnInto returns attributes that let htmx load a link into target and update the
// address bar.
func drawnInto(url, target string) templ.Attributes {
	if target == "" {
		return nil
	}
	return templ.Attributes{"hx-get": url, "hx-target": target, "hx-swap": "outerHTML", "hx-push-url": "true"}
}

// share is one part of a Meter, in thousandths.
type share struct {
	class    string
	x, width string
}

func statusShares(t connexa.Tally) []share {
	if t.Total <= 0 {
		return nil
	}
	var out []share
	from := 0
	for _, s := range []struct {
		class string
		n     int
	}{{"good", t.Good}, {"warn", t.Slow}, {"bad", t.Bad}, {"inconclusive", t.Inconclusive}} {
		to := min(from+s.n, t.Total)
		if x, end := from*1000/t.Total, to*1000/t.Total; end > x {
			out = append(out, share{s.class, strconv.Itoa(x), strconv.Itoa(end - x)})
		}
		from = to
	}
	return out
}
