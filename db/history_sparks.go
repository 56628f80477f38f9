package db

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// A point of a spark has two bytes: whether it failed, and the latency in steps of
// 0.2 ms, or zero without a latency.
const (
	sparkFailed = 1 << 15
	sparkStep   = 200 * time.Microsecond
)

func packSpark(s connexa.Spark) []byte {
	b := make([]byte, 0, 2*len(s))
	for _, p := range s {
		v := uint16(min((p.Latency+sparkStep-1)/sparkStep, sparkFailed-1))
		if p.Failed {
			v |= sparkFailed
		}
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func unpackSpark(b []byte) connexa.Spark {
	s := make(connexa.Spark, 0, len(b)/2+1)
	for ; len(b) >= 2; b = b[2:] {
		v := binary.BigEndian.Uint16(b)
		s = append(s, connexa.SparkPoint{Latency: time.Duration(v&^sparkFailed) * sparkStep, Failed: v&sparkFailed != 0})
	}
	return s
}

// addToSpark appends the points of a batch to a node's spark.
func addToSpark(t *stmtTx, node int64, tail *sparkTail) error {
	var packed []byte
	if len(tail.points) < connexa.MaxSpark {
		err := t.queryEach(sparkOf, 1, func(row []driver.Value) {
			b, _ := row[0].([]byte)
			packed = slices.Clone(b) // the driver reuses b for the next row
		}, node)
		if err != nil {
			return err
		}
	}
	packed = append(packed, packSpark(tail.points)...)
	packed = packed[max(0, len(packed)-2*connexa.MaxSpark):]
	return t.exec(setSpark, node, tail.at, packed)
}

// Sparks returns the sparks of nodes. The last point is the node's last probe, even if it
// is not rolled up yet. A node that was never probed has no spark.
func (d *DB) Sparks(ctx context.Context, nodes []connexa.Node) (map[int64]connexa.Spark, error) {
	ids := make([]int64, len(nodes))
	for i := range nodes {
		ids[i] = nodes[i].ID
	}
	rows, err := d.read.QueryContext(ctx, `
		SELECT s.node_id, s.at, s.points FROM json_each(?) c CROSS JOIN sparks s ON s.node_id = c.value`, jsonIDs(ids))
	if err != nil {
		return nil, fmt.Errorf("read sparks: %w", err)
	}
	defer rows.Close()
	sparks := make(map[int64]connexa.Spark, len(nodes))
	until := make(map[int64]int64, len(nodes))
	for rows.Next() {
		var id, at int64
		var packed []byte
		if err := rows.Scan(&id, &at, &packed); err != nil {
			return nil, fmt.Errorf("read sparks: %w", err)
		}
		sparks[id], until[id] = unpackSpark(packed), at
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read sparks: %w", err)
	}
	for i := range nodes {
		n := &nodes[i]
		if n.Last.At.IsZero() || toMillis(n.Last.At) <= until[n.ID] {
			continue
		}
		result := connexa.ResultGood
		// If only the measurement failed, the login was good.
		if n.Last.Cause != "" && n.Last.Cause.Step() != connexa.Internet {
			result = connexa.ResultBad
		}
		s := append(sparks[n.ID], connexa.SparkOf(result, n.Last.Reached, n.Last.Latency))
		sparks[n.ID] = s[max(0, len(s)-connexa.MaxSpark):]
	}
	return sparks, nil
}
