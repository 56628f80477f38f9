package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// clientCredentials answers GET /clients/{id}/credentials, after a recent authentication,
// with the credentials and addresses for a client, ready to copy.
func (h *Handlers) clientCredentials(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	u, err := h.clients.Client(r.Context(), id)
	if err != nil {
		return err
	}
	services, err := h.clients.ClientServices(r.Context(), &u.Client)
	if err != nil {
		return err
	}
	host, elsewhere, err := h.clientHost(r)
	if err != nil {
		return err
	}
	password, err := h.clients.RevealClientPassword(r.Context(), id)
	if err != nil {
		return err
	}
	a := views.ClientCredentials{ID: id, Name: u.Name, Password: password, State: u.Live.State, Elsewhere: elsewhere}
	for _, s := range services {
		line := credentialsOf(s.Service, s.Node, host, password)
		line.User = u.Name
		a.Services = append(a.Services, line)
	}
	return h.renderPage(w, r, views.ClientCredentialsPage(h.layoutData(w, r, connexa.T("clients.one", u.Name), views.NavClients), a))
}
