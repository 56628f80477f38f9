package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// serviceCredentials answers GET /nodes/{id}/service/credentials, after a recent
// authentication, with the address and credentials of a node's proxy: a dialog for
// htmx, otherwise a page.
func (h *Handlers) serviceCredentials(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	services, err := h.services.ServiceRows(r.Context(), []int64{id})
	if err != nil {
		return err
	}
	s, ok := services[id]
	if !ok {
		return connexa.Errorf(connexa.NotFound, "services.never")
	}
	nodes, err := h.nodes.NodesByID(r.Context(), []int64{id})
	if err == nil && len(nodes) == 0 {
		err = connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	if err != nil {
		return err
	}
	host, elsewhere, err := h.clientHost(r)
	if err != nil {
		return err
	}
	password, err := h.services.RevealService(r.Context(), id)
	if err != nil {
		return err
	}
	a := credentialsOf(s, nodes[0], host, password)
	a.Elsewhere = elsewhere
	if isHTMX(r) {
		return h.renderFragment(w, r, views.ServiceCredentialsDialog(a))
	}
	return h.renderPage(w, r, views.ServiceCredentialsPage(h.layoutData(w, r, connexa.T("services.credentials.title", a.Name), views.NavServices), a))
}

func credentialsOf(s connexa.ServiceRow, n connexa.Node, host string, password connexa.Secret) views.ServiceCredentials {
	return views.ServiceCredentials{
		NodeID: n.ID, Name: n.Address, Host: host, Port: int(s.Listen.Port()), User: s.User, Password: password,
		Online: s.State == connexa.ServiceOnline,
	}
}

// clientHost returns the address of the services for clients. If services listen on all
// addresses and no address for clients is set, it is the one that this browser used to
// reach the panel.
func (h *Handlers) clientHost(r *http.Request) (host string, elsewhere bool, err error) {
	s, err := h.settings.CurrentSettings(r.Context())
	if err != nil {
		return "", false, err
	}
	host, elsewhere = s.Service.ForClients()
	return h.asReached(r, host), elsewhere, nil
}
