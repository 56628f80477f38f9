package views

import (
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// paceText describes the speed of a run and the time left, or how it ended.
func paceText(p *i18n.Printer, r RunBar) string {
	switch r.State {
	case connexa.RunCancelled:
		return p.T("run.cancelled")
	case connexa.RunDone:
		return p.T("run.done")
	case connexa.RunPaused:
		return p.T("run.paused")
	default: // RunRunning
	}
	if strings.HasPrefix(r.Notice.Key, "run.notice.speed.") { // the rate so far does not tell how long a run waits for its budget
		return p.T("speed.waiting")
	}
	var parts []string
	if r.PerSecond > 0 {
		digits := 0
		if r.PerSecond < 10 {
			digits = 1
		}
		parts = append(parts, p.T("run.rate", p.Decimal(r.PerSecond, digits)))
	}
	switch rest := r.Total - r.Done(); {
	case r.Left > 0:
		parts = append(parts, p.T("run.left", p.About(r.Left)))
	case r.Done() > 0 && rest > 0:
		parts = append(parts, p.T("run.waiting", rest))
	case r.Done() == 0 && len(parts) == 0:
		return p.T("run.starting")
	}
	return strings.Join(parts, " · ")
}

func spokenProgress(p *i18n.Printer, kind connexa.RunKind, state connexa.RunState, t connexa.Tally) string {
	name := p.T("kind." + string(kind))
	if !state.Live() || t.Total == 0 {
		return p.T("run.spoken", name, p.T("run.state."+string(state)))
	}
	return p.T("run.spoken", name, p.Percent(float64(t.Done()*10/t.Total)/10))
}

func domID(what string, id int64) string { return what + "-" + strconv.FormatInt(id, 10) }

func runURL(id int64) string { return "/runs/" + strconv.FormatInt(id, 10) }

func nodeURL(id int64) string { return nodePath(strconv.FormatInt(id, 10)) }

func nodePath(id string) string { return "/nodes/" + id }
