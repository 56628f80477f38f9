package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// testChannel answers POST /channels/{id}/test: it sends a message and says
// whether it went out.
func (h *Handlers) testChannel(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	c, err := h.channels.TestChannel(r.Context(), id)
	switch {
	case connexa.CodeOf(err) == connexa.Invalid:
		h.flashTone(w, r, views.ToneBad, connexa.TextOf(err))
	case err != nil:
		h.renderFailure(w, r, err)
		return
	default:
		h.addFlash(w, r, connexa.T("channel.test.sent", c.Name))
	}
	h.redirectTo(w, r, "/channels")
}

// removeChannel answers POST /channels/{id}/remove: at first with the
// question, and once that was answered with "yes", by removing.
func (h *Handlers) removeChannel(w http.ResponseWriter, r *http.Request) {
	c, err := h.pathChannel(r)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	if err := r.ParseForm(); err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	if !isConfirmed(r) {
		h.askConfirm(w, r, views.ConfirmRemoveChannel(i18n.From(r.Context()), c), connexa.T("channels.title"), views.NavSettings)
		return
	}
	if err := h.channels.RemoveChannel(r.Context(), c.ID); err != nil {
		h.renderFailure(w, r, err)
		return
	}
	h.addFlash(w, r, connexa.T("channel.removed", c.Name))
	h.redirectTo(w, r, "/channels")
}
