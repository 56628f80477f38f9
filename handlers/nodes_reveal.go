package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// revealPassword answers GET /nodes/{id}/password, behind the password prompt:
// to htmx with the password alone, to a browser with a page around it.
func (h *Handlers) revealPassword(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	password, err := h.nodes.RevealPassword(r.Context(), id)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	if isHTMX(r) {
		h.renderFragment(w, r, views.NodeSecret(password))
		return
	}
	pg := h.layoutData(w, r, connexa.T("node.password"), views.NavNodes)
	h.renderPage(w, r, views.NodeSecretPage(pg, id, password))
}
