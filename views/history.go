package views

import (
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// HistoryPage is one page of a node's history.
type HistoryPage struct {
	Entries []connexa.Entry // newest first
	Older   string          // URL of the next page; empty on the last one
	Newer   string
	CSV     string // URL of the export
}

// probeBarClass returns the CSS class of a probe in the bar chart of recent probes. Bars
// of failed probes are lower, because colour alone is not accessible.
func probeBarClass(m connexa.Result) string {
	switch m {
	case connexa.ResultGood:
		return ""
	case connexa.ResultSlow:
		return "warn"
	case connexa.ResultBad:
		return "bad"
	default:
		return "inconclusive"
	}
}

// probeBarText describes a probe in the bar chart.
func probeBarText(p *i18n.Printer, e connexa.Entry) string {
	return p.When(e.At) + " · " + p.T("history.probe", p.T("kind."+string(e.Kind)), probeWords(p, e))
}

func (n Node) recentLabel(p *i18n.Printer) string {
	var t connexa.Tally
	for _, e := range n.Recent {
		switch e.Result {
		case connexa.ResultGood:
			t.Good++
		case connexa.ResultSlow:
			t.Slow++
		case connexa.ResultBad:
			t.Bad++
		default:
			t.Inconclusive++
		}
	}
	var parts []string
	for _, s := range []struct {
		n    int
		text string
	}{{t.Good, p.T("run.good", t.Good)}, {t.Slow, p.T("run.slow", t.Slow)}, {t.Bad, p.T("run.bad", t.Bad)}, {t.Inconclusive, p.T("run.inconclusive", t.Inconclusive)}} {
		if s.n > 0 {
			parts = append(parts, s.text)
		}
	}
	return strings.Join(parts, ", ")
}

// historyResult describes the result of a history entry.
func historyResult(p *i18n.Printer, e connexa.Entry) string {
	switch {
	case e.What != connexa.EntryProbe:
		return historyLine(p, e)
	case e.Result == connexa.ResultGood && e.Cause == "":
		return p.T("history.good")
	case e.Result.Inconclusive():
		return asPhrase(p.T("result." + string(e.Result)))
	case e.Cause != "":
		return CauseText(p, e.Cause)
	default:
		return p.T("result." + string(e.Result))
	}
}

// asPhrase turns a sentence into a phrase for a table cell: no capital first letter
// and no full stop.
func asPhrase(s string) string { return strings.TrimSuffix(lowerFirst(s), ".") }

func historyTone(e connexa.Entry) string {
	switch {
	case e.What != connexa.EntryProbe || e.Result.Inconclusive():
		return "sub"
	case e.Result == connexa.ResultBad:
		return "bad-ink"
	case e.Result == connexa.ResultSlow || e.Cause != "":
		return "warn-ink"
	default:
		return ""
	}
}

func historyIcon(e connexa.Entry) string {
	switch {
	case e.What == connexa.EntryService:
		return "services"
	case e.What != connexa.EntryProbe:
		return "edit"
	case e.Result == connexa.ResultBad:
		return "cross"
	case e.Result.Inconclusive():
		return "minus"
	default:
		return "check"
	}
}

// measuredHow describes a speed measurement in one line: its confidence, jitter, exit
// address and endpoint.
func measuredHow(p *i18n.Printer, m *connexa.Measurement) string {
	if m == nil {
		return ""
	}
	var parts []string
	if m.Confidence != "" {
		parts = append(parts, p.T("history.confidence", p.T("speed.confidence."+string(m.Confidence))))
	}
	if m.Jitter > 0 {
		parts = append(parts, p.T("history.jitter", m.Jitter))
	}
	if m.ExitIP != "" {
		parts = append(parts, p.T("history.exit", m.ExitIP))
	}
	if m.Endpoint != "" {
		parts = append(parts, m.Endpoint)
	}
	return strings.Join(parts, " · ")
}
