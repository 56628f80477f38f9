package handlers

import (
	"net/http"
	"net/url"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// newView answers GET /views/new with the form for a view of the list whose URL is
// "back".
func (h *Handlers) newView(w http.ResponseWriter, r *http.Request) error {
	in, err := h.viewOfList(r, listPath(r.URL.Query().Get("back")))
	if err != nil {
		return err
	}
	return h.viewForm(w, r, http.StatusOK, views.ViewForm{Input: in})
}

// viewOfList returns the view that a list shows, without a name. A filter that cannot be
// read is kept as it was typed.
func (h *Handlers) viewOfList(r *http.Request, list string) (connexa.ViewInput, error) {
	v := queryOf(list)
	d, err := h.readDisplay(r, v)
	if err != nil {
		return connexa.ViewInput{}, err
	}
	in := connexa.ViewInput{
		Query: v.Get("q"), Sort: connexa.ParseSort(v.Get("sort")).String(),
		Columns: connexa.FormatListColumns(d.columns), Density: string(d.density),
	}
	if f, err := connexa.ParseFilter(v); err == nil {
		in.Query = f.String()
	}
	return in, nil
}

// addView answers POST /views.
func (h *Handlers) addView(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	in := readView(r.PostForm)
	v, err := h.views.AddView(r.Context(), accountOf(r.Context()).id, in)
	if err != nil {
		return h.renderViewError(w, r, views.ViewForm{Input: in}, err)
	}
	return h.redirectDone(w, r, connexa.T("view.saved", v.Name), views.ViewURL(v))
}

// editView answers GET /views/{id}/edit.
func (h *Handlers) editView(w http.ResponseWriter, r *http.Request) error {
	v, err := h.ownView(r)
	if err != nil {
		return err
	}
	in := connexa.ViewInput{
		Name: v.Name, Query: v.Query, Sort: v.Sort.String(), Columns: connexa.FormatListColumns(v.Columns), Density: string(v.Density),
		Shared: v.Shared, Tile: v.Tile, Start: v.Start,
	}
	f := views.ViewForm{ID: v.ID, Called: v.Name, Input: in}
	if _, err := v.Filter(); err != nil {
		f.Errors = connexa.FieldErrors{"query": connexa.TextOf(err)}
	}
	return h.viewForm(w, r, http.StatusOK, f)
}

// saveView answers POST /views/{id}/edit.
func (h *Handlers) saveView(w http.ResponseWriter, r *http.Request) error {
	was, err := h.ownView(r)
	if err != nil {
		return err
	}
	if err := parseForm(r); err != nil {
		return err
	}
	in := readView(r.PostForm)
	v, err := h.views.SaveView(r.Context(), was.AccountID, was.ID, in)
	if err != nil {
		return h.renderViewError(w, r, views.ViewForm{ID: was.ID, Called: was.Name, Input: in}, err)
	}
	return h.redirectDone(w, r, connexa.T("view.saved", v.Name), views.ViewURL(v))
}

// updateView answers POST /views/{id}/update: the view becomes what the list whose URL
// is "back" shows.
func (h *Handlers) updateView(w http.ResponseWriter, r *http.Request) error {
	was, err := h.ownView(r)
	if err != nil {
		return err
	}
	if err := parseForm(r); err != nil {
		return err
	}
	in, err := h.viewOfList(r, listPath(r.PostForm.Get("back")))
	if err != nil {
		return err
	}
	in.Name, in.Shared, in.Tile, in.Start = was.Name, was.Shared, was.Tile, was.Start
	v, err := h.views.SaveView(r.Context(), was.AccountID, was.ID, in)
	if err != nil {
		return err
	}
	return h.redirectDone(w, r, connexa.T("view.saved", v.Name), views.ViewURL(v))
}

// setStartView answers POST /views/{id}/start: with on=1 the view becomes the start page
// of the account, otherwise no longer.
func (h *Handlers) setStartView(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	on := r.PostForm.Get("on") == "1"
	v, err := h.views.SetStartView(r.Context(), accountOf(r.Context()).id, id, on)
	if err != nil {
		return err
	}
	message := connexa.T("view.start.off")
	if on {
		message = connexa.T("view.start.on", v.Name)
	}
	return h.redirectDone(w, r, message, "/views")
}

// deleteView answers POST /views/{id}/delete, first with a question.
func (h *Handlers) deleteView(w http.ResponseWriter, r *http.Request) error {
	v, err := h.ownView(r)
	if err != nil {
		return err
	}
	if err := parseForm(r); err != nil {
		return err
	}
	if !isConfirmed(r) {
		return h.askConfirm(w, r, http.StatusOK, views.ConfirmDeleteView(i18n.From(r.Context()), v), connexa.T("views.title"), views.NavNodes)
	}
	if _, err := h.views.DeleteView(r.Context(), v.AccountID, v.ID); err != nil {
		return err
	}
	return h.redirectDone(w, r, connexa.T("view.deleted", v.Name), "/views")
}

func (h *Handlers) ownView(r *http.Request) (connexa.View, error) {
	id, err := pathID(r)
	if err != nil {
		return connexa.View{}, err
	}
	return h.views.OwnView(r.Context(), accountOf(r.Context()).id, id)
}

func (h *Handlers) viewForm(w http.ResponseWriter, r *http.Request, status int, f views.ViewForm) error {
	title := connexa.T("view.new")
	if f.ID != 0 {
		title = connexa.T("view.edit", f.Called)
	}
	return h.renderStatus(w, r, status, views.ViewFormPage(h.layoutData(w, r, title, views.NavNodes), f))
}

// renderViewError is renderFormError for the form of a view.
func (h *Handlers) renderViewError(w http.ResponseWriter, r *http.Request, f views.ViewForm, err error) error {
	return renderFormError(err, func(status int, errs connexa.FieldErrors) error {
		f.Errors = errs
		return h.viewForm(w, r, status, f)
	})
}

func readView(form url.Values) connexa.ViewInput {
	return connexa.ViewInput{
		Name: form.Get("name"), Query: form.Get("query"), Sort: form.Get("sort"), Columns: form.Get("cols"), Density: form.Get("density"),
		Shared: form.Get("shared") == "1", Tile: form.Get("tile") == "1", Start: form.Get("start") == "1",
	}
}
