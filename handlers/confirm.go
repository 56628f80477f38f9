package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// isConfirmed reports whether the posted form answers a question. Only the form of a
// question may have this field.
func isConfirmed(r *http.Request) bool { return r.PostForm.Get("yes") == "1" }

// askConfirm answers with a question: a dialog for htmx, otherwise a page.
func (h *Handlers) askConfirm(w http.ResponseWriter, r *http.Request, status int, c views.Confirm, title connexa.Text, nav views.Nav) error {
	if isHTMX(r) {
		return h.renderStatus(w, r, status, views.ConfirmDialog(c))
	}
	return h.renderStatus(w, r, status, views.ConfirmPage(h.layoutData(w, r, title, nav), c))
}
