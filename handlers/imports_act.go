package handlers

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/a-h/templ"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// confirmImport answers POST /imports/{id}/confirm. An import that is still being read
// continues by itself afterwards.
func (h *Handlers) confirmImport(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err == nil {
		err = h.imports.ConfirmImport(r.Context(), id, connexa.ImportTest(r.PostForm.Get("test")), connexa.Choice(r.PostForm.Get("choice")))
	}
	if err != nil {
		return err
	}
	return h.redirectTo(w, r, importPath(id))
}

// cancelImport answers POST /imports/{id}/cancel.
func (h *Handlers) cancelImport(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err == nil {
		err = h.imports.CancelImport(r.Context(), id)
	}
	if err != nil {
		return err
	}
	return h.redirectTo(w, r, importPath(id))
}

// chooseForImport answers POST /imports/{id}/choice: the choice for all conflicts, for
// those of "group", or for the one of "line". "open" is the group that the page shows.
func (h *Handlers) chooseForImport(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	line, err := optionalID(r.PostForm.Get("line"))
	if err != nil {
		return err
	}
	group, err := optionalID(r.PostForm.Get("group"))
	if err != nil {
		return err
	}
	if err := h.imports.ChooseForImport(r.Context(), id, group, line, connexa.Choice(r.PostForm.Get("choice"))); err != nil {
		return err
	}
	q := importQuery{class: string(connexa.LineConflict), group: r.PostForm.Get("open"), after: r.PostForm.Get("after")}
	if isHTMX(r) {
		return h.importChosen(w, r, id, q)
	}
	back := url.Values{"class": {q.class}}
	for name, value := range map[string]string{"group": q.group, "after": q.after} {
		if value != "" && value != "0" {
			back.Set(name, value)
		}
	}
	to := importPath(id) + "?" + back.Encode()
	if line != 0 {
		to += "#line-" + strconv.FormatInt(line, 10)
	}
	return h.redirectTo(w, r, to)
}

// optionalID reads an id, or zero if there is none.
func optionalID(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, connexa.Errorf(connexa.Invalid, "error.form")
	}
	return id, nil
}

// importChosen draws the preview after a choice.
func (h *Handlers) importChosen(w http.ResponseWriter, r *http.Request, id int64, q importQuery) error {
	v, err := h.importView(r.Context(), id, q)
	if err != nil {
		return err
	}
	if v.State == connexa.ImportReady && q.class == "" {
		return h.renderFragment(w, r, views.ImportSummaryPartial(v))
	}
	return h.renderFragment(w, r, views.ImportPartial(v))
}

// chooseImportTest answers POST /imports/{id}/test: the run that follows the import,
// chosen in the preview.
func (h *Handlers) chooseImportTest(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err == nil {
		err = h.imports.ChooseImportTest(r.Context(), id, connexa.ImportTest(r.PostForm.Get("test")))
	}
	if err != nil {
		return err
	}
	if isHTMX(r) {
		return h.importChosen(w, r, id, importQuery{})
	}
	return h.redirectTo(w, r, importPath(id))
}

// correctLine answers POST /imports/{id}/lines/{line} with the corrected text of a bad
// line. Only that line is read again.
func (h *Handlers) correctLine(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	line, err := strconv.ParseInt(r.PathValue("line"), 10, 64)
	if err != nil {
		return connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	text := r.PostForm.Get("text")
	l, err := h.imports.CorrectImportLine(r.Context(), id, line, text)
	if err != nil {
		return err
	}
	if !isHTMX(r) {
		return h.redirectTo(w, r, importPath(id)+"/bad#line-"+strconv.FormatInt(line, 10))
	}
	v, err := h.importView(r.Context(), id, importQuery{class: string(connexa.LineBad)})
	if err != nil {
		return err
	}
	if l.Class == connexa.LineBad {
		l.Raw = connexa.Secret(text) // only the text that was just typed
	}
	return h.renderFragment(w, r, templ.Join(views.ImportLinePartial(v, l), views.ImportSummaryPartial(v)))
}

// rereadImport answers POST /imports/{id}/reread: the same text with another encoding,
// separator or mapping, or with other values for empty fields.
func (h *Handlers) rereadImport(w http.ResponseWriter, r *http.Request) error {
	id, err := formID(r)
	if err != nil {
		return err
	}
	if r.PostForm.Get("defaults") == "1" {
		return h.setImportDefaults(w, r, id)
	}
	o := readOptions(r.PostForm)
	o.Detect = r.PostForm.Get("detect") == "1"
	for n := 0; n < maxColumns && r.PostForm.Has("column-"+strconv.Itoa(n)); n++ {
		o.Mapping = append(o.Mapping, r.PostForm.Get("column-"+strconv.Itoa(n)))
	}
	err = h.imports.RereadImport(r.Context(), id, o)
	if err != nil && connexa.CodeOf(err) == connexa.Invalid && !isHTMX(r) {
		return h.drawImport(w, r, http.StatusUnprocessableEntity, func(v *views.Import) {
			v.Fault = connexa.TextOf(err)
			for i := range v.Columns {
				if i < len(o.Mapping) {
					v.Columns[i].Field = o.Mapping[i]
				}
			}
		})
	}
	if err != nil {
		return err
	}
	return h.redirectTo(w, r, importPath(id))
}

// setImportDefaults reads the text of an import again with other values for empty fields.
func (h *Handlers) setImportDefaults(w http.ResponseWriter, r *http.Request, id int64) error {
	defaults := readDefaults(r.PostForm)
	err := h.imports.SetImportDefaults(r.Context(), id, defaults)
	if errs, ok := errors.AsType[connexa.FieldErrors](err); ok {
		return h.drawImport(w, r, http.StatusUnprocessableEntity, func(v *views.Import) {
			v.Chosen.Defaults, v.Errors = defaults, errs
		})
	}
	if err != nil {
		return err
	}
	return h.redirectTo(w, r, importPath(id))
}

// readOptions reads the options of a text from a form, without a mapping.
func readOptions(form url.Values) connexa.ImportOptions {
	o := connexa.ImportOptions{Encoding: form.Get("encoding")}
	switch reading := form.Get("reading"); reading {
	case "text":
		o.Format = reading
	case "tab":
		o.Format, o.Separator = "csv", "\t"
	case ",", ";", "|":
		o.Format, o.Separator = "csv", reading
	}
	return o
}

// maxColumns is the maximum number of columns in a form.
const maxColumns = 1000
