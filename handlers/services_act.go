package handlers

import (
	"context"
	"fmt"
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// retryService answers POST /nodes/{id}/service/retry.
func (h *Handlers) retryService(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err == nil {
		err = h.services.RetryService(r.Context(), id)
	}
	if err != nil {
		return err
	}
	if isHTMX(r) {
		return h.renderFragment(w, r, views.ToastPartial(views.Toast{Tone: views.ToneInfo, Text: connexa.T("services.retried")}))
	}
	return h.redirectTo(w, r, nodePath(id))
}

// retryServices answers POST /services/retry with a selection: its services that are
// down retry now. It needs no confirmation.
func (h *Handlers) retryServices(w http.ResponseWriter, r *http.Request) error {
	s, err := formSelection(r)
	var n int
	if err == nil {
		n, err = h.services.RetryServices(r.Context(), s)
	}
	if err != nil {
		return err
	}
	return h.doneInPlace(w, r, views.ToneInfo, connexa.T("services.retried.many", n), pageAfterServices(r))
}

// allowDestinations answers POST /nodes/{id}/service/reach: the non-public destinations that
// the service of a node allows.
func (h *Handlers) allowDestinations(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	if err := h.services.AllowDestinations(r.Context(), id, r.PostForm.Get("private") == "1", r.PostForm.Get("mail") == "1"); err != nil {
		return err
	}
	return h.redirectDone(w, r, connexa.T("settings.saved"), nodePath(id))
}

func nodePath(id int64) string { return fmt.Sprintf("/nodes/%d", id) }

// addService adds the service of a node and its traffic to the node page.
func (h *Handlers) addService(ctx context.Context, v *views.Node) error {
	if v.Serves = h.services.Serves(); !v.Serves {
		return nil
	}
	if err := h.addVPN(ctx, v); err != nil {
		return err
	}
	id := v.Node.ID
	services, err := h.services.ServiceRows(ctx, []int64{id})
	if err != nil {
		return err
	}
	s, ok := services[id]
	if !ok {
		return nil
	}
	v.Service = &s
	rates, err := h.services.ServiceRates(ctx, []int64{id})
	if err != nil {
		return err
	}
	v.Rate = rates[id]
	v.Charts.Traffic, v.Charts.TrafficEvery, err = h.services.Traffic(ctx, id, v.Charts.Period)
	return err
}
