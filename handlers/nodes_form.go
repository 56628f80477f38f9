package handlers

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// suggestions is the maximum number of existing values that a field of the form
// suggests.
const suggestions = 100

// readNode returns the values of the form of a node.
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

// inputOf returns a node as the form shows it, without its password.
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

// addSuggestions adds the existing values to the form.
func (h *Handlers) addSuggestions(ctx context.Context, f *views.NodeForm) error {
	facets, err := h.nodes.Facets(ctx, connexa.Filter{})
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
	for _, c := range connexa.FacetColumns() {
		f.Suggestions[c.Name] = values(*c.Facet(&facets))
	}
	return nil
}

// nodeForm draws the form: a page, or only the form for htmx.
func (h *Handlers) nodeForm(w http.ResponseWriter, r *http.Request, status int, f views.NodeForm) error {
	if err := h.addSuggestions(r.Context(), &f); err != nil {
		return err
	}
	f.Input.Password = "" // a page never contains a password, not even one that was just typed
	if isHTMX(r) {
		return h.renderStatus(w, r, status, views.NodeFormPart(f))
	}
	title := connexa.T("node.new")
	if f.ID != 0 {
		title = connexa.T("node.edit", f.Input.Address)
	}
	return h.renderStatus(w, r, status, views.NodeFormPage(h.layoutData(w, r, title, views.NavNodes), f))
}

// renderNodeError is renderFormError for the form of a node, which also shows a conflict.
func (h *Handlers) renderNodeError(w http.ResponseWriter, r *http.Request, f views.NodeForm, err error) error {
	if connexa.CodeOf(err) == connexa.Conflict {
		f.Problem = connexa.TextOf(err)
		return h.nodeForm(w, r, http.StatusConflict, f)
	}
	return renderFormError(err, func(status int, errs connexa.FieldErrors) error {
		f.Errors = errs
		return h.nodeForm(w, r, status, f)
	})
}
