package db

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// maxPoints is the maximum number of probes in a chart.
const maxPoints = 50_000

// NodeBuckets returns the history of a node since a time, the oldest first: every probe, or
// the sums of each hour or day (UTC). A period without probes has no bucket.
func (d *DB) NodeBuckets(ctx context.Context, nodeID int64, tier connexa.Tier, since time.Time) (buckets []connexa.Bucket, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("buckets of node %d: %w", nodeID, err)
		}
	}()
	tx, err := d.read.BeginTx(ctx, nil) // one snapshot of the sums and of the rows that are not rolled up
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	if tier == connexa.EveryProbe {
		return probesSince(ctx, tx, nodeID, 0, since)
	}
	table, length := "history_hours", hour
	if tier == connexa.EveryDay {
		table, length = "history_days", day
	}
	from := toMillis(since)
	from -= from % length
	if buckets, err = readBuckets(ctx, tx, table, nodeID, from, d.now().Add(time.Hour).UnixMilli(), length); err != nil {
		return nil, err
	}
	var upto int64
	if err := tx.QueryRowContext(ctx, selectRolledUpTo).Scan(&upto); err != nil {
		return nil, err
	}
	fresh, err := probesSince(ctx, tx, nodeID, upto, time.UnixMilli(from))
	if err != nil {
		return nil, err
	}
	for _, p := range fresh {
		at := toMillis(p.At)
		p.At = fromMillis(at - at%length)
		if i, found := slices.BinarySearchFunc(buckets, p.At, func(s connexa.Bucket, at time.Time) int { return s.At.Compare(at) }); found {
			buckets[i].Add(p)
		} else {
			buckets = slices.Insert(buckets, i, p)
		}
	}
	return buckets, nil
}

// readBuckets reads the sums of a node. Each one is looked up, because they are clustered
// by time.
func readBuckets(ctx context.Context, tx *sql.Tx, table string, nodeID, from, to, length int64) ([]connexa.Bucket, error) {
	rows, err := tx.QueryContext(ctx, `
		WITH RECURSIVE t(at) AS (SELECT ? UNION ALL SELECT at + ? FROM t WHERE at < ?)
		SELECT s.at, good, slow, bad, inconclusive, turns, attempts, lost,
			latency_count, latency_sum, coalesce(latency_min, 0), coalesce(latency_max, 0),
			down_count, down_sum, coalesce(down_min, 0), coalesce(down_max, 0), up_count, up_sum, coalesce(up_min, 0), coalesce(up_max, 0)
		FROM t CROSS JOIN `+table+` s ON s.at = t.at AND s.node_id = ?`, from, length, to-length, nodeID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var buckets []connexa.Bucket
	for rows.Next() {
		var s connexa.Bucket
		var at int64
		l, down, up := &s.Latency, &s.Down, &s.Up
		if err := rows.Scan(&at, &s.Good, &s.Slow, &s.Bad, &s.Inconclusive, &s.Turns, &s.Attempts, &s.Lost, &l.Count, &l.Total, &l.Min, &l.Max,
			&down.Count, &down.Total, &down.Min, &down.Max, &up.Count, &up.Total, &up.Min, &up.Max); err != nil {
			return nil, err
		}
		s.At = fromMillis(at)
		if n := len(buckets); n > 0 && buckets[n-1].At.Equal(s.At) { // another kind of probe
			buckets[n-1].Add(s)
		} else {
			buckets = append(buckets, s)
		}
	}
	return buckets, rows.Err()
}

// probesSince reads the probes of a node with ids over after, each as a bucket. It begins
// with the newest, because only ids are in order and indexed.
func probesSince(ctx context.Context, tx *sql.Tx, nodeID, after int64, since time.Time) ([]connexa.Bucket, error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT at, what, stale, result, before <> after, attempts, lost, reached, coalesce(latency, 0), coalesce(down, 0), coalesce(up, 0)
		FROM history WHERE node_id = ? AND id > ? ORDER BY id DESC LIMIT ?`, nodeID, after, maxPoints)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var buckets []connexa.Bucket
	for rows.Next() {
		var (
			s                     connexa.Bucket
			what                  connexa.EntryKind
			result                connexa.Result
			at, latency, down, up int64
			stale                 bool
			reached               int
		)
		if err := rows.Scan(&at, &what, &stale, &result, &s.Turns, &s.Attempts, &s.Lost, &reached, &latency, &down, &up); err != nil {
			return nil, err
		}
		if at < toMillis(since) {
			break
		}
		if what != connexa.EntryProbe || stale {
			continue
		}
		s.At = fromMillis(at)
		s.Count(result)
		s.Measure(connexa.StepAt(reached), latency, down, up)
		buckets = append(buckets, s)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	slices.Reverse(buckets)
	slices.SortStableFunc(buckets, func(a, b connexa.Bucket) int { return a.At.Compare(b.At) })
	return buckets, nil
}
