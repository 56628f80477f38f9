package app

import (
	"context"
	"sync"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// DeletedAtOnce is the maximum number of nodes that DeleteNodes deletes before it
// returns. RunDeletions deletes larger selections.
const DeletedAtOnce = 500

const (
	deletionEvery = 250 * time.Millisecond // the minimum interval between two progress events
	fleetEvery    = time.Second            // the same for FleetChanged, which makes expensive counts
	deletionRetry = 10 * time.Second       // after an internal error
)

type deletionStore interface {
	ScheduleDeletion(ctx context.Context, ids []int64) error
	CountPendingDeletions(ctx context.Context) (int, error)
	DeletePending(ctx context.Context, onProgress func(gone, runs []int64)) error
}

// deletion is the progress of the background deletion. Later orders join it.
type deletion struct {
	bell  chan struct{} // holds at most one signal
	order sync.Mutex    // held while nodes are scheduled and counted, so that none counts twice
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

// setPending sets the number of nodes left. Zero ends the deletion.
func (d *deletion) setPending(left int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left = left; left == 0 {
		d.total = 0
	}
	d.total = max(d.total, left)
}

// Deletion returns the progress of the background deletion. total is zero if there is
// none.
func (a *Nodes) Deletion() (done, total int) {
	d := &a.deletion
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.total - d.left, d.total
}

// deleteLater schedules nodes for RunDeletions.
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

// RunDeletions deletes scheduled nodes until ctx is done. It continues deletions that
// an earlier process left unfinished.
func (a *Nodes) RunDeletions(ctx context.Context) error {
	for {
		var again <-chan time.Time
		if err := a.deletePending(ctx); err != nil && ctx.Err() == nil {
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

// countPending reads the number of nodes left.
func (a *Nodes) countPending(ctx context.Context) (left int, err error) {
	a.deletion.order.Lock()
	defer a.deletion.order.Unlock()
	if left, err = a.store.CountPendingDeletions(ctx); err == nil {
		a.deletion.setPending(left)
	}
	return left, err
}

func (a *Nodes) deletePending(ctx context.Context) error {
	if left, err := a.countPending(ctx); err != nil || left == 0 {
		return err
	}
	var published, fleet time.Time
	err := a.store.DeletePending(ctx, func(gone, runs []int64) {
		a.deletion.addDeleted(len(gone))
		for _, id := range gone {
			a.env.Publish(connexa.Event{Topic: connexa.NodeChanged, ID: id})
		}
		for _, id := range runs {
			a.env.Publish(connexa.Event{Topic: connexa.RunChanged, ID: id})
		}
		now := a.env.Now()
		if now.Sub(published) >= deletionEvery {
			published = now
			a.env.Publish(connexa.Event{Topic: connexa.DeletionChanged})
		}
		if now.Sub(fleet) >= fleetEvery {
			fleet = now
			a.env.Publish(connexa.Event{Topic: connexa.FleetChanged})
		}
	})
	if err == nil {
		_, err = a.countPending(ctx) // orders may have joined at the end; their signal was already consumed
	}
	a.env.Publish(connexa.Event{Topic: connexa.DeletionChanged})
	a.env.Publish(connexa.Event{Topic: connexa.FleetChanged})
	return err
}
