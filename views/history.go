package views

import (
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// HistoryPage is one page of a node's history.
type HistoryPage struct {
	Entries []connexa.Entry // the newest first
	Older   string          // address of the page that follows; empty: that was all
	Newer   string
	CSV     string // address of the export
}

// beatClass is the look of one probe in the bar: low ones failed, so that colour
// is not alone.
func beatClass(m connexa.Mark) string {
	switch m {
	case connexa.MarkGood:
		return ""
	case connexa.MarkSlow:
		return "warn"
	case connexa.MarkBad:
		return "bad"
	default:
		return "void"
	}
}

// beatWords tell of one probe in the bar.
func beatWords(p *i18n.Printer, e connexa.Entry) string {
	return p.When(e.At) + " · " + p.T("history.probe", p.T("kind."+string(e.Kind)), probeWords(p, e))
}

func (n Node) beatsLabel(p *i18n.Printer) string {
	var t connexa.Tally
	for _, e := range n.Beats {
		switch e.Mark {
		case connexa.MarkGood:
			t.Good++
		case connexa.MarkSlow:
			t.Slow++
		case connexa.MarkBad:
			t.Bad++
		default:
			t.Void++
		}
	}
	var parts []string
	for _, s := range []struct {
		n    int
		text string
	}{{t.Good, p.T("run.good", t.Good)}, {t.Slow, p.T("run.slow", t.Slow)}, {t.Bad, p.T("run.bad", t.Bad)}, {t.Void, p.T("run.void", t.Void)}} {
		if s.n > 0 {
			parts = append(parts, s.text)
		}
	}
	return strings.Join(parts, ", ")
}

// historyResult tells how one row of the history ended.
func historyResult(p *i18n.Printer, e connexa.Entry) string {
	switch {
	case e.What != connexa.EntryProbe:
		return historyLine(p, e)
	case e.Mark == connexa.MarkGood && e.Cause == "":
		return p.T("history.good")
	case e.Mark.Void():
		return sentenceless(p.T("mark." + string(e.Mark)))
	case e.Cause != "":
		return CauseText(p, e.Cause)
	default:
		return p.T("mark." + string(e.Mark))
	}
}

// sentenceless is a sentence as a word among others in a table.
func sentenceless(s string) string { return strings.TrimSuffix(lower(s), ".") }

func historyTone(e connexa.Entry) string {
	switch {
	case e.What != connexa.EntryProbe || e.Mark.Void():
		return "sub"
	case e.Mark == connexa.MarkBad:
		return "bad-ink"
	case e.Mark == connexa.MarkSlow || e.Cause != "":
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
	case e.Mark == connexa.MarkBad:
		return "cross"
	case e.Mark.Void():
		return "minus"
	default:
		return "check"
	}
}

// measuredHow tells how a speed was measured, in one line.
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
