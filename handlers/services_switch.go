package handlers

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// startServices answers POST /services/start with a selection. One node, named by its
// id, is started at once. Any other selection is first answered with a question and the
// count. The confirmed form starts a bulk act.
func (h *Handlers) startServices(w http.ResponseWriter, r *http.Request) error {
	return h.switchServices(w, r, connexa.BulkStart)
}

// stopServices stops services. It is otherwise like startServices.
func (h *Handlers) stopServices(w http.ResponseWriter, r *http.Request) error {
	return h.switchServices(w, r, connexa.BulkStop)
}

func (h *Handlers) switchServices(w http.ResponseWriter, r *http.Request, kind connexa.BulkKind) error {
	s, err := formSelection(r)
	if err != nil {
		return err
	}
	shown := 1
	if s.All || len(s.IDs) != 1 {
		if shown, err = strconv.Atoi(r.PostForm.Get("count")); err != nil || !isConfirmed(r) {
			return h.askServices(w, r, s, kind, nil)
		}
	}
	act, err := h.acts.StartAct(r.Context(), s, shown, connexa.Bulk{Kind: kind})
	switch {
	case connexa.TextOf(err).Key == "acts.changed":
		return h.askServices(w, r, s, kind, err)
	case err != nil:
		return err
	case isHTMX(r) && !r.PostForm.Has("back"): // the row changes in place
		return h.renderFragment(w, r, views.ToastPartial(views.ActToast(act)))
	}
	return h.actStarted(w, r, act, pageAfterServices(r))
}

// askServices asks for confirmation before services are started or stopped. why is the
// reason for asking again. Optional.
func (h *Handlers) askServices(w http.ResponseWriter, r *http.Request, s connexa.Selection, kind connexa.BulkKind, why error) error {
	plan, err := h.services.PlanServices(r.Context(), s, kind)
	if err != nil {
		return err
	}
	c := views.ConfirmServices(i18n.From(r.Context()), kind == connexa.BulkStart, plan, selectionValues(s))
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
