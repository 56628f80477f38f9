package handlers

import (
	"fmt"
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// newNode answers GET /nodes/new with the empty form.
func (h *Handlers) newNode(w http.ResponseWriter, r *http.Request) error {
	return h.nodeForm(w, r, http.StatusOK, views.NodeForm{})
}

// addNode answers POST /nodes.
func (h *Handlers) addNode(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	in := readNode(r.PostForm)
	id, err := h.nodes.AddNode(r.Context(), in)
	if err != nil {
		return h.renderNodeError(w, r, views.NodeForm{Input: in}, err)
	}
	return h.redirectDone(w, r, connexa.T("node.added"), fmt.Sprintf("/nodes/%d", id))
}
