package handlers

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
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
		err = h.app.ConfirmImport(r.Context(), id, connexa.ImportTest(form.Get("test")), connexa.Choice(form.Get("choice")))
	}
	h.importActed(w, r, importPath(id), err)
}

// cancelImport answers POST /imports/{id}/cancel.
func (h *Handlers) cancelImport(w http.ResponseWriter, r *http.Request) {
	id, _, err := importForm(r)
	if err == nil {
		err = h.app.CancelImport(r.Context(), id)
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
		err = h.app.ChooseForImport(r.Context(), id, line, connexa.Choice(form.Get("choice")))
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

// rereadImport answers POST /imports/{id}/reread: the same text with another
// encoding, separator or mapping.
func (h *Handlers) rereadImport(w http.ResponseWriter, r *http.Request) {
	id, form, err := importForm(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	o := connexa.ImportOptions{Encoding: form.Get("encoding")}
	switch reading := form.Get("reading"); reading {
	case "text":
		o.Format = reading
	case "tab":
		o.Format, o.Separator = "csv", "\t"
	case ",", ";":
		o.Format, o.Separator = "csv", reading
	}
	for n := 0; n < maxColumns && form.Has("column-"+strconv.Itoa(n)); n++ {
		o.Mapping = append(o.Mapping, form.Get("column-"+strconv.Itoa(n)))
	}
	err = h.app.RereadImport(r.Context(), id, o)
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
		h.fail(w, r, err)
		return
	}
	h.redirect(w, r, back)
}
