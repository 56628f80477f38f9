package db

import (
	"context"
	"time"
)

const (
	biteTime  = 2 * time.Millisecond // what the writer may be held for
	firstBite = 100
	leastBite = 4
	mostBite  = 2000
	biteRest  = 9 // times what a bite took: nine tenths of the writer, and of the machine, are for others
	leastRest = 3 * time.Millisecond
)

// bites does something long to the database beside all that is more urgent: it
// calls one, with how many rows to touch at most, until that is done. How many
// comes from how long the last bite took, waiting for the writer included, so a
// busy panel is left alone.
func (d *DB) bites(ctx context.Context, one func(ctx context.Context, most int) (n int64, done bool, err error)) (total int64, err error) {
	for most := firstBite; ; {
		start := time.Now()
		n, done, err := one(ctx, most)
		total += n
		if err != nil || done {
			return total, err
		}
		took := time.Since(start)
		switch {
		case took > biteTime:
			most = max(leastBite, int(float64(most)*max(float64(biteTime)/float64(took), 0.25)))
		case took < biteTime/2:
			most = min(mostBite, most+most/4)
		}
		rest := time.NewTimer(max(leastRest, biteRest*took))
		select {
		case <-ctx.Done():
			rest.Stop()
			return total, ctx.Err()
		case <-rest.C:
		}
	}
}
