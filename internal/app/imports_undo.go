package app

import (
	"context"
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// UndoKept is how long an import can be undone.
const UndoKept = 30 * 24 * time.Hour

// undoBatch is the number of added nodes that an undo removes at a time.
const undoBatch = 500

type undoStore interface {
	DeleteNodes(ctx context.Context, ids []int64, by string) (deleted int, runs []int64, err error)
	CanUndo(ctx context.Context, id int64) (bool, error)
	PlanUndo(ctx context.Context, id int64) (connexa.UndoPlan, error)
	StartUndo(ctx context.Context, id int64, by string, total int) error
	UndoneAdditions(ctx context.Context, id int64, n int) ([]int64, error)
	CountUndone(ctx context.Context, id int64, n int) error
	UndoChanges(ctx context.Context, i connexa.Import) ([]int64, error)
	EndUndo(ctx context.Context, id int64) error
	ExpireUndo(ctx context.Context, then time.Time) error
}

// CanUndo reports whether an import may be undone. It is cheap; PlanUndo counts.
func (a *Imports) CanUndo(ctx context.Context, i connexa.Import) (bool, error) {
	if i.Undo != "" || i.State != connexa.ImportDone && i.State != connexa.ImportCancelled {
		return false, nil
	}
	return a.store.CanUndo(ctx, i.ID)
}

// PlanUndo counts what the undo of an import would do. The counts are zero if it can no
// longer be undone.
func (a *Imports) PlanUndo(ctx context.Context, i connexa.Import) (connexa.UndoPlan, error) {
	if can, err := a.CanUndo(ctx, i); err != nil || !can {
		return connexa.UndoPlan{}, err
	}
	return a.store.PlanUndo(ctx, i.ID)
}

// UndoImport makes RunImports remove the nodes that an import has added and restore
// those that it has changed, except for what was changed since. shown is the plan that
// the user confirmed; if it is another one now, nothing happens and the error is
// Conflict.
func (a *Imports) UndoImport(ctx context.Context, id int64, shown connexa.UndoPlan) error {
	i, err := a.store.Import(ctx, id)
	if err != nil {
		return err
	}
	plan, err := a.PlanUndo(ctx, i)
	if err != nil {
		return err
	}
	if plan != shown || plan.Remove+plan.Restore == 0 {
		return connexa.Errorf(connexa.Conflict, "import.undo.changed")
	}
	by, _ := Actor(ctx)
	if err := a.store.StartUndo(ctx, id, by, plan.Remove+plan.Restore); err != nil {
		return err
	}
	a.env.recordAct(ctx, connexa.ActImport, connexa.T("audit.import.undo", strconv.FormatInt(id, 10), importName(i), plan.Remove, plan.Restore))
	a.importChanged(id)
	a.bell.wakeUp()
	return nil
}

// undoImport does the undo of an import, in batches. Each can be repeated after a
// crash.
func (a *Imports) undoImport(ctx context.Context, i connexa.Import) error {
	ctx = WithActor(ctx, i.UndoBy, "")
	report := a.reportProgress(i.ID, connexa.FleetChanged)
	for {
		ids, err := a.store.UndoneAdditions(ctx, i.ID, undoBatch)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		if err := a.services.stopServicesOf(ctx, ids); err != nil {
			return err
		}
		n, runs, err := a.store.DeleteNodes(ctx, ids, i.UndoBy)
		if err != nil {
			return err
		}
		for _, id := range ids {
			a.env.Publish(connexa.Event{Topic: connexa.NodeChanged, ID: id})
		}
		for _, id := range runs {
			a.env.Publish(connexa.Event{Topic: connexa.RunChanged, ID: id})
		}
		if err := a.store.CountUndone(ctx, i.ID, n); err != nil {
			return err
		}
		report()
	}
	for {
		ids, err := a.store.UndoChanges(ctx, i)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		for _, id := range ids {
			a.env.Publish(connexa.Event{Topic: connexa.NodeChanged, ID: id})
		}
		report()
	}
	if err := a.store.EndUndo(ctx, i.ID); err != nil {
		return err
	}
	a.env.Publish(connexa.Event{Topic: connexa.FleetChanged})
	i, err := a.store.Import(ctx, i.ID)
	if err == nil {
		a.env.recordAct(ctx, connexa.ActImport, connexa.T("audit.import.undone", strconv.FormatInt(i.ID, 10), importName(i), i.Removed, i.Restored, i.UndoKept))
	}
	return err
}
