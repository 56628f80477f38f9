package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/importer"
)

// MaxImport is the maximum size of a file, in bytes.
const MaxImport = 256 << 20

const (
	importChunk   = 256 << 10          // bytes of a file that are stored together
	importKept    = 7 * 24 * time.Hour // how long the lines of an import are kept
	importsListed = 20
)

type importStore interface {
	StartImport(ctx context.Context, i connexa.Import) (int64, error)
	AddImportChunk(ctx context.Context, id int64, n int, text []byte) error
	EndUpload(ctx context.Context, id int64) error
	ImportText(ctx context.Context, id int64) io.Reader

	Import(ctx context.Context, id int64) (connexa.Import, error)
	Imports(ctx context.Context, before int64, n int) ([]connexa.Import, error)
	ImportLines(ctx context.Context, id int64, class connexa.LineClass, after int64, n int) ([]connexa.ImportLine, error)
	ImportLine(ctx context.Context, id, line int64) (connexa.ImportLine, error)
	ConflictGroups(ctx context.Context, id int64) ([]connexa.ConflictGroup, error)
	GroupLines(ctx context.Context, id, group, after int64, n int) ([]connexa.ImportLine, error)
	CorrectLine(ctx context.Context, id, line int64, row connexa.ImportRow) error
	BadLines(ctx context.Context, id int64) iter.Seq2[connexa.ImportRow, error]

	RereadImport(ctx context.Context, id int64, o connexa.ImportOptions) error
	SetImportChoice(ctx context.Context, id int64, choice connexa.Choice) error
	SetGroupChoice(ctx context.Context, id, group int64, choice connexa.Choice) error
	SetLineChoice(ctx context.Context, id, line int64, choice connexa.Choice) error
	ConfirmImport(ctx context.Context, id int64, test connexa.ImportTest, choice connexa.Choice) error
	SetImportTest(ctx context.Context, id int64, test connexa.ImportTest) error
	ChooseImportTest(ctx context.Context, id int64, test connexa.ImportTest) error
	CancelImport(ctx context.Context, id int64) error

	Template(ctx context.Context, id int64) (connexa.Template, error)

	importWork
}

// Imports reads files of nodes, shows what they would change, and writes them.
type Imports struct {
	env      Env
	store    importStore
	runs     *Runs
	services *Services
	bell     bell
}

// NewImports returns Imports. The caller must call RunImports.
func NewImports(env Env, store importStore, runs *Runs, services *Services) *Imports {
	return &Imports{env: env, store: store, runs: runs, services: services, bell: make(bell, 1)}
}

