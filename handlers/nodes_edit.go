package handlers

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// editNode answers GET /nodes/{id}/edit with the form.
func (h *Handlers) editNode(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	n, err := h.nodes.Node(r.Context(), id)
	if err != nil {
		return err
	}
	return h.nodeForm(w, r, http.StatusOK, views.NodeForm{ID: id, Revision: n.Revision, Input: inputOf(&n), Status: n.Status})
}

// saveNode answers POST /nodes/{id}/edit.
func (h *Handlers) saveNode(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	n, err := h.nodes.Node(r.Context(), id)
	if err != nil {
		return err
	}
	revision, err := strconv.ParseInt(r.PostForm.Get("revision"), 10, 64)
	if err != nil {
		return badForm(err)
	}
	in := readNode(r.PostForm)
	ctx, err := h.withProof(w, r)
	var reset bool
	if err == nil {
		reset, err = h.nodes.EditNode(ctx, id, revision, in)
	}
	if err != nil {
		// The form gets the new revision, so that the user can overwrite a concurrent edit.
		return h.renderNodeError(w, r, views.NodeForm{ID: id, Revision: n.Revision, Input: in, Status: n.Status}, err)
	}
	done := connexa.T("node.saved")
	if reset && n.Status != connexa.NotTested {
		done = connexa.T("node.saved.reset")
	}
	return h.redirectDone(w, r, done, fmt.Sprintf("/nodes/%d", id))
}
