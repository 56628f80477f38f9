package handlers

import (
	"net/http"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// startRun answers POST /runs with `kind` and a selection as read by selectionOf.
func (h *Handlers) startRun(w http.ResponseWriter, r *http.Request) error {
	s, err := formSelection(r)
	if err != nil {
		return err
	}
	kind := connexa.RunKind(r.PostForm.Get("kind"))
	if asked, err := h.askSpeed(w, r, kind, s); asked || err != nil {
		return err
	}
	run, err := h.runs.StartRun(r.Context(), connexa.NewRun{Kind: kind, Selection: s, Label: selectionLabel(s)})
	if err != nil {
		return err
	}
	return h.runStarted(w, r, run)
}

// runStarted answers for a started run: a browser goes to its page; htmx stays, because
// the bar is on every page.
func (h *Handlers) runStarted(w http.ResponseWriter, r *http.Request, run connexa.Run) error {
	if !isHTMX(r) {
		return h.redirectTo(w, r, runPath(run.ID))
	}
	return h.renderFragment(w, r, views.ToastPartial(views.Toast{Tone: views.ToneGood, Text: connexa.T("run.started", run.Total)}))
}

// selectionLabel names a selection in the title of a run.
func selectionLabel(s connexa.Selection) connexa.Text {
	switch {
	case !s.All:
		return connexa.T("run.label.picked", len(s.IDs))
	case s.Filter.IsZero():
		return connexa.T("run.label.all")
	}
	return connexa.T("run.label.filter")
}

func runPath(id int64) string { return "/runs/" + strconv.FormatInt(id, 10) }
