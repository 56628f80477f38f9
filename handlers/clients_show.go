package handlers

import (
	"context"
	"fmt"
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// showClient answers GET /clients/{id}.
func (h *Handlers) showClient(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	a, err := h.clientView(r.Context(), id)
	if err != nil {
		return err
	}
	pg := h.layoutData(w, r, connexa.T("clients.one", a.Name), views.NavClients)
	pg.Stream = fmt.Sprintf("/events?page=client&id=%d", id)
	return h.renderPage(w, r, views.ClientPage(pg, a))
}

// maxNamedNodes is the maximum number of nodes that a client page names. More are
// counted.
const maxNamedNodes = 30

func (h *Handlers) clientView(ctx context.Context, id int64) (views.ClientDetail, error) {
	u, err := h.clients.Client(ctx, id)
	if err != nil {
		return views.ClientDetail{}, err
	}
	a := views.ClientDetail{ClientRow: views.ClientRow(u)}
	list, err := h.clients.ClientServices(ctx, &u.Client)
	if err != nil {
		return a, err
	}
	for _, s := range list {
		a.Services = append(a.Services, views.ServiceRow{ServiceRow: s.Service, Node: s.Node})
	}
	if len(u.Nodes) > 0 && len(u.Nodes) <= maxNamedNodes {
		a.Named, err = h.nodes.NodesByID(ctx, u.Nodes)
	}
	return a, err
}

func clientPath(id int64) string { return fmt.Sprintf("/clients/%d", id) }
