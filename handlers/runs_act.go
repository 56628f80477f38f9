package handlers

import (
	"cmp"
	"net/http"
	"net/url"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// cancelRun answers POST /runs/{id}/cancel.
func (h *Handlers) cancelRun(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err == nil {
		err = h.runs.CancelRun(r.Context(), id)
	}
	if err != nil {
		return err
	}
	return h.doneInPlace(w, r, views.ToneGood, connexa.T("run.cancelled.toast"), runPath(id))
}

// resumeRun answers POST /runs/{id}/resume.
func (h *Handlers) resumeRun(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err == nil {
		err = h.runs.ResumeRun(r.Context(), id)
	}
	if err != nil {
		return err
	}
	return h.doneInPlace(w, r, views.ToneGood, connexa.T("run.resumed.toast"), runPath(id))
}

// decideRun answers POST /runs/{id}/decide/{answer}: the answer to the question that
// the run shows.
func (h *Handlers) decideRun(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	switch r.PathValue("answer") {
	case "accept":
		h.runs.DecideRun(r.Context(), id, true)
	case "discard":
		h.runs.DecideRun(r.Context(), id, false)
	case "go":
		again, err := h.runs.ReleaseHeld(r.Context(), id)
		if err != nil {
			return err
		}
		if again.ID != 0 {
			return h.runStarted(w, r, again)
		}
	default:
		return connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	return h.doneInPlace(w, r, views.ToneGood, connexa.T("run.resumed.toast"), runPath(id))
}

// retryRun answers POST /runs/{id}/retry: all jobs with a bad result, or with `result`
// and `cause` the nodes of one group.
func (h *Handlers) retryRun(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	var (
		results []connexa.Result
		cause   *connexa.Cause
	)
	if result := resultOf(r.PostForm); result != "" {
		results, cause = groupOf(result, r.PostForm.Get("cause"))
	}
	kind, n, err := h.runs.Retried(r.Context(), id, results, cause)
	if err != nil {
		return err
	}
	if app.Measures(kind) && n > 1 && !isConfirmed(r) {
		return h.askCost(w, r, kind, n, r.URL.Path, r.PostForm)
	}
	run, err := h.runs.RetryRun(r.Context(), id, results, cause)
	if err != nil {
		return err
	}
	return h.runStarted(w, r, run)
}

// resultOf returns the parameter "result". It was named "mark" in version 0.9.
func resultOf(v url.Values) string { return cmp.Or(v.Get("result"), v.Get("mark")) }

// groupOf returns the group of a run that a form or a URL names.
func groupOf(result, cause string) ([]connexa.Result, *connexa.Cause) {
	c := connexa.Cause(cause)
	return []connexa.Result{connexa.Result(result)}, &c
}

// exportGroup answers GET /runs/{id}/nodes.csv with the nodes of one group.
func (h *Handlers) exportGroup(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	results, cause := groupOf(resultOf(r.URL.Query()), r.URL.Query().Get("cause"))
	ids, err := h.runs.RunGroupNodes(r.Context(), id, results[0], cause)
	if err != nil {
		return err
	}
	return h.writeNodes(w, r, "nodes", connexa.Selection{IDs: ids}, connexa.UsualExport(false))
}
