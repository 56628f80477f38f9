package handlers

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// editNode answers GET /nodes/{id}/edit with the form.
func (h *Handlers) editNode(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	n, err := h.nodes.Node(r.Context(), id)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	h.nodeForm(w, r, http.StatusOK, views.NodeForm{ID: id, Revision: n.Revision, Input: inputOf(&n), Status: n.Status})
}

// saveNode answers POST /nodes/{id}/edit.
func (h *Handlers) saveNode(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	if err := r.ParseForm(); err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	n, err := h.nodes.Node(r.Context(), id)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	revision, err := strconv.ParseInt(r.PostForm.Get("revision"), 10, 64)
	if err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	in := readNode(r.PostForm)
	ctx, err := h.withProof(w, r)
	var reset bool
	if err == nil {
		reset, err = h.nodes.EditNode(ctx, id, revision, in)
	}
	if err != nil {
		// Who was told of another's edit may put the own one on top of it.
		if !h.refuseNode(w, r, views.NodeForm{ID: id, Revision: n.Revision, Input: in, Status: n.Status}, err) {
			h.renderFailure(w, r, err)
		}
		return
	}
	done := connexa.T("node.saved")
	if reset && n.Status != connexa.NotTested {
		done = connexa.T("node.saved.reset")
	}
	h.addFlash(w, r, done)
	h.redirectTo(w, r, fmt.Sprintf("/nodes/%d", id))
}
