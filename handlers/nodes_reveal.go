package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// revealPassword answers GET /nodes/{id}/password, after a recent authentication: only
// the password for htmx, otherwise a page.
func (h *Handlers) revealPassword(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	password, err := h.nodes.RevealPassword(r.Context(), id)
	if err != nil {
		return err
	}
	if isHTMX(r) {
		return h.renderFragment(w, r, views.NodeSecret(password))
	}
	pg := h.layoutData(w, r, connexa.T("node.password"), views.NavNodes)
	return h.renderPage(w, r, views.NodeSecretPage(pg, id, password))
}
