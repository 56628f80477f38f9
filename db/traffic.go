package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// samplesKept is how long samples of traffic are kept. Older traffic has only sums by the
// hour.
const samplesKept = 24 * time.Hour

// sampleLength is the time span of one traffic sample.
const sampleLength = 10 * time.Second

// SampleServices adds the traffic of services until at to their counters and samples, and
// records that their open sessions were up at that time.
func (d *DB) SampleServices(ctx context.Context, at time.Time, list []connexa.Traffic) error {
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE services SET seen_at = ? WHERE state = 'online' AND seen_at < ?`,
			toMillis(at), toMillis(at.Add(-time.Minute))); err != nil {
			return err
		}
		for _, t := range list {
			n, err := rowsChanged(tx.ExecContext(ctx, `UPDATE services SET bytes_up = bytes_up + ?, bytes_down = bytes_down + ?, open = ? WHERE node_id = ?`,
				t.Up, t.Down, t.Open, t.NodeID))
			if err != nil {
				return err
			}
			if n == 0 || t.Up+t.Down == 0 {
				continue // the node was deleted, or there is no traffic
			}
			for span, length := range map[connexa.TrafficSpan]time.Duration{
				connexa.TrafficSample: sampleLength, connexa.TrafficHour: time.Hour, connexa.TrafficDay: 24 * time.Hour,
			} {
				if _, err := tx.ExecContext(ctx, `
					INSERT INTO traffic (node_id, span, at, up, down) VALUES (?, ?, ?, ?, ?)
					ON CONFLICT (node_id, span, at) DO UPDATE SET up = up + excluded.up, down = down + excluded.down`,
					t.NodeID, span, toMillis(at.UTC().Truncate(length)), t.Up, t.Down); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the traffic of services: %w", err)
	}
	return nil
}

// Traffic lists the traffic of a node's service in the spans that began at from or later,
// the oldest first. It leaves out spans without traffic.
func (d *DB) Traffic(ctx context.Context, node int64, span connexa.TrafficSpan, from time.Time) ([]connexa.TrafficPoint, error) {
	var points []connexa.TrafficPoint
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT at, up, down FROM traffic WHERE node_id = ? AND span = ? AND at >= ? ORDER BY at`, node, span, toMillis(from))) {
		var (
			p  connexa.TrafficPoint
			at int64
		)
		if err := scan(&at, &p.Up, &p.Down); err != nil {
			return nil, fmt.Errorf("traffic of node %d: %w", node, err)
		}
		p.At = fromMillis(at)
		points = append(points, p)
	}
	return points, nil
}

// pruneTraffic deletes spans that are older than keep allows, in batches.
func (d *DB) pruneTraffic(ctx context.Context, keep connexa.Retention) (total int64, err error) {
	day := 24 * time.Hour
	for span, age := range map[connexa.TrafficSpan]time.Duration{
		connexa.TrafficSample: samplesKept, connexa.TrafficHour: time.Duration(keep.Hours) * day, connexa.TrafficDay: time.Duration(keep.Days) * day,
	} {
		for {
			var n int64
			err := d.inTx(ctx, func(tx *sql.Tx) (err error) {
				n, err = rowsChanged(tx.ExecContext(ctx, `
					DELETE FROM traffic WHERE (node_id, span, at) IN (SELECT node_id, span, at FROM traffic WHERE span = ? AND at < ? LIMIT ?)`,
					span, toMillis(d.now().Add(-age)), trafficBatch))
				return err
			})
			if err != nil {
				return total, fmt.Errorf("prune traffic: %w", err)
			}
			if total += n; n < trafficBatch {
				break
			}
		}
	}
	return total, nil
}

// trafficBatch is the number of spans that one transaction deletes.
const trafficBatch = 2000
