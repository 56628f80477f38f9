package db

import (
	"context"
	"fmt"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// CountLiveJobs counts the jobs that have not ended, for every kind.
func (d *DB) CountLiveJobs(ctx context.Context) ([]connexa.LiveJobs, error) {
	// Two indexes are enough for this; a query by state would look up each job.
	counts := []connexa.LiveJobs{{Kind: connexa.Ping}, {Kind: connexa.Login}, {Kind: connexa.Speed}}
	for scan := range eachRow(d.read.QueryContext(ctx, `
		SELECT kind, sum(n), sum(queued) FROM (
			SELECT kind, count(*) AS n, 0 AS queued FROM jobs INDEXED BY jobs_one_live WHERE finished_at IS NULL GROUP BY kind
			UNION ALL SELECT kind, 0, count(*) FROM jobs INDEXED BY jobs_due WHERE state = 'queued' GROUP BY kind)
		GROUP BY kind`)) {
		var (
			kind        connexa.Kind
			all, queued int
		)
		if err := scan(&kind, &all, &queued); err != nil {
			return nil, fmt.Errorf("count the jobs: %w", err)
		}
		for i := range counts {
			if counts[i].Kind == kind {
				counts[i].Queued, counts[i].Running = queued, max(0, all-queued)
			}
		}
	}
	return counts, nil
}
