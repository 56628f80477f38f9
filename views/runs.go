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

// by names who did something.
func by(p *i18n.Printer, name string) string {
	if name == "" {
		return p.T("runs.by.panel")
	}
	return name
}

// starter names who started a run.
func starter(p *i18n.Printer, r connexa.Run) string {
	if r.Monitor {
		return p.T("runs.by.monitor")
	}
	return by(p, r.By)
}

// took is how long a finished run went on.
func took(p *i18n.Printer, r connexa.Run) string {
	if r.FinishedAt.IsZero() {
		return "–"
	}
	return p.Duration(r.FinishedAt.Sub(r.CreatedAt))
}

func (r Run) subtitle(p *i18n.Printer) string {
	var parts []string
	if !r.Label.IsZero() {
		parts = append(parts, p.Text(r.Label))
	}
	parts = append(parts, starter(p, r.Run), p.Exact(r.CreatedAt))
	return strings.Join(parts, " · ")
}

func (r Run) pace(p *i18n.Printer) string {
	if !r.State.Live() {
		return p.T("run.took", took(p, r.Run))
	}
	bar := r.Bar
	bar.State = r.State
	return pace(p, bar)
}

// title names what the nodes of a group have in common.
func (g RunGroup) title(p *i18n.Printer) string {
	if g.Cause != "" && !g.Result.Inconclusive() {
		return sentence(CauseText(p, g.Cause))
	}
	return sentence(p.T("mark." + string(g.Result)))
}

// more says what that means, and for a failure what to try.
func (g RunGroup) more(p *i18n.Printer) string {
	switch {
	case g.Result.Inconclusive():
		return p.T("mark." + string(g.Result) + ".more")
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
