package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// suggestions is how many values in use a field of the form offers.
const suggestions = 100

// readNode reads what was typed into the form of a node.
func readNode(form url.Values) connexa.NodeInput {
	in := connexa.NodeInput{
		Address: form.Get("address"), Port: form.Get("port"), Login: form.Get("login"), Password: form.Get("password"),
		Tags: form.Get("tags"), Encryption: form.Get("encryption"), AllowPAP: form.Get("allow_pap") == "1",
	}
	for _, c := range connexa.Columns() {
		*c.Input(&in) = form.Get(c.Name)
	}
	return in
}

// inputOf is a node as the form shows it: without its password.
func inputOf(n *connexa.Node) connexa.NodeInput {
	in := connexa.NodeInput{
		Address: n.Address, Port: strconv.Itoa(n.Port), Login: n.Login, Tags: strings.Join(n.Tags, ", "),
		Encryption: string(n.Encryption), AllowPAP: n.AllowPAP,
	}
	for _, c := range connexa.Columns() {
		*c.Input(&in) = *c.Value(n)
	}
	return in
}

// suggestions adds to the form the values in use.
func (h *Handlers) suggestions(ctx context.Context, f *views.NodeForm) error {
	facets, err := h.nodes.Facets(ctx)
	if err != nil {
		return err
	}
	values := func(list []connexa.Facet) (out []string) {
		for _, v := range list[:min(len(list), suggestions)] {
			if v.Value != connexa.NoValue {
				out = append(out, v.Value)
			}
		}
		return out
	}
	f.Suggestions = map[string][]string{"tags": values(facets.Tags)}
	for _, c := range connexa.FilterColumns() {
		f.Suggestions[c.Name] = values(*c.Filter.Facet(&facets))
	}
	return nil
}

// nodeForm draws the form: as a page, or to htmx alone.
func (h *Handlers) nodeForm(w http.ResponseWriter, r *http.Request, status int, f views.NodeForm) {
	if err := h.suggestions(r.Context(), &f); err != nil {
		h.renderFailure(w, r, err)
		return
	}
	f.Input.Password = "" // a page never carries one, not even one just typed
	if isHTMX(r) {
		h.fragmentStatus(w, r, status, views.NodeFormPart(f))
		return
	}
	title := connexa.T("node.new")
	if f.ID != 0 {
		title = connexa.T("node.edit", f.Input.Address)
	}
	h.fragmentStatus(w, r, status, views.NodeFormPage(h.layoutData(w, r, title, views.NavNodes), f))
}

// refuseNode draws the form again with what is wrong with it, and says whether
// err was of the kind that a form can show.
func (h *Handlers) refuseNode(w http.ResponseWriter, r *http.Request, f views.NodeForm, err error) bool {
	var fields connexa.FieldErrors
	switch {
	case errors.As(err, &fields):
		f.Errors = fields
		h.nodeForm(w, r, http.StatusUnprocessableEntity, f)
	case connexa.CodeOf(err) == connexa.Conflict:
		f.Problem = connexa.TextOf(err)
		h.nodeForm(w, r, http.StatusConflict, f)
	default:
		return false
	}
	return true
}
