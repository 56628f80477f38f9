package handlers

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// editNodeField answers GET /nodes/{id}/inline with the editor of one field. With
// dialog=1 it is a dialog.
func (h *Handlers) editNodeField(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	v := r.URL.Query()
	field := v.Get("field")
	if !slices.Contains(connexa.InlineFields(), field) {
		return connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	n, err := h.nodes.Node(r.Context(), id)
	if err != nil {
		return err
	}
	f := views.InlineForm{Node: n, Field: field, Text: connexa.NodeField(&n, field), Dialog: v.Get("dialog") == "1"}
	f.Was = f.Text
	if isHTMX(r) && f.Dialog {
		return h.renderFragment(w, r, views.InlineDialog(f))
	}
	return h.renderInline(w, r, http.StatusOK, f)
}

// saveNodeField answers POST /nodes/{id}/inline: with the new text, with what is wrong
// with it, or with 409 and the newer text.
func (h *Handlers) saveNodeField(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	revision, err := strconv.ParseInt(r.PostForm.Get("revision"), 10, 64)
	if err != nil {
		return badForm(err)
	}
	f := views.InlineForm{Field: r.PostForm.Get("field"), Text: r.PostForm.Get("text"), Was: r.PostForm.Get("was"), Dialog: r.PostForm.Get("dialog") == "1"}
	f.Node, err = h.nodes.EditNodeField(r.Context(), id, revision, f.Field, f.Was, f.Text)
	if connexa.CodeOf(err) == connexa.Conflict {
		f.Was, f.Conflict = connexa.NodeField(&f.Node, f.Field), true // saved again, it replaces the newer text
		return h.renderInline(w, r, http.StatusConflict, f)
	}
	if err != nil {
		return renderFormError(err, func(status int, errs connexa.FieldErrors) error {
			f.Problem = errs[f.Field]
			return h.renderInline(w, r, status, f)
		})
	}
	if isHTMX(r) {
		return h.renderFragment(w, r, views.InlineDone(f))
	}
	return h.redirectDone(w, r, connexa.T("node.saved"), "/nodes/"+strconv.FormatInt(id, 10))
}

func (h *Handlers) renderInline(w http.ResponseWriter, r *http.Request, status int, f views.InlineForm) error {
	if isHTMX(r) {
		return h.renderStatus(w, r, status, views.InlineEditor(f))
	}
	return h.renderStatus(w, r, status, views.InlinePage(h.layoutData(w, r, connexa.T("table.edit."+f.Field), views.NavNodes), f))
}
