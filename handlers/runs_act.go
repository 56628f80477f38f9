package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// cancelRun answers POST /runs/{id}/cancel.
func (h *Handlers) cancelRun(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err == nil {
		err = h.runs.CancelRun(r.Context(), id)
	}
	h.runActed(w, r, id, connexa.T("run.cancelled.toast"), err)
}

// resumeRun answers POST /runs/{id}/resume.
func (h *Handlers) resumeRun(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err == nil {
		err = h.runs.ResumeRun(r.Context(), id)
	}
	h.runActed(w, r, id, connexa.T("run.resumed.toast"), err)
}

// decideRun answers POST /runs/{id}/decide/{answer}: the admin's answer to the
// question that the run shows.
func (h *Handlers) decideRun(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err == nil {
		switch r.PathValue("answer") {
		case "accept":
			h.runs.DecideRun(r.Context(), id, true)
		case "discard":
			h.runs.DecideRun(r.Context(), id, false)
		case "go":
			var again connexa.Run
			if again, err = h.runs.ReleaseHeld(r.Context(), id); err == nil && again.ID != 0 {
				h.runStarted(w, r, again)
				return
			}
		default:
			err = connexa.Errorf(connexa.NotFound, "error.not_found")
		}
	}
	h.runActed(w, r, id, connexa.T("run.resumed.toast"), err)
}

// runActed answers what was done to a run; its bar follows through the stream.
func (h *Handlers) runActed(w http.ResponseWriter, r *http.Request, id int64, said connexa.Text, err error) {
	switch {
	case err != nil:
		h.renderFailure(w, r, err)
	case isHTMX(r):
		h.renderFragment(w, r, views.ToastPartial(views.Toast{Tone: views.ToneGood, Text: said}))
	default:
		h.addFlash(w, r, said)
		h.redirectTo(w, r, runPath(id))
	}
}

// retryRun answers POST /runs/{id}/retry: all that did not end well, or with
// `mark` and `cause` the nodes of one group.
func (h *Handlers) retryRun(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	id, err := pathID(r)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	var (
		marks []connexa.Result
		cause *connexa.Cause
	)
	if mark := r.PostForm.Get("mark"); mark != "" {
		marks, cause = groupOf(mark, r.PostForm.Get("cause"))
	}
	kind, n, err := h.runs.Retried(r.Context(), id, marks, cause)
	if err == nil && app.Measures(kind) && n > 1 && !isConfirmed(r) {
		h.askCost(w, r, kind, n, r.URL.Path, r.PostForm)
		return
	}
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	run, err := h.runs.RetryRun(r.Context(), id, marks, cause)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	h.runStarted(w, r, run)
}

// groupOf is a group of a run as a form or an address names it.
func groupOf(mark, cause string) ([]connexa.Result, *connexa.Cause) {
	c := connexa.Cause(cause)
	return []connexa.Result{connexa.Result(mark)}, &c
}

// exportGroup answers GET /runs/{id}/nodes.csv with the nodes of one group.
func (h *Handlers) exportGroup(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	marks, cause := groupOf(r.URL.Query().Get("mark"), r.URL.Query().Get("cause"))
	ids, err := h.runs.RunGroupNodes(r.Context(), id, marks[0], cause)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	h.writeNodes(w, r, connexa.Selection{IDs: ids}, false)
}
