package app

import (
	"context"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// DeletedAtOnce is how many nodes DeleteNodes deletes while the person waits;
// more of them go behind the pages.
const DeletedAtOnce = 500

const (
	deletionTold  = 250 * time.Millisecond // progress is told no more often
	fleetTold     = time.Second            // and that the fleet has changed, which is dear to count
	deletionRetry = 10 * time.Second       // after a fault of our own
)

type doomStore interface {
	ScheduleDeletion(ctx context.Context, ids []int64) error
	CountPendingDeletions(ctx context.Context) (int, error)
	DeletePending(ctx context.Context, told func(gone, runs []int64)) error
}

// deletion is the one that goes on behind the pages; what is ordered meanwhile
// joins it.
type deletion struct {
	bell  chan struct{} // holds at most one ring
	order sync.Mutex    // held while nodes are noted and counted, so that none counts twice
	mu    sync.Mutex
	total int
	left  int
}

func (d *deletion) addPending(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total, d.left = d.total+n, d.left+n
}

func (d *deletion) addDeleted(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = max(0, d.left-n)
}

// setPending says that so many are left; none ends the deletion.
func (d *deletion) setPending(left int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left = left; left == 0 {
		d.total = 0
	}
	d.total = max(d.total, left)
}

// Deletion returns how far the deletion is that goes on behind the pages; total
// is zero when none does.
func (a *Nodes) Deletion() (done, total int) {
	d := &a.deletion
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.total - d.left, d.total
}

// deleteLater has nodes deleted by RunDeletions.
func (a *Nodes) deleteLater(ctx context.Context, ids []int64, s connexa.Selection) error {
	a.deletion.order.Lock()
	err := a.store.ScheduleDeletion(ctx, ids)
	if err == nil {
		a.deletion.addPending(len(ids))
	}
	a.deletion.order.Unlock()
	if err != nil {
		return err
	}
	a.env.recordAct(ctx, connexa.ActNodesDeleted, nodesOf(len(ids), s))
	a.env.Publish(connexa.Event{Topic: connexa.DeletionChanged})
	select {
	case a.deletion.bell <- struct{}{}:
	default:
	}
	return nil
}

// RunDeletions deletes what DeleteNodes left to it until ctx is done. What an
// earlier process left unfinished goes on where it was.
func (a *Nodes) RunDeletions(ctx context.Context) error {
	for {
		var again <-chan time.Time
		if err := a.deleteDoomed(ctx); err != nil && ctx.Err() == nil {
			a.env.Log.Error("delete nodes", "err", err)
			again = time.After(deletionRetry)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.deletion.bell:
		case <-again:
		}
	}
}

// countDoomed sets how many are left.
func (a *Nodes) countDoomed(ctx context.Context) (left int, err error) {
	a.deletion.order.Lock()
	defer a.deletion.order.Unlock()
	if left, err = a.store.CountPendingDeletions(ctx); err == nil {
		a.deletion.setPending(left)
	}
	return left, err
}

func (a *Nodes) deleteDoomed(ctx context.Context) error {
	if left, err := a.countDoomed(ctx); err != nil || left == 0 {
		return err
	}
	var told, fleet time.Time
	err := a.store.DeletePending(ctx, func(gone, runs []int64) {
		a.deletion.addDeleted(len(gone))
		for _, id := range gone {
			a.env.Publish(connexa.Event{Topic: connexa.NodeChanged, ID: id})
		}
		for _, id := range runs {
			a.env.Publish(connexa.Event{Topic: connexa.RunChanged, ID: id})
		}
		now := a.env.Now()
		if now.Sub(told) >= deletionTold {
			told = now
			a.env.Publish(connexa.Event{Topic: connexa.DeletionChanged})
		}
		if now.Sub(fleet) >= fleetTold {
			fleet = now
			a.env.Publish(connexa.Event{Topic: connexa.FleetChanged})
		}
	})
	if err == nil {
		_, err = a.countDoomed(ctx) // some may have joined at the very end; their bell has rung
	}
	a.env.Publish(connexa.Event{Topic: connexa.DeletionChanged})
	a.env.Publish(connexa.Event{Topic: connexa.FleetChanged})
	return err
}
