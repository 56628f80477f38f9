package handlers

import (
	"cmp"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// importTestField is the maximum length of the fields "template" and "test".
const importTestField = 64

// importStart answers GET /imports with the form of a new import, with the choices of
// "template", and the last imports.
func (h *Handlers) importStart(w http.ResponseWriter, r *http.Request) error {
	v := views.ImportStart{}
	var err error
	if v.Template, err = optionalID(r.URL.Query().Get("template")); err != nil {
		return err
	}
	return h.drawImportStart(w, r, http.StatusOK, v)
}

func (h *Handlers) drawImportStart(w http.ResponseWriter, r *http.Request, status int, v views.ImportStart) error {
	var before int64
	if text := r.URL.Query().Get("before"); text != "" {
		var err error
		if before, err = strconv.ParseInt(text, 10, 64); err != nil || before <= 0 {
			return connexa.Errorf(connexa.NotFound, "error.not_found")
		}
	}
	recent, more, err := h.imports.ListImports(r.Context(), before)
	if err != nil {
		return err
	}
	v.Recent, v.More, v.Older, v.Tests = recent, more, before > 0, h.imports.ImportTests()
	if v.Templates, err = h.templates.ListTemplates(r.Context()); err != nil {
		return err
	}
	if status == http.StatusOK {
		v.Test = connexa.TestNone
		if t := v.Chosen(); t != nil {
			v.Test = t.Test
		} else if len(v.Tests) > 1 {
			v.Test = v.Tests[1] // preselect a test, because most users want to know which nodes work
		}
	}
	return h.renderStatus(w, r, status, views.ImportStartPage(h.layoutData(w, r, connexa.T("import.title"), views.NavImport), v))
}

// startImport answers POST /imports with a file or a text, which it reads as a stream.
func (h *Handlers) startImport(w http.ResponseWriter, r *http.Request) error {
	in := upload{h: h, r: r}
	err := in.readUpload()
	if err == nil && in.id == 0 {
		err = connexa.FieldErrors{"file": connexa.T("import.error.none")}
	}
	if err != nil && in.id != 0 {
		err = errors.Join(err, h.imports.CancelImport(r.Context(), in.id))
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		// The limit of the request includes the form around the file.
		return h.renderImportError(w, r, http.StatusRequestEntityTooLarge, in, connexa.Errorf(connexa.Invalid, "import.error.big", app.MaxImport>>20))
	case err != nil && connexa.CodeOf(err) == connexa.Invalid:
		return h.renderImportError(w, r, http.StatusUnprocessableEntity, in, err)
	case err != nil:
		return err
	default:
		return h.redirectTo(w, r, importPath(in.id))
	}
}

// renderImportError draws the form again without the posted data, which may be large
// and contain passwords.
func (h *Handlers) renderImportError(w http.ResponseWriter, r *http.Request, status int, in upload, err error) error {
	var errs connexa.FieldErrors
	if !errors.As(err, &errs) {
		field := in.field
		field = cmp.Or(field, "file")
		errs = connexa.FieldErrors{field: connexa.TextOf(err)}
	}
	return h.drawImportStart(w, r, status, views.ImportStart{Template: in.template, Test: in.test, Errors: errs})
}

// upload reads the form of a new import.
type upload struct {
	h     *Handlers
	r     *http.Request
	id    int64 // of the new import
	field string
	// template is the id of the template. It comes before the text.
	template int64
	test     connexa.ImportTest // if empty, that of the template
}

// readUpload reads the parts in their order. It never holds a whole file in memory or
// in a temporary file.
func (u *upload) readUpload() error {
	parts, err := u.r.MultipartReader()
	if errors.Is(err, http.ErrNotMultipart) {
		return u.readForm()
	}
	if err != nil {
		return badForm(err)
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return badForm(err)
		}
		if err := u.readPart(part); err != nil {
			return err
		}
	}
}

func (u *upload) readPart(part *multipart.Part) error {
	defer part.Close()
	switch name := part.FormName(); name {
	case "template", "test":
		text, err := io.ReadAll(io.LimitReader(part, importTestField))
		if err != nil {
			return badForm(err)
		}
		if name == "template" {
			return u.setTemplate(string(text))
		}
		return u.setTest(string(text))
	case "file", "text":
		first := make([]byte, 1)
		n, err := io.ReadFull(part, first)
		switch {
		case errors.Is(err, io.EOF) && part.FileName() == "":
			return nil // an empty field
		case err != nil && !errors.Is(err, io.EOF):
			return badForm(err)
		}
		return u.takeText(name, part.FileName(), io.MultiReader(strings.NewReader(string(first[:n])), part))
	}
	return nil
}

// readForm reads a form without a file, as scripts send it.
func (u *upload) readForm() error {
	if err := u.r.ParseForm(); err != nil {
		return badForm(err)
	}
	if err := u.setTemplate(u.r.PostForm.Get("template")); err != nil {
		return err
	}
	if err := u.setTest(u.r.PostForm.Get("test")); err != nil {
		return err
	}
	if text := u.r.PostForm.Get("text"); text != "" {
		return u.takeText("text", "", strings.NewReader(text))
	}
	return nil
}

func (u *upload) takeText(field, name string, text io.Reader) error {
	u.field = field
	if u.id != 0 {
		return connexa.Errorf(connexa.Invalid, "import.error.both")
	}
	id, err := u.h.imports.UploadImport(u.r.Context(), name, u.template, u.test, text)
	u.id = id
	return err
}

// setTemplate sets the template. The text is read with it, so it comes first.
func (u *upload) setTemplate(s string) (err error) {
	if s == "" {
		return nil
	}
	if u.id != 0 {
		return connexa.FieldErrors{"template": connexa.T("template.late")}
	}
	u.template, err = optionalID(s)
	return err
}

// setTest sets the test, which may come before or after the file.
func (u *upload) setTest(s string) error {
	if s == "" {
		return nil
	}
	u.test = connexa.ImportTest(s)
	return u.h.imports.SetImportTest(u.r.Context(), u.id, u.test)
}
