package db

import (
	"context"
	"time"
)

const (
	batchTime  = 2 * time.Millisecond // what the writer may be held for
	firstBatch = 100
	minBatch   = 4
	maxBatch   = 2000
	batchRest  = 9 // times what a bite took: nine tenths of the writer, and of the machine, are for others
	minRest    = 3 * time.Millisecond
)

// runThrottled does something long to the database beside all that is more urgent: it
// calls one, with how many rows to touch at most, until that is done. How many
// comes from how long the last bite took, waiting for the writer included, so a
// busy panel is left alone.
func (d *DB) runThrottled(ctx context.Context, one func(ctx context.Context, most int) (n int64, done bool, err error)) (total int64, err error) {
	for most := firstBatch; ; {
		start := time.Now()
		n, done, err := one(ctx, most)
		total += n
		if err != nil || done {
			return total, err
		}
		took := time.Since(start)
		switch {
		case took > batchTime:
			most = max(minBatch, int(float64(most)*max(float64(batchTime)/float64(took), 0.25)))
		case took < batchTime/2:
			most = min(maxBatch, most+most/4)
		}
		rest := time.NewTimer(max(minRest, batchRest*took))
		select {
		case <-ctx.Done():
			rest.Stop()
			return total, ctx.Err()
		case <-rest.C:
		}
	}
}
