package app

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/importer"
)

// importWork is the store of RunImports.
type importWork interface {
	WaitingImports(ctx context.Context) ([]connexa.Import, error)
	CutImports(ctx context.Context) error
	ExpireImports(ctx context.Context, then time.Time) error

	ShapeImport(ctx context.Context, i connexa.Import, names []string) error
	TemplateMapping(ctx context.Context, id int64, names []string, header bool) ([]string, error)
	MappingFor(ctx context.Context, names []string) ([]string, error)
	SetMappingFor(ctx context.Context, names, mapping []string) error
	AskForMapping(ctx context.Context, id int64) error
	FillImport(ctx context.Context, id int64, rows iter.Seq2[connexa.ImportRow, error], onProgress func()) error
	EndReading(ctx context.Context, id int64, lines int) error
	FailImport(ctx context.Context, id int64, problem connexa.Text) error

	WriteImport(ctx context.Context, i connexa.Import, onProgress func()) error
	EndImport(ctx context.Context, id int64) error
	ClearImport(ctx context.Context, id int64) error
	ImportRunOf(ctx context.Context, id int64) (int64, error)
	SetImportRun(ctx context.Context, id, runID int64) error

	undoStore
}

const (
	importsAtOnce  = 2
	importRetry    = 10 * time.Second       // after an internal error
	importProgress = 250 * time.Millisecond // the minimum interval between two progress events
	importExpiry   = time.Hour              // the interval between two searches for old imports
)

