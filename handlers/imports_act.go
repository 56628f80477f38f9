package handlers

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// importForm reads the id and the form of an act on an import.
func importForm(r *http.Request) (int64, url.Values, error) {
	id, err := pathID(r)
	if err != nil {
		return 0, nil, err
	}
	if err := r.ParseForm(); err != nil {
		return 0, nil, badForm(err)
	}
	return id, r.PostForm, nil
}

// confirmImport answers POST /imports/{id}/confirm. While the file is still being
// read, the import remembers it and goes on by itself.
func (h *Handlers) confirmImport(w http.ResponseWriter, r *http.Request) {
	id, form, err := importForm(r)
	if err == nil {
		err = h.imports.ConfirmImport(r.Context(), id, connexa.ImportTest(form.Get("test")), connexa.Choice(form.Get("choice")))
	}
	h.importActed(w, r, importPath(id), err)
}

// cancelImport answers POST /imports/{id}/cancel.
func (h *Handlers) cancelImport(w http.ResponseWriter, r *http.Request) {
	id, _, err := importForm(r)
	if err == nil {
		err = h.imports.CancelImport(r.Context(), id)
	}
	h.importActed(w, r, importPath(id), err)
}

// chooseForImport answers POST /imports/{id}/choice: for all conflicts, or with
// "line" for one.
func (h *Handlers) chooseForImport(w http.ResponseWriter, r *http.Request) {
	id, form, err := importForm(r)
	var line int64
	if err == nil && form.Get("line") != "" {
		if line, err = strconv.ParseInt(form.Get("line"), 10, 64); err != nil || line <= 0 {
			err = connexa.Errorf(connexa.Invalid, "error.form")
		}
	}
	if err == nil {
		err = h.imports.ChooseForImport(r.Context(), id, line, connexa.Choice(form.Get("choice")))
	}
	if err == nil && isHTMX(r) {
		h.importChosen(w, r, id, importQuery{class: string(connexa.LineConflict), after: form.Get("after")})
		return
	}
	back := importPath(id) + "?class=" + string(connexa.LineConflict)
	if after := form.Get("after"); after != "" && after != "0" {
		back += "&after=" + url.QueryEscape(after)
	}
	if line != 0 {
		back += "#line-" + strconv.FormatInt(line, 10)
	}
	h.importActed(w, r, back, err)
}

// importChosen draws the preview after a choice: the lines, and what the import
// does now.
func (h *Handlers) importChosen(w http.ResponseWriter, r *http.Request, id int64, q importQuery) {
	v, err := h.importView(r.Context(), id, q)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	if v.State == connexa.ImportReady && q.class == "" {
		h.renderFragment(w, r, views.ImportSummaryPartial(v))
		return
	}
	h.renderFragment(w, r, views.ImportPartial(v))
}

// chooseImportTest answers POST /imports/{id}/test: the test that follows, chosen
// in the preview.
func (h *Handlers) chooseImportTest(w http.ResponseWriter, r *http.Request) {
	id, form, err := importForm(r)
	if err == nil {
		err = h.imports.ChooseImportTest(r.Context(), id, connexa.ImportTest(form.Get("test")))
	}
	if err == nil && isHTMX(r) {
		h.importChosen(w, r, id, importQuery{})
		return
	}
	h.importActed(w, r, importPath(id), err)
}

// correctLine answers POST /imports/{id}/lines/{line}: a bad line as a person has
// corrected it. Only that line is read again.
func (h *Handlers) correctLine(w http.ResponseWriter, r *http.Request) {
	id, form, err := importForm(r)
	var line int64
	if err == nil {
		if line, err = strconv.ParseInt(r.PathValue("line"), 10, 64); err != nil {
			err = connexa.Errorf(connexa.NotFound, "error.not_found")
		}
	}
	var l connexa.ImportLine
	text := form.Get("text")
	if err == nil {
		l, err = h.imports.CorrectImportLine(r.Context(), id, line, text)
	}
	if err != nil || !isHTMX(r) {
		h.importActed(w, r, importPath(id)+"/bad#line-"+strconv.FormatInt(line, 10), err)
		return
	}
	v, err := h.importView(r.Context(), id, importQuery{class: string(connexa.LineBad)})
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	if l.Class == connexa.LineBad {
		l.Raw = connexa.Secret(text) // what was just typed, and not more
	}
	h.renderFragment(w, r, templ.Join(views.ImportLinePartial(v, l), views.ImportSummaryPartial(v)))
}

// rereadImport answers POST /imports/{id}/reread: the same text with another
// encoding, separator or mapping.
func (h *Handlers) rereadImport(w http.ResponseWriter, r *http.Request) {
	id, form, err := importForm(r)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	o := connexa.ImportOptions{Encoding: form.Get("encoding")}
	switch reading := form.Get("reading"); reading {
	case "text":
		o.Format = reading
	case "tab":
		o.Format, o.Separator = "csv", "\t"
	case ",", ";", "|":
		o.Format, o.Separator = "csv", reading
	}
	for n := 0; n < maxColumns && form.Has("column-"+strconv.Itoa(n)); n++ {
		o.Mapping = append(o.Mapping, form.Get("column-"+strconv.Itoa(n)))
	}
	err = h.imports.RereadImport(r.Context(), id, o)
	if err != nil && connexa.CodeOf(err) == connexa.Invalid && !isHTMX(r) {
		h.drawImport(w, r, http.StatusUnprocessableEntity, connexa.TextOf(err), o.Mapping)
		return
	}
	h.importActed(w, r, importPath(id), err)
}

// maxColumns is how many columns a form may name.
const maxColumns = 1000

func (h *Handlers) importActed(w http.ResponseWriter, r *http.Request, back string, err error) {
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	h.redirectTo(w, r, back)
}
