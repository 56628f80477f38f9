package handlers

import (
	"fmt"
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// newNode answers GET /nodes/new with the empty form.
func (h *Handlers) newNode(w http.ResponseWriter, r *http.Request) {
	h.nodeForm(w, r, http.StatusOK, views.NodeForm{})
}

// addNode answers POST /nodes.
func (h *Handlers) addNode(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	in := readNode(r.PostForm)
	id, err := h.nodes.AddNode(r.Context(), in)
	if err != nil {
		if !h.refuseNode(w, r, views.NodeForm{Input: in}, err) {
			h.renderFailure(w, r, err)
		}
		return
	}
	h.addFlash(w, r, connexa.T("node.added"))
	h.redirectTo(w, r, fmt.Sprintf("/nodes/%d", id))
}
