package db

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	hour = int64(time.Hour / time.Millisecond)
	day  = 24 * hour
)

const (
	selectRolledUpTo = `SELECT upto FROM history_rolled`
	setRolledUpTo    = `UPDATE history_rolled SET upto = ?`
	// Without the column detail, which is mostly on pages of its own.
	freshHistory = `
		SELECT id, node_id, at, what, kind, result, before <> after, stale, reached, latency, attempts, lost, down, up
		FROM history WHERE id > ? ORDER BY id LIMIT ?`
	sparkOf  = `SELECT points FROM sparks WHERE node_id = ?`
	setSpark = `
		INSERT INTO sparks (node_id, at, points) SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM nodes WHERE id = ?1)
		ON CONFLICT (node_id) DO UPDATE SET at = excluded.at, points = excluded.points`
)

// addSums returns the statement that adds sums to those of an hour or a day.
func addSums(table string) string {
	return `
		INSERT INTO ` + table + ` (at, node_id, kind, good, slow, bad, inconclusive, turns, attempts, lost,
			latency_count, latency_sum, latency_min, latency_max, down_count, down_sum, down_min, down_max, up_count, up_sum, up_min, up_max)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (at, node_id, kind) DO UPDATE SET
			good = good + excluded.good, slow = slow + excluded.slow, bad = bad + excluded.bad, inconclusive = inconclusive + excluded.inconclusive,
			turns = turns + excluded.turns, attempts = attempts + excluded.attempts, lost = lost + excluded.lost,
			latency_count = latency_count + excluded.latency_count, latency_sum = latency_sum + excluded.latency_sum,
			latency_min = coalesce(min(latency_min, excluded.latency_min), latency_min, excluded.latency_min),
			latency_max = coalesce(max(latency_max, excluded.latency_max), latency_max, excluded.latency_max),
			down_count = down_count + excluded.down_count, down_sum = down_sum + excluded.down_sum,
			down_min = coalesce(min(down_min, excluded.down_min), down_min, excluded.down_min),
			down_max = coalesce(max(down_max, excluded.down_max), down_max, excluded.down_max),
			up_count = up_count + excluded.up_count, up_sum = up_sum + excluded.up_sum,
			up_min = coalesce(min(up_min, excluded.up_min), up_min, excluded.up_min),
			up_max = coalesce(max(up_max, excluded.up_max), up_max, excluded.up_max)`
}

var addHour, addDay = addSums("history_hours"), addSums("history_days")

// sumKey is the key of one row of sums.
type sumKey struct {
	at, node int64
	kind     string
}

// sums are the sums of one batch of the history.
type sums struct {
	last   int64 // id of its last row; zero: the batch is empty
	rows   int64
	hours  map[sumKey]*connexa.Bucket
	days   map[sumKey]*connexa.Bucket
	sparks map[int64]*sparkTail
}

// sparkTail has the points that a batch adds to a node's spark.
type sparkTail struct {
	at     int64
	points connexa.Spark
}

// RollUp adds the rows since the last call to the sums of hours and days and to the
// sparks, in small batches. It returns the number of rows. The sums and the position
// change in one transaction, so each row counts once, whatever happens in between.
func (d *DB) RollUp(ctx context.Context) (int64, error) {
	n, err := d.runThrottled(ctx, func(ctx context.Context, most int) (int64, bool, error) {
		rows, err := d.rollUpBatch(ctx, most)
		return rows, rows < int64(most), err
	})
	if err != nil {
		return n, fmt.Errorf("roll the history up: %w", err)
	}
	return n, nil
}

func (d *DB) rollUpBatch(ctx context.Context, most int) (int64, error) {
	var s sums
	err := d.inStmtTx(ctx, func(t *stmtTx) error {
		var err error
		if s, err = readSums(t, most); err != nil || s.rows == 0 {
			return err
		}
		for key, sum := range s.hours {
			if err := t.exec(addHour, key.insertValues(sum)...); err != nil {
				return err
			}
		}
		for key, sum := range s.days {
			if err := t.exec(addDay, key.insertValues(sum)...); err != nil {
				return err
			}
		}
		for node, tail := range s.sparks {
			if err := addToSpark(t, node, tail); err != nil {
				return err
			}
		}
		return t.exec(setRolledUpTo, s.last)
	})
	return s.rows, err
}

// readSums adds up to most rows together, from the position on.
func readSums(t *stmtTx, most int) (sums, error) {
	s := sums{hours: map[sumKey]*connexa.Bucket{}, days: map[sumKey]*connexa.Bucket{}, sparks: map[int64]*sparkTail{}}
	var upto int64
	if err := t.queryEach(selectRolledUpTo, 1, func(row []driver.Value) { upto = intValue(row[0]) }); err != nil {
		return s, err
	}
	err := t.queryEach(freshHistory, 14, func(row []driver.Value) {
		s.last = intValue(row[0])
		s.rows++
		if textValue(row[3]) != string(connexa.EntryProbe) || intValue(row[7]) == 1 { // or it is of an older revision of the node
			return
		}
		node, at, kind, result := intValue(row[1]), intValue(row[2]), textValue(row[4]), connexa.Result(textValue(row[5]))
		p := connexa.Bucket{Turns: int(intValue(row[6])), Attempts: int(intValue(row[10])), Lost: int(intValue(row[11]))}
		p.Count(result)
		reached := connexa.StepAt(int(intValue(row[8])))
		p.Measure(reached, intValue(row[9]), intValue(row[12]), intValue(row[13]))
		joinSums(s.hours, sumKey{at - at%hour, node, kind}, p)
		joinSums(s.days, sumKey{at - at%day, node, kind}, p)
		if result.Inconclusive() {
			return
		}
		tail := s.sparks[node]
		if tail == nil {
			tail = &sparkTail{}
			s.sparks[node] = tail
		}
		tail.at = max(tail.at, at)
		tail.points = append(tail.points, connexa.SparkOf(result, reached, fromMicros(intValue(row[9]))))
	}, upto, most)
	return s, err
}

func joinSums(into map[sumKey]*connexa.Bucket, key sumKey, p connexa.Bucket) {
	if s := into[key]; s != nil {
		s.Add(p)
		return
	}
	into[key] = &p
}

// insertValues returns the values for the statement of addSums.
func (k sumKey) insertValues(s *connexa.Bucket) []any {
	list := []any{k.at, k.node, k.kind, s.Good, s.Slow, s.Bad, s.Inconclusive, s.Turns, s.Attempts, s.Lost}
	for _, f := range []connexa.Sum{s.Latency, s.Down, s.Up} {
		var least, most any
		if f.Count > 0 {
			least, most = f.Min, f.Max
		}
		list = append(list, f.Count, f.Total, least, most)
	}
	return list
}
