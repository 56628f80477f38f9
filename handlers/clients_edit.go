package handlers

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// newClient answers GET /clients/new with the form; "node" preselects nodes.
func (h *Handlers) newClient(w http.ResponseWriter, r *http.Request) error {
	in := connexa.ClientInput{Enabled: true, Scope: string(connexa.ScopeAll), Unit: "GB"}
	if in.Nodes = r.URL.Query()["node"]; len(in.Nodes) > 0 {
		in.Scope = string(connexa.ScopeNodes)
	}
	return h.clientForm(w, r, http.StatusOK, views.ClientForm{Input: in})
}

// addClient answers POST /clients.
func (h *Handlers) addClient(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	in := readClient(r.PostForm)
	id, err := h.clients.AddClient(r.Context(), in)
	if err != nil {
		return h.renderClientError(w, r, views.ClientForm{Input: in}, err)
	}
	return h.redirectDone(w, r, connexa.T("clients.added", in.Name), clientPath(id))
}

// editClient answers GET /clients/{id}/edit with the form.
func (h *Handlers) editClient(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	u, err := h.clients.Client(r.Context(), id)
	if err != nil {
		return err
	}
	return h.clientForm(w, r, http.StatusOK, views.ClientForm{ID: id, Revision: u.Revision, Input: clientInput(&u.Client, h.settings.PanelZone())})
}

// saveClient answers POST /clients/{id}/edit.
func (h *Handlers) saveClient(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	u, err := h.clients.Client(r.Context(), id)
	if err != nil {
		return err
	}
	revision, err := strconv.ParseInt(r.PostForm.Get("revision"), 10, 64)
	if err != nil {
		return badForm(err)
	}
	in := readClient(r.PostForm)
	in.Name = u.Name
	if err := h.clients.EditClient(r.Context(), id, revision, in); err != nil {
		// The form gets the new revision, so that the user can overwrite a concurrent edit.
		return h.renderClientError(w, r, views.ClientForm{ID: id, Revision: u.Revision, Input: in}, err)
	}
	return h.redirectDone(w, r, connexa.T("settings.saved"), clientPath(id))
}

// readClient returns the values of the form.
func readClient(form url.Values) connexa.ClientInput {
	return connexa.ClientInput{
		Name: form.Get("name"), Password: form.Get("password"), Enabled: form.Get("enabled") == "1", Scope: form.Get("scope"), Nodes: form["node"],
		Tags: form.Get("tags"), Sources: form.Get("sources"), Expires: form.Get("expires"), Quota: form.Get("quota"), Unit: form.Get("unit"),
		Period: form.Get("period"), Note: form.Get("note"),
	}
}

// clientInput returns a client as the form shows it, without its password.
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

// clientForm draws the form: a page, or only the form for htmx.
func (h *Handlers) clientForm(w http.ResponseWriter, r *http.Request, status int, f views.ClientForm) error {
	var chosen []int64
	for _, s := range f.Input.Nodes {
		if id, err := strconv.ParseInt(s, 10, 64); err == nil {
			chosen = append(chosen, id)
		}
	}
	served, err := h.services.ServedNodes(r.Context(), chosen)
	if err != nil {
		return err
	}
	for _, s := range served {
		f.Nodes = append(f.Nodes, views.ServiceRow{ServiceRow: s.Service, Node: s.Node})
	}
	facets, err := h.nodes.Facets(r.Context(), connexa.Filter{})
	if err != nil {
		return err
	}
	for _, t := range facets.Tags[:min(len(facets.Tags), suggestions)] {
		f.Tags = append(f.Tags, t.Value)
	}
	f.Input.Password = "" // a page never contains a password, not even one that was just typed
	if isHTMX(r) {
		return h.renderStatus(w, r, status, views.ClientFormPart(f))
	}
	title := connexa.T("clients.new")
	if f.ID != 0 {
		title = connexa.T("node.edit", f.Input.Name)
	}
	return h.renderStatus(w, r, status, views.ClientFormPage(h.layoutData(w, r, title, views.NavClients), f))
}

// renderClientError is renderFormError for the form of a client, which also shows a
// conflict.
func (h *Handlers) renderClientError(w http.ResponseWriter, r *http.Request, f views.ClientForm, err error) error {
	if connexa.CodeOf(err) == connexa.Conflict {
		f.Problem = connexa.TextOf(err)
		return h.clientForm(w, r, http.StatusConflict, f)
	}
	return renderFormError(err, func(status int, errs connexa.FieldErrors) error {
		f.Errors = errs
		return h.clientForm(w, r, status, f)
	})
}
