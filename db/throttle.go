package db

import (
	"context"
	"time"
)

const (
	batchTime  = 2 * time.Millisecond // that a batch may hold the writer
	firstBatch = 100
	minBatch   = 4
	maxBatch   = 2000
	batchRest  = 9 // times the duration of a batch: nine tenths of the writer and the machine are free for others
	minRest    = 3 * time.Millisecond
)

// runThrottled does long work on the database in small transactions, so that more urgent
// work comes first. It calls one, with the maximum number of rows, until one returns done.
// That number follows from the duration of the last batch, including the wait for the writer,
// so a busy panel is hardly disturbed.
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
