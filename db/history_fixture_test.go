package db

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// madeUp is an invented row of history.
type madeUp struct {
	node        int64
	at          time.Time
	what        connexa.EntryKind
	kind        connexa.Kind
	result      connexa.Result
	turn, stale bool
	reached     connexa.Step
	latency     time.Duration
	tried, lost int
	down, up    int64
}

// putHistory writes rows of history in their order.
func putHistory(tb testing.TB, d *DB, rows []madeUp) {
	tb.Helper()
	err := d.inTx(context.Background(), func(tx *sql.Tx) error {
		stmt, err := tx.Prepare(`
			INSERT INTO history (node_id, at, what, kind, result, before, after, stale, reached, latency, attempts, lost, down, up, detail)
			VALUES (?, ?, ?, ?, ?, 'ping_ok', ?, ?, ?, ?, ?, ?, ?, ?, '')`)
		if err != nil {
			return err
		}
		defer stmt.Close()
		for _, r := range rows {
			after := connexa.PingOK
			if r.turn {
				after = connexa.PingFailed
			}
			if _, err := stmt.Exec(r.node, toMillis(r.at), r.what, r.kind, r.result, after, r.stale, r.reached.Index(), toMicros(r.latency),
				r.tried, r.lost, positiveOrNil(r.down), positiveOrNil(r.up)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// someHistory invents n rows of history of nodes, spread evenly from a time on.
func someHistory(rng *rand.Rand, nodes []int64, n int, from time.Time, every time.Duration) []madeUp {
	rows := make([]madeUp, n)
	for i := range rows {
		r := &rows[i]
		*r = madeUp{
			node: nodes[rng.IntN(len(nodes))], at: from.Add(time.Duration(i) * every), what: connexa.EntryProbe, kind: connexa.Ping,
			result: connexa.ResultGood, reached: connexa.Control, latency: time.Duration(5000+rng.IntN(200_000)) * time.Microsecond, tried: 3, lost: rng.IntN(3),
		}
		switch rng.IntN(12) {
		case 0:
			r.result, r.reached, r.latency, r.lost = connexa.ResultBad, connexa.Resolve, 0, 3
		case 1: // another program listens on that port
			r.result, r.reached = connexa.ResultBad, connexa.TCP
		case 2:
			r.result = connexa.ResultNoFact
		case 3:
			r.what, r.result, r.kind = connexa.EntryEdited, "", ""
		case 4:
			r.stale = true
		case 5, 6:
			r.kind, r.result, r.reached = connexa.Speed, connexa.ResultSlow, connexa.Internet
			r.down, r.up = int64(1+rng.IntN(90))*1e6, int64(1+rng.IntN(20))*1e6
		}
		r.turn = r.what == connexa.EntryProbe && rng.IntN(9) == 0
	}
	return rows
}

// bucketsOf computes the expected sums of rows, without SQL.
func bucketsOf(rows []madeUp, length time.Duration) map[int64]map[int64]connexa.Bucket {
	sums := map[int64]map[int64]connexa.Bucket{}
	for _, r := range rows {
		if r.what != connexa.EntryProbe || r.stale {
			continue
		}
		at := r.at.Truncate(length)
		if sums[r.node] == nil {
			sums[r.node] = map[int64]connexa.Bucket{}
		}
		s := sums[r.node][at.UnixMilli()]
		s.At = at
		s.Count(r.result)
		if r.turn {
			s.Turns++
		}
		s.Attempts, s.Lost = s.Attempts+r.tried, s.Lost+r.lost
		if r.reached != connexa.Resolve && r.reached != connexa.TCP {
			s.Latency.Add(r.latency.Microseconds())
		}
		s.Down.Add(r.down)
		s.Up.Add(r.up)
		sums[r.node][at.UnixMilli()] = s
	}
	return sums
}
