package handlers

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// deleteNodes answers POST /nodes/delete with a selection, first with a question and
// the count. The confirmed form deletes.
func (h *Handlers) deleteNodes(w http.ResponseWriter, r *http.Request) error {
	s, err := formSelection(r)
	if err != nil {
		return err
	}
	return h.deleteSelection(w, r, s)
}

// deleteNode answers POST /nodes/{id}/delete like deleteNodes, for one node.
func (h *Handlers) deleteNode(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	return h.deleteSelection(w, r, connexa.Selection{IDs: []int64{id}})
}

func (h *Handlers) deleteSelection(w http.ResponseWriter, r *http.Request, s connexa.Selection) error {
	back := pageAfterDelete(r)
	if !isConfirmed(r) {
		return h.askDelete(w, r, s, back, nil)
	}
	shown, err := strconv.Atoi(r.PostForm.Get("count"))
	if err != nil {
		return h.askDelete(w, r, s, back, nil)
	}
	act, err := h.acts.StartAct(r.Context(), s, shown, connexa.Bulk{Kind: connexa.BulkDelete})
	switch {
	case connexa.CodeOf(err) == connexa.Conflict:
		return h.askDelete(w, r, s, back, err)
	case err != nil:
		return err
	default:
		return h.actStarted(w, r, act, back)
	}
}

// askDelete asks for confirmation before nodes are deleted. why is the reason for
// asking again. Optional.
func (h *Handlers) askDelete(w http.ResponseWriter, r *http.Request, s connexa.Selection, back string, why error) error {
	n, err := h.nodes.CountNodes(r.Context(), s)
	if err == nil && n == 0 {
		err = connexa.Errorf(connexa.NotFound, "nodes.delete.gone")
	}
	if err != nil {
		return err
	}
	p := i18n.From(r.Context())
	c := views.ConfirmDelete(p, n, selectionValues(s))
	if n == 1 {
		if list, err := h.firstNodes(r.Context(), s); err == nil && len(list) == 1 { // otherwise it no longer exists, which the next answer reports
			c = views.ConfirmDeleteOne(p, list[0], selectionValues(s))
		}
	}
	c.Fields = append(c.Fields, views.Hidden{Name: "back", Value: back})
	status := http.StatusOK
	if why != nil {
		c.Warning = p.Err(why)
		status = statusOf(connexa.CodeOf(why))
	}
	return h.askConfirm(w, r, status, c, connexa.T("nodes.delete"), views.NavNodes)
}

// firstNodes returns the nodes of a selection, or the first one of its filter.
func (h *Handlers) firstNodes(ctx context.Context, s connexa.Selection) ([]connexa.Node, error) {
	if !s.All {
		return h.nodes.NodesByID(ctx, s.IDs)
	}
	page, err := h.nodes.ListNodes(ctx, connexa.ListQuery{Filter: s.Filter, Size: 1})
	return page.Nodes, err
}

// pageAfterDelete returns the next page after a deletion: the list with its filters, or the
// whole list after a node page, which no longer exists.
func pageAfterDelete(r *http.Request) string {
	u, err := url.Parse(pageBefore(r))
	if err != nil || strings.TrimSuffix(u.Path, "/") != "/nodes" {
		return "/nodes"
	}
	q := u.Query()
	q.Del("cursor") // its row may be deleted
	u.RawQuery = q.Encode()
	return u.RequestURI()
}
