package handlers

import (
	"context"
	"fmt"
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// showPerson answers GET /access/{id}.
func (h *Handlers) showPerson(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	a, err := h.personView(r.Context(), id)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	pg := h.frame(w, r, connexa.T("access.one", a.Name), views.NavAccess)
	pg.Stream = fmt.Sprintf("/events?page=person&id=%d", id)
	h.page(w, r, views.AccessPage(pg, a))
}

// namedMost is how many nodes are named on the page of an access user; more are
// counted.
const namedMost = 30

func (h *Handlers) personView(ctx context.Context, id int64) (views.Access, error) {
	u, err := h.app.AccessUser(ctx, id)
	if err != nil {
		return views.Access{}, err
	}
	a := views.Access{AccessRow: views.AccessRow(u)}
	list, err := h.app.AccessServices(ctx, &u.AccessUser)
	if err != nil {
		return a, err
	}
	for _, s := range list {
		a.Services = append(a.Services, views.ServiceLine{ServiceRow: s.Service, Node: s.Node})
	}
	if len(u.Nodes) > 0 && len(u.Nodes) <= namedMost {
		a.Named, err = h.app.NodesByID(ctx, u.Nodes)
	}
	return a, err
}

func personPath(id int64) string { return fmt.Sprintf("/access/%d", id) }
