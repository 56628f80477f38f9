package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	fleetDays    = 90 // days that the figures cover
	flappingDays = 7
	fleetTop     = 6 // length of a list of the worst nodes
)

// speedBounds are the lower bounds of the speed classes, in bits per second.
var speedBounds = []int64{0, 1e6, 2e6, 5e6, 10e6, 20e6, 50e6, 100e6}

// Fleet returns the figures of the fleet.
func (d *DB) Fleet(ctx context.Context) (f connexa.Fleet, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read the fleet: %w", err)
		}
	}()
	tx, err := d.read.BeginTx(ctx, nil)
	if err != nil {
		return f, err
	}
	defer tx.Rollback()
	if f.Days, err = readFleetDays(ctx, tx, d.now().Add(-fleetDays*24*time.Hour).UnixMilli()); err != nil {
		return f, err
	}
	if f.Speeds, err = d.speedClasses(ctx); err != nil {
		return f, err
	}
	if f.Slowest, err = d.slowestNodes(ctx); err != nil {
		return f, err
	}
	f.Flapping, err = flappingNodes(ctx, tx, d.now().Add(-flappingDays*24*time.Hour).UnixMilli())
	return f, err
}

func readFleetDays(ctx context.Context, q querier, since int64) ([]connexa.FleetDay, error) {
	var days []connexa.FleetDay
	for scan := range eachRow(q.QueryContext(ctx, `SELECT at, total, validated FROM fleet_days WHERE at >= ? ORDER BY at`, since)) {
		var at int64
		var f connexa.FleetDay
		if err := scan(&at, &f.Total, &f.Validated); err != nil {
			return nil, err
		}
		f.At = fromMillis(at)
		days = append(days, f)
	}
	return days, nil
}

// validated selects the nodes on which a session has come up.
var validated = func() connexa.Filter {
	var list []string
	for _, s := range connexa.Statuses() {
		if s.Validated() {
			list = append(list, string(s))
		}
	}
	return connexa.FilterBy("status", list...)
}()

// speedClasses counts the nodes with a session by their last measurement. It is empty
// without measurements.
func (d *DB) speedClasses(ctx context.Context) ([]connexa.SpeedClass, error) {
	nodes, err := d.nodesInMemory(ctx)
	if err != nil {
		return nil, err
	}
	counts, err := nodes.CountSpeeds(validated, speedBounds)
	if err != nil || counts == nil {
		return nil, err
	}
	classes := make([]connexa.SpeedClass, len(speedBounds))
	for i, from := range speedBounds {
		classes[i] = connexa.SpeedClass{From: from, Count: counts[i]}
		if i > 0 {
			classes[i-1].To = from
		}
	}
	return classes, nil
}

// slowestNodes returns the nodes with the lowest speeds, or without measurements those
// with the longest latencies.
func (d *DB) slowestNodes(ctx context.Context) ([]connexa.Node, error) {
	for _, by := range []struct {
		measured connexa.Term
		sort     connexa.Sort
	}{
		{connexa.Term{Field: "speed", Op: connexa.OpLeast, Values: []string{"0"}}, connexa.Sort{Key: connexa.SortSpeed}},
		{connexa.Term{Field: "latency", Op: connexa.OpLeast, Values: []string{"0"}}, connexa.Sort{Key: connexa.SortLatency, Desc: true}},
	} {
		f := validated.And(connexa.Filter{Terms: []connexa.Term{by.measured}})
		page, err := d.ListNodes(ctx, connexa.ListQuery{Filter: f, Sort: by.sort, Size: fleetTop})
		if err != nil || len(page.Nodes) > 0 {
			return page.Nodes, err
		}
	}
	return nil, nil
}

// flappingNodes returns the nodes that changed their status most often. One or two
// changes do not count.
func flappingNodes(ctx context.Context, q querier, since int64) ([]connexa.Flapper, error) {
	var ids []int64
	turns := map[int64]int{}
	for scan := range eachRow(q.QueryContext(ctx, `
		SELECT node_id, sum(turns) FROM history_days INDEXED BY history_days_turns
		WHERE turns > 0 AND at >= ? AND EXISTS (SELECT 1 FROM nodes WHERE id = node_id)
		GROUP BY node_id HAVING sum(turns) >= 3 ORDER BY 2 DESC, 1 LIMIT ?`, since, fleetTop)) {
		var id int64
		var n int
		if err := scan(&id, &n); err != nil {
			return nil, err
		}
		ids = append(ids, id)
		turns[id] = n
	}
	nodes, err := nodesByID(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	list := make([]connexa.Flapper, len(nodes))
	for i, n := range nodes {
		list[i] = connexa.Flapper{Node: n, Turns: turns[n.ID]}
	}
	return list, nil
}

// NoteFleet stores the state of the fleet today and replaces an earlier row of the
// day.
func (d *DB) NoteFleet(ctx context.Context) error {
	facets, err := d.Facets(ctx, connexa.Filter{})
	if err != nil {
		return err
	}
	f := connexa.FleetDay{Total: facets.Total}
	for status, n := range facets.Statuses {
		if status.Validated() {
			f.Validated += n
		}
	}
	if f.Total == 0 {
		return nil
	}
	now := d.now().UnixMilli()
	return d.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO fleet_days (at, total, validated) VALUES (?, ?, ?)
			ON CONFLICT (at) DO UPDATE SET total = excluded.total, validated = excluded.validated`, now-now%day, f.Total, f.Validated)
		return err
	})
}
