package handlers

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// showNode answers GET /nodes/{id}. With before=ID it shows older history: to
// htmx, those rows alone.
func (h *Handlers) showNode(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	before, err := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	if err != nil || before < 0 {
		before = 0
	}
	v, err := h.nodeView(r.Context(), id, before)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if isHTMX(r) && before > 0 {
		h.fragment(w, r, views.HistoryItems(v.History, v.Older))
		return
	}
	pg := h.frame(w, r, connexa.T("node.page", v.Node.Address), views.NavNodes)
	pg.Stream = nodeStream(id)
	h.page(w, r, views.NodePage(pg, v))
}

func (h *Handlers) nodeView(ctx context.Context, id, before int64) (views.Node, error) {
	s, err := h.app.NodeStory(ctx, id, before)
	if err != nil {
		return views.Node{}, err
	}
	testing, err := h.app.Testing(ctx, []int64{id})
	if err != nil {
		return views.Node{}, err
	}
	v := views.Node{
		Node: s.Node, Testing: len(testing[id]) > 0, History: s.History, Beats: s.Beats, Kinds: h.app.RunKinds(),
		Reveal: fmt.Sprintf("/nodes/%d/password", id),
	}
	if s.Last.ID != 0 {
		v.Last = &s.Last
	}
	if s.Next != 0 {
		v.Older = fmt.Sprintf("/nodes/%d?before=%d", id, s.Next)
	}
	return v, nil
}
