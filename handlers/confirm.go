package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// isConfirmed reports whether the posted form is the answer to a question. Only
// the form of a question has the field: a form that asks nothing must not carry it.
func isConfirmed(r *http.Request) bool { return r.PostForm.Get("yes") == "1" }

// askConfirm answers with a question: as a dialog to htmx, as a page to a browser
// without script.
func (h *Handlers) askConfirm(w http.ResponseWriter, r *http.Request, status int, c views.Confirm, title connexa.Text, nav views.Nav) error {
	if isHTMX(r) {
		return h.renderStatus(w, r, status, views.ConfirmDialog(c))
	}
	return h.renderStatus(w, r, status, views.ConfirmPage(h.layoutData(w, r, title, nav), c))
}