// RunImports reads and writes imports until ctx is done. It continues imports that an
// earlier process left unfinished.
func (a *Imports) RunImports(ctx context.Context) error {
	if err := a.store.CutImports(ctx); err != nil {
		a.env.Log.Error("end cut uploads", "err", err)
	}
	var (
		workers sync.WaitGroup
		mu      sync.Mutex
		busy    = map[int64]bool{}
	)
	defer workers.Wait()
	claim := func(id int64) bool {
		mu.Lock()
		defer mu.Unlock()
		if busy[id] || len(busy) == importsAtOnce {
			return false
		}
		busy[id] = true
		return true
	}
	release := func(id int64) {
		mu.Lock()
		defer mu.Unlock()
		delete(busy, id)
		a.bell.wakeUp()
	}
	expiry := time.NewTicker(importExpiry)
	defer expiry.Stop()
	a.expireImports(ctx)
	for {
		waiting, err := a.store.WaitingImports(ctx)
		if err != nil && ctx.Err() == nil {
			a.env.Log.Error("list the live imports", "err", err)
		}
		for _, i := range waiting {
			if claim(i.ID) {
				workers.Go(func() {
					defer release(i.ID)
					a.workImport(ctx, i)
				})
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.bell:
		case <-expiry.C:
			a.expireImports(ctx)
		}
	}
}

func (a *Imports) expireImports(ctx context.Context) {
	if err := a.store.ExpireImports(ctx, a.env.Now().Add(-importKept)); err != nil && ctx.Err() == nil {
		a.env.Log.Error("forget old imports", "err", err)
	}
	if err := a.store.ExpireUndo(ctx, a.env.Now().Add(-UndoKept)); err != nil && ctx.Err() == nil {
		a.env.Log.Error("forget what imports have changed", "err", err)
	}
}

// workImport does the next step of one import.
func (a *Imports) workImport(ctx context.Context, i connexa.Import) {
	step := a.readImport
	switch {
	case i.Undo == connexa.UndoRunning:
		step = a.undoImport
	case i.State == connexa.ImportRunning:
		step = a.writeImport
	}
	err := step(ctx, i)
	a.importChanged(i.ID)
	switch {
	case err == nil || ctx.Err() != nil:
		return
	case connexa.CodeOf(err) == connexa.Conflict: // a user cancelled it or changed how it is read
		a.env.Log.Debug("an import moved on", "import", i.ID, "err", err)
		return
	case i.State == connexa.ImportReading:
		text := connexa.TextOf(err)
		if connexa.CodeOf(err) == connexa.Internal {
			a.env.Log.Error("read an import", "import", i.ID, "err", err)
		}
		if err = a.store.FailImport(ctx, i.ID, text); err == nil {
			a.importChanged(i.ID)
			return
		}
	}
	a.env.Log.Error("an import waits", "import", i.ID, "err", err)
	select {
	case <-ctx.Done():
	case <-time.After(importRetry):
	}
}

// reportProgress returns a function that publishes the progress of an import, limited
// by importProgress.
func (a *Imports) reportProgress(id int64, more ...connexa.Topic) func() {
	var last time.Time
	return func() {
		now := a.env.Now()
		if now.Sub(last) < importProgress {
			return
		}
		last = now
		a.importChanged(id)
		for _, t := range more {
			a.env.Publish(connexa.Event{Topic: t})
		}
	}
}

// readImport reads a text into its preview.
func (a *Imports) readImport(ctx context.Context, i connexa.Import) error {
	rd, err := importer.New(a.store.ImportText(ctx, i.ID), importOptions(i.Chosen))
	if err != nil {
		return err
	}
	if known, err := a.knownMapping(ctx, i, rd.Shape()); err != nil {
		return err
	} else if known != nil {
		i.Chosen.Mapping, i.Remembered = known, true
		if rd, err = importer.New(a.store.ImportText(ctx, i.ID), importOptions(i.Chosen)); err != nil {
			return err
		}
	}
	shape := rd.Shape()
	keep := func() error {
		s := rd.Shape()
		i.Format, i.Encoding, i.Separator, i.Header, i.Mapping = s.Format, s.Encoding, s.Separator, s.Header, s.Mapping
		var names []string
		if s.Header && len(s.Sample) > 0 {
			names = s.Sample[0]
		}
		return a.store.ShapeImport(ctx, i, names)
	}
	if err := keep(); err != nil {
		return err
	}
	if shape.Unmapped {
		return a.store.AskForMapping(ctx, i.ID)
	}
	if err := a.store.FillImport(ctx, i.ID, completeRows(rd.Rows(), i.Chosen), a.reportProgress(i.ID)); err != nil {
		return err
	}
	if rd.Shape().Encoding != shape.Encoding {
		if err := keep(); err != nil {
			return err
		}
	}
	now, err := a.store.Import(ctx, i.ID)
	if err != nil {
		return err
	}
	if now.New+now.Same+now.Conflict+now.Bad == 0 {
		return connexa.Errorf(connexa.Invalid, "import.error.nothing")
	}
	return a.store.EndReading(ctx, i.ID, rd.Lines())
}

// completeRows yields rows with the values for empty fields.
func completeRows(rows iter.Seq2[connexa.ImportRow, error], o connexa.ImportOptions) iter.Seq2[connexa.ImportRow, error] {
	if len(o.Defaults) == 0 {
		return rows
	}
	return func(yield func(connexa.ImportRow, error) bool) {
		for row, err := range rows {
			o.CompleteRow(&row)
			if !yield(row, err) {
				return
			}
		}
	}
}

// writeImport writes a confirmed import into the fleet and starts its test.
func (a *Imports) writeImport(ctx context.Context, i connexa.Import) error {
	ctx = WithActor(ctx, i.By, "")
	if err := a.store.WriteImport(ctx, i, a.reportProgress(i.ID, connexa.FleetChanged)); err != nil {
		return err
	}
	a.env.Publish(connexa.Event{Topic: connexa.FleetChanged})
	i, err := a.store.Import(ctx, i.ID)
	if err != nil {
		return err
	}
	if err := a.testImport(ctx, i); err != nil {
		return err
	}
	if err := a.store.EndImport(ctx, i.ID); err != nil {
		return err
	}
	a.env.recordAct(ctx, connexa.ActImport, connexa.T("audit.import.ended",
		strconv.FormatInt(i.ID, 10), importName(i), i.Added, i.Updated, i.Kept, i.Same, i.Bad))
	a.importChanged(i.ID) // the report does not wait for the deletion of the lines
	if err := a.store.ClearImport(ctx, i.ID); err != nil && ctx.Err() == nil {
		a.env.Log.Error("delete the lines of an import", "import", i.ID, "err", err) // the next start deletes them
	}
	return nil
}

// testImport starts a run over the new and changed nodes, once.
func (a *Imports) testImport(ctx context.Context, i connexa.Import) error {
	if i.Test == connexa.TestNone || i.RunID != 0 || i.Added+i.Updated == 0 {
		return nil
	}
	run, err := a.store.ImportRunOf(ctx, i.ID)
	if err != nil {
		return err
	}
	if run == 0 {
		started, err := a.runs.StartRun(ctx, connexa.NewRun{
			Kind: connexa.RunKind(i.Test), ImportID: i.ID, By: i.By, Label: connexa.T("run.label.import", strconv.FormatInt(i.ID, 10)),
		})
		var e *connexa.Error
		switch {
		case errors.As(err, &e) && (e.Code == connexa.Invalid || e.Code == connexa.NotFound):
			a.env.Log.Warn("an import is not tested", "import", i.ID, "err", err) // its nodes were deleted in the meantime
			return nil
		case err != nil:
			return err
		}
		run = started.ID
	}
	return a.store.SetImportRun(ctx, i.ID, run)
}
