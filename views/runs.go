package views

import (
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

func runTone(s connexa.RunState) Tone {
	switch s {
	case connexa.RunRunning:
		return ToneInfo
	case connexa.RunPaused:
		return ToneWarn
	case connexa.RunDone:
		return ToneGood
	default:
		return ToneNone
	}
}

// byName names the account behind an act, or the panel if name is empty.
func byName(p *i18n.Printer, name string) string {
	if name == "" {
		return p.T("runs.by.panel")
	}
	return name
}

// starterText names who started a run.
func starterText(p *i18n.Printer, r connexa.Run) string {
	if r.Monitor {
		return p.T("runs.by.monitor")
	}
	return byName(p, r.By)
}

// tookText returns the duration of a finished run.
func tookText(p *i18n.Printer, r connexa.Run) string {
	if r.FinishedAt.IsZero() {
		return "–"
	}
	return p.Duration(r.FinishedAt.Sub(r.CreatedAt))
}

func (r Run) subtitleText(p *i18n.Printer) string {
	var parts []string
	if !r.Label.IsZero() {
		parts = append(parts, p.Text(r.Label))
	}
	parts = append(parts, starterText(p, r.Run), p.Exact(r.CreatedAt))
	return strings.Join(parts, " · ")
}

func (r Run) paceText(p *i18n.Printer) string {
	if !r.State.Live() {
		return p.T("run.took", tookText(p, r.Run))
	}
	bar := r.Bar
	bar.State = r.State
	return paceText(p, bar)
}

// groupTitle names the common result or cause of a group.
func (g RunGroup) groupTitle(p *i18n.Printer) string {
	if g.Cause != "" && !g.Result.Inconclusive() {
		return endSentence(CauseText(p, g.Cause))
	}
	return endSentence(p.T("result." + string(g.Result)))
}

// moreCount explains the title and, for a failure, says what to try.
func (g RunGroup) moreCount(p *i18n.Printer) string {
	switch {
	case g.Result.Inconclusive():
		return p.T("result." + string(g.Result) + ".more")
	case g.ByService() && g.Cause == "":
		return p.T("run.reached.service")
	case g.Cause != "":
		return CauseMeaning(p, g.Cause) + " " + CauseAdvice(p, g.Cause)
	default:
		return p.T("run.reached", p.T("step."+string(g.Reached)))
	}
}

func groupID(g RunGroup) string {
	return "group-" + string(g.Result) + "-" + string(g.Reached) + "-" + strings.ReplaceAll(string(g.Cause), ".", "-")
}

func toneInk(t Tone) string {
	if t == ToneNone || t == ToneInfo {
		return ""
	}
	return string(t) + "-ink"
}
