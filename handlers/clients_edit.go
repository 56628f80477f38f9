package handlers

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// newClient answers GET /clients/new with the form; "node" chooses nodes at once.
func (h *Handlers) newClient(w http.ResponseWriter, r *http.Request) {
	in := connexa.ClientInput{Enabled: true, Scope: string(connexa.ScopeAll), Unit: "GB"}
	if in.Nodes = r.URL.Query()["node"]; len(in.Nodes) > 0 {
		in.Scope = string(connexa.ScopeNodes)
	}
	h.clientForm(w, r, http.StatusOK, views.ClientForm{Input: in})
}

// addClient answers POST /clients.
func (h *Handlers) addClient(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	in := readClient(r.PostForm)
	id, err := h.clients.AddClient(r.Context(), in)
	if err != nil {
		h.renderClientError(w, r, views.ClientForm{Input: in}, err)
		return
	}
	h.addFlash(w, r, connexa.T("clients.added", in.Name))
	h.redirectTo(w, r, clientPath(id))
}

// editClient answers GET /clients/{id}/edit with the form.
func (h *Handlers) editClient(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	u, err := h.clients.Client(r.Context(), id)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	h.clientForm(w, r, http.StatusOK, views.ClientForm{ID: id, Revision: u.Revision, Input: clientInput(&u.Client, h.settings.PanelZone())})
}

// saveClient answers POST /clients/{id}/edit.
func (h *Handlers) saveClient(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	if err := r.ParseForm(); err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	u, err := h.clients.Client(r.Context(), id)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	revision, err := strconv.ParseInt(r.PostForm.Get("revision"), 10, 64)
	if err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	in := readClient(r.PostForm)
	in.Name = u.Name
	if err := h.clients.EditClient(r.Context(), id, revision, in); err != nil {
		// Who was told of another's edit may put the own one on top of it.
		h.renderClientError(w, r, views.ClientForm{ID: id, Revision: u.Revision, Input: in}, err)
		return
	}
	h.addFlash(w, r, connexa.T("settings.saved"))
	h.redirectTo(w, r, clientPath(id))
}

// readClient reads what was typed into the form.
func readClient(form url.Values) connexa.ClientInput {
	return connexa.ClientInput{
		Name: form.Get("name"), Password: form.Get("password"), Enabled: form.Get("enabled") == "1", Scope: form.Get("scope"), Nodes: form["node"],
		Tags: form.Get("tags"), Sources: form.Get("sources"), Expires: form.Get("expires"), Quota: form.Get("quota"), Unit: form.Get("unit"),
		Period: form.Get("period"), Note: form.Get("note"),
	}
}

// clientInput is an access user as the form shows it: without its password.
func clientInput(u *connexa.Client, zone *time.Location) connexa.ClientInput {
	in := connexa.ClientInput{
		Name: u.Name, Enabled: u.Enabled, Scope: string(u.Scope), Tags: strings.Join(u.Tags, ", "), Period: string(u.Period), Note: u.Note,
		Expires: connexa.ExpiryDay(u.Expires, zone),
	}
	in.Quota, in.Unit = connexa.QuotaText(u.Quota)
	for _, id := range u.Nodes {
		in.Nodes = append(in.Nodes, strconv.FormatInt(id, 10))
	}
	var sources []string
	for _, p := range u.Sources {
		sources = append(sources, connexa.SourceText(p))
	}
	in.Sources = strings.Join(sources, ", ")
	return in
}

// clientForm draws the form: as a page, or to htmx alone.
func (h *Handlers) clientForm(w http.ResponseWriter, r *http.Request, status int, f views.ClientForm) {
	var chosen []int64
	for _, s := range f.Input.Nodes {
		if id, err := strconv.ParseInt(s, 10, 64); err == nil {
			chosen = append(chosen, id)
		}
	}
	served, err := h.services.ServedNodes(r.Context(), chosen)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	for _, s := range served {
		f.Nodes = append(f.Nodes, views.ServiceLine{ServiceRow: s.Service, Node: s.Node})
	}
	facets, err := h.nodes.Facets(r.Context())
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	for _, t := range facets.Tags[:min(len(facets.Tags), suggestions)] {
		f.Tags = append(f.Tags, t.Value)
	}
	f.Input.Password = "" // a page never carries one, not even one just typed
	if isHTMX(r) {
		h.fragmentStatus(w, r, status, views.ClientFormPart(f))
		return
	}
	title := connexa.T("clients.new")
	if f.ID != 0 {
		title = connexa.T("node.edit", f.Input.Name)
	}
	h.fragmentStatus(w, r, status, views.ClientFormPage(h.layoutData(w, r, title, views.NavClients), f))
}

// renderClientError draws the form again with what is wrong with it, if err is of the
// kind that a form can show.
func (h *Handlers) renderClientError(w http.ResponseWriter, r *http.Request, f views.ClientForm, err error) {
	var fields connexa.FieldErrors
	switch {
	case errors.As(err, &fields):
		f.Errors = fields
		h.clientForm(w, r, http.StatusUnprocessableEntity, f)
	case connexa.CodeOf(err) == connexa.Conflict:
		f.Problem = connexa.TextOf(err)
		h.clientForm(w, r, http.StatusConflict, f)
	default:
		h.renderFailure(w, r, err)
	}
}