// UploadImport stores the text of an import as it arrives and returns the id of the
// import, which RunImports then reads. It refuses input that is not text. The id of a
// template, and a test, which replaces that of the template, are optional.
func (a *Imports) UploadImport(ctx context.Context, name string, template int64, test connexa.ImportTest, r io.Reader) (int64, error) {
	i, err := a.planUpload(ctx, template, test)
	if err != nil {
		return 0, err
	}
	chunk := make([]byte, importChunk)
	n, err := io.ReadFull(r, chunk)
	if err = upToEnd(err); err != nil {
		return 0, fmt.Errorf("receive a file: %w", err)
	}
	if _, err := importer.New(strings.NewReader(string(chunk[:n])), importer.Options{}); err != nil {
		return 0, err
	}
	i.Name = fileName(name)
	i.By, _ = Actor(ctx)
	id, err := a.store.StartImport(ctx, i)
	if err != nil {
		return 0, err
	}
	if err := a.receiveText(ctx, id, chunk, n, r); err != nil {
		text := connexa.T("import.error.cut")
		if connexa.CodeOf(err) == connexa.Invalid {
			text = connexa.TextOf(err)
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return 0, errors.Join(err, a.store.FailImport(ctx, id, text))
	}
	a.bell.wakeUp()
	return id, nil
}

// planUpload returns a new import with the choices of a template. The mapping of the
// template is applied when the columns are known.
func (a *Imports) planUpload(ctx context.Context, template int64, test connexa.ImportTest) (i connexa.Import, err error) {
	var t connexa.Template
	if template != 0 {
		t, err = a.store.Template(ctx, template)
		switch {
		case connexa.CodeOf(err) == connexa.NotFound:
			return i, connexa.FieldErrors{"template": connexa.T("template.gone")}
		case err != nil:
			return i, err
		}
	}
	i = connexa.Import{TemplateID: t.ID, Chosen: t.Reading, Choice: t.Choice, Decided: t.Choice != "", Test: cmp.Or(test, t.Test, connexa.TestNone)}
	i.Chosen.Mapping = nil
	if !a.checkTestable(i.Test) {
		return i, connexa.Errorf(connexa.Invalid, "import.error.test")
	}
	return i, nil
}

// receiveText stores the text in chunks. The first n bytes are in chunk.
func (a *Imports) receiveText(ctx context.Context, id int64, chunk []byte, n int, r io.Reader) error {
	for i, total := 0, 0; n > 0; i++ {
		if total += n; total > MaxImport {
			return connexa.Errorf(connexa.Invalid, "import.error.big", MaxImport>>20)
		}
		if err := a.store.AddImportChunk(ctx, id, i, chunk[:n]); err != nil {
			return err
		}
		var err error
		n, err = io.ReadFull(r, chunk)
		if err = upToEnd(err); err != nil {
			return fmt.Errorf("receive a file: %w", err)
		}
	}
	return a.store.EndUpload(ctx, id)
}

func upToEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// fileName returns the name of an uploaded file without its folder and without invisible
// characters, which can make it look like another name.
func fileName(s string) string {
	return cutText(connexa.DropHidden(s[strings.LastIndexAny(s, `/\`)+1:]), 120)
}

// SetImportTest sets the run that follows an import. For the id zero, an import that
// does not exist yet, it only checks test.
func (a *Imports) SetImportTest(ctx context.Context, id int64, test connexa.ImportTest) error {
	if !a.checkTestable(test) {
		return connexa.Errorf(connexa.Invalid, "import.error.test")
	}
	if id == 0 {
		return nil
	}
	return a.store.SetImportTest(ctx, id, test)
}

// ChooseImportTest sets the run that follows an import, chosen by a user in its
// preview.
func (a *Imports) ChooseImportTest(ctx context.Context, id int64, test connexa.ImportTest) error {
	if !a.checkTestable(test) {
		return connexa.Errorf(connexa.Invalid, "import.error.test")
	}
	return a.store.ChooseImportTest(ctx, id, test)
}

// ImportReview is what a user decides about in a preview.
type ImportReview struct {
	Plan   connexa.ImportPlan
	Groups []connexa.ConflictGroup // the largest first
	Test   connexa.ImportTest      // the run that should follow
}

// ReviewImport counts what an import would change and groups its conflicts. A ping does
// not try passwords, so where passwords differ a login replaces a ping that the user has
// not chosen in the preview.
func (a *Imports) ReviewImport(ctx context.Context, i connexa.Import) (r ImportReview, err error) {
	if i.Conflict > 0 {
		if r.Groups, err = a.store.ConflictGroups(ctx, i.ID); err != nil {
			return r, err
		}
	}
	r.Plan, r.Test = i.Plan(r.Groups), i.Test
	login := connexa.ImportTest(connexa.RunLogin)
	if r.Plan.Passwords > 0 && !i.TestChosen && i.Test == connexa.ImportTest(connexa.RunPing) && a.checkTestable(login) {
		r.Test = login
	}
	return r, nil
}

// checkTestable reports whether the panel can start t after an import.
func (a *Imports) checkTestable(t connexa.ImportTest) bool {
	return t == connexa.TestNone || slices.Contains(a.runs.kinds, connexa.RunKind(t))
}

// ImportTests lists the runs that can follow an import.
func (a *Imports) ImportTests() []connexa.ImportTest {
	tests := []connexa.ImportTest{connexa.TestNone}
	for _, k := range a.runs.kinds {
		tests = append(tests, connexa.ImportTest(k))
	}
	return tests
}

// Import returns one import.
func (a *Imports) Import(ctx context.Context, id int64) (connexa.Import, error) {
	return a.store.Import(ctx, id)
}

// ListImports lists a page of the imports with ids below before, the newest first. Zero
// lists the last ones. more reports whether there are older ones.
func (a *Imports) ListImports(ctx context.Context, before int64) (list []connexa.Import, more bool, err error) {
	list, err = a.store.Imports(ctx, before, importsListed+1)
	if more = len(list) > importsListed; more {
		list = list[:importsListed]
	}
	return list, more, err
}

// ImportLines lists one page of the lines of one class. after is the id of the last
// line of the previous page. more reports whether there is another page. The text of
// bad lines is masked unless reveal is set, for which the caller must require a recent
// entry of the password.
func (a *Imports) ImportLines(ctx context.Context, i connexa.Import, class connexa.LineClass, after int64, size int, reveal bool) (lines []connexa.ImportLine, more bool, err error) {
	lines, err = a.store.ImportLines(ctx, i.ID, class, after, size+1)
	if len(lines) > size {
		lines, more = lines[:size], true
	}
	for n := range lines {
		maskLine(i, &lines[n], reveal)
	}
	if reveal && len(lines) > 0 {
		a.env.recordAct(ctx, connexa.ActReveal, connexa.T("audit.import.bad", len(lines), strconv.FormatInt(i.ID, 10)))
	}
	return lines, more, err
}

// GroupLines lists one page of the lines of a group of conflicts, as ImportLines does.
func (a *Imports) GroupLines(ctx context.Context, id, group, after int64, size int) (lines []connexa.ImportLine, more bool, err error) {
	lines, err = a.store.GroupLines(ctx, id, group, after, size+1)
	if len(lines) > size {
		lines, more = lines[:size], true
	}
	return lines, more, err
}

// maskLine hides the secrets of a bad line.
func maskLine(i connexa.Import, l *connexa.ImportLine, reveal bool) {
	if l.Class != connexa.LineBad {
		return
	}
	columns := l.Columns
	if len(columns) == 0 {
		columns = i.Mapping
	}
	l.Masked = importer.Mask(l.Raw.Reveal(), shapeOf(i), columns)
	if !reveal {
		l.Raw = ""
	}
}

// shapeOf is the shape that the text of an import was read with.
func shapeOf(i connexa.Import) importer.Shape {
	return importer.Shape{Format: i.Format, Separator: i.Separator, Mapping: i.Mapping}
}

// CorrectImportLine replaces the text of a bad line, reads that line again and returns
// it as the preview shows it.
func (a *Imports) CorrectImportLine(ctx context.Context, id, line int64, text string) (connexa.ImportLine, error) {
	i, err := a.store.Import(ctx, id)
	if err != nil {
		return connexa.ImportLine{}, err
	}
	if i.State != connexa.ImportReady {
		return connexa.ImportLine{}, connexa.Errorf(connexa.Conflict, "import.error.moved_on")
	}
	before, err := a.store.ImportLine(ctx, id, line)
	if err != nil {
		return connexa.ImportLine{}, err
	}
	columns := before.Columns
	if len(columns) == 0 {
		columns = i.Mapping
	}
	row := importer.ParseLine(text, shapeOf(i), columns)
	i.Chosen.CompleteRow(&row)
	if err := a.store.CorrectLine(ctx, id, line, row); err != nil {
		return connexa.ImportLine{}, err
	}
	a.importChanged(id)
	l, err := a.store.ImportLine(ctx, id, line)
	maskLine(i, &l, false)
	return l, err
}

// ImportFields lists the fields of a mapping.
func (a *Imports) ImportFields() []string { return importer.Fields() }

// ImportFieldName returns the name of a field of a mapping.
func (a *Imports) ImportFieldName(field string) connexa.Text { return importer.FieldName(field) }

// ImportEncodings lists the encodings that a user may choose.
func (a *Imports) ImportEncodings() []string { return importer.Encodings() }

func importOptions(o connexa.ImportOptions) importer.Options {
	return importer.Options{Format: o.Format, Encoding: o.Encoding, Separator: o.Separator, Mapping: o.Mapping}
}

// RereadImport reads the text of an import again with the options o and the former
// values for empty fields.
func (a *Imports) RereadImport(ctx context.Context, id int64, o connexa.ImportOptions) error {
	i, err := a.store.Import(ctx, id)
	if err != nil {
		return err
	}
	o.Defaults = i.Chosen.Defaults
	return a.rereadImport(ctx, id, o)
}

// SetImportDefaults reads the text of an import again with other values for empty fields,
// or says with FieldErrors what is wrong with them.
func (a *Imports) SetImportDefaults(ctx context.Context, id int64, defaults map[string]string) error {
	i, err := a.store.Import(ctx, id)
	if err != nil {
		return err
	}
	o := i.Chosen
	if o.Defaults, err = connexa.ParseDefaults(defaults); err != nil {
		return err
	}
	return a.rereadImport(ctx, id, o)
}

func (a *Imports) rereadImport(ctx context.Context, id int64, o connexa.ImportOptions) error {
	if err := checkOptions(o); err != nil {
		return err
	}
	if err := a.store.RereadImport(ctx, id, o); err != nil {
		return err
	}
	a.bell.wakeUp()
	a.importChanged(id)
	return nil
}

// checkOptions refuses options that the importer does not know.
func checkOptions(o connexa.ImportOptions) error {
	switch o.Format {
	case "", importer.CSV, importer.Text, importer.JSON:
	default:
		return connexa.Errorf(connexa.Invalid, "error.form")
	}
	if o.Encoding != "" && !slices.Contains(importer.Encodings(), o.Encoding) || !slices.Contains([]string{"", ",", ";", "\t", "|"}, o.Separator) {
		return connexa.Errorf(connexa.Invalid, "error.form")
	}
	if len(o.Mapping) > 0 {
		return importer.CheckMapping(o.Mapping)
	}
	return nil
}

// ChooseForImport sets the choice for the conflict of one line, for a group of conflicts, or,
// if both are zero, for all.
func (a *Imports) ChooseForImport(ctx context.Context, id, group, line int64, choice connexa.Choice) error {
	switch choice {
	case connexa.KeepMine, connexa.TakeTheirs, connexa.KeepBoth:
	default:
		return connexa.Errorf(connexa.Invalid, "import.error.choice")
	}
	var err error
	switch {
	case line != 0:
		err = a.store.SetLineChoice(ctx, id, line, choice)
	case group != 0:
		err = a.store.SetGroupChoice(ctx, id, group, choice)
	default:
		err = a.store.SetImportChoice(ctx, id, choice)
	}
	if err == nil {
		a.importChanged(id)
	}
	return err
}

// ConfirmImport starts writing an import, or does so as soon as it has been read. An
// empty test or choice keeps the earlier one. Confirming twice is not an error.
func (a *Imports) ConfirmImport(ctx context.Context, id int64, test connexa.ImportTest, choice connexa.Choice) error {
	if test != "" && !a.checkTestable(test) {
		return connexa.Errorf(connexa.Invalid, "import.error.test")
	}
	i, err := a.store.Import(ctx, id)
	switch {
	case err != nil:
		return err
	case i.State == connexa.ImportMapping:
		return connexa.Errorf(connexa.Conflict, "import.error.mapping_first")
	case i.State == connexa.ImportRunning || i.State == connexa.ImportDone:
		return nil
	}
	// The text is deleted once the import is written.
	if err := a.rememberMapping(ctx, i); err != nil {
		a.env.Log.Error("remember the columns of an import", "import", id, "err", err)
	}
	if err := a.store.ConfirmImport(ctx, id, test, choice); err != nil {
		return err
	}
	a.env.recordAct(ctx, connexa.ActImport, connexa.T("audit.import.confirmed", strconv.FormatInt(id, 10), importName(i)))
	a.bell.wakeUp()
	a.importChanged(id)
	return nil
}

func importName(i connexa.Import) any {
	if i.Name == "" {
		return connexa.T("import.pasted")
	}
	return i.Name
}

// CancelImport ends an import. Nodes that it has written stay.
func (a *Imports) CancelImport(ctx context.Context, id int64) error {
	if err := a.store.CancelImport(ctx, id); err != nil {
		return err
	}
	a.env.recordAct(ctx, connexa.ActImport, connexa.T("audit.import.cancelled", strconv.FormatInt(id, 10)))
	a.importChanged(id)
	return nil
}

// BadLines yields the bad lines of an import with their text, including passwords. The
// caller must require a recent entry of the password.
func (a *Imports) BadLines(ctx context.Context, id int64) (iter.Seq2[connexa.ImportRow, error], error) {
	i, err := a.store.Import(ctx, id)
	if err != nil {
		return nil, err
	}
	a.env.recordAct(ctx, connexa.ActReveal, connexa.T("audit.import.bad", i.Bad, strconv.FormatInt(id, 10)))
	return a.store.BadLines(ctx, id), nil
}

func (a *Imports) importChanged(id int64) {
	a.env.Publish(connexa.Event{Topic: connexa.ImportChanged, ID: id})
}
