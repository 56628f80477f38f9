package handlers

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// startServices answers POST /services/start with a selection. One node, named by its
// id, is started at once. Any other selection is first answered with a question and the
// count.
func (h *Handlers) startServices(w http.ResponseWriter, r *http.Request) error {
	return h.switchServices(w, r, true)
}

// stopServices stops services. It is otherwise like startServices.
func (h *Handlers) stopServices(w http.ResponseWriter, r *http.Request) error {
	return h.switchServices(w, r, false)
}

func (h *Handlers) switchServices(w http.ResponseWriter, r *http.Request, start bool) error {
	s, err := formSelection(r)
	if err != nil {
		return err
	}
	shown := 1
	if s.All || len(s.IDs) != 1 {
		if shown, err = strconv.Atoi(r.PostForm.Get("count")); err != nil || !isConfirmed(r) {
			return h.askServices(w, r, s, start, nil)
		}
	}
	act, said, none := h.services.StartServices, "services.started", "services.start.none"
	if !start {
		act, said, none = h.services.StopServices, "services.stopped", "services.stop.none"
	}
	// A cancelled request must not leave half an act.
	n, err := act(context.WithoutCancel(r.Context()), s, shown)
	switch {
	case connexa.TextOf(err).Key == "service.changed":
		return h.askServices(w, r, s, start, err)
	case err != nil:
		return err
	case n == 0:
		return connexa.Errorf(connexa.Conflict, none, shown)
	case r.PostForm.Has("back"): // an answered question returns to its page
		return h.redirectDone(w, r, connexa.T(said, n), pageAfterServices(r))
	}
	return h.doneInPlace(w, r, views.ToneGood, connexa.T(said, n), pageAfterServices(r))
}

// askServices asks for confirmation before services are started or stopped. why is the
// reason for asking again. Optional.
func (h *Handlers) askServices(w http.ResponseWriter, r *http.Request, s connexa.Selection, start bool, why error) error {
	plan, err := h.services.PlanServices(r.Context(), s)
	switch {
	case err != nil:
	case plan.Nodes == 0:
		err = connexa.Errorf(connexa.NotFound, "nodes.delete.gone")
	case start && plan.On == plan.Nodes:
		err = connexa.Errorf(connexa.Conflict, "services.start.none", plan.On)
	case !start && plan.On == 0:
		err = connexa.Errorf(connexa.Conflict, "services.stop.none", plan.Nodes)
	}
	if err != nil {
		return err
	}
	c := views.ConfirmServices(i18n.From(r.Context()), start, plan, selectionValues(s))
	c.Fields = append(c.Fields, views.Hidden{Name: "back", Value: pageAfterServices(r)})
	status := http.StatusOK
	if why != nil {
		c.Warning = i18n.From(r.Context()).Err(why)
		status = statusOf(connexa.CodeOf(why))
	}
	return h.askConfirm(w, r, status, c, connexa.T("services.title"), views.NavServices)
}

// pageAfterServices returns the next page after an act on services: the page that it came
// from.
func pageAfterServices(r *http.Request) string {
	to := pageAfter(pageBefore(r))
	if path, _, _ := strings.Cut(to, "?"); path == "/" || path == "/services/start" || path == "/services/stop" {
		return "/services"
	}
	return to
}
