package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// followStatus records the consequences of a change of status in the transaction of the
// result: whether the node flaps, and that the monitor must plan it again. It never
// changes the status. In the normal case nothing has changed and it does nothing.
func (d *DB) followStatus(t *stmtTx, node int64, before connexa.Status, p connexa.Probed, out *connexa.Finished) error {
	after := out.Verdict.Status
	out.WentDown = before.Validated() && !after.Validated()
	came := after.Validated() && !before.Validated()
	answered := p.Fact == connexa.Answered && (before == connexa.PingFailed || before == connexa.TunnelFailed)
	monitored := false
	if came || answered || before != after && before != connexa.NotTested {
		n, err := t.execCount(wakeMonitored, d.now().UnixMilli(), answered, node)
		if err != nil {
			return err
		}
		monitored = n > 0
	}
	if came {
		if out.Recovered = monitored; !monitored {
			if err := t.exec(addMonitored, node, d.now().UnixMilli()); err != nil {
				return err
			}
		}
	}
	if connexa.Turn(before, after) {
		return recordTransition(t, node, p.Outcome.At, monitored, out)
	}
	if out.WentDown || out.Recovered {
		f, err := flapsOf(t, node)
		out.Flapping = p.Outcome.At.Before(f.Until)
		return err
	}
	return nil
}

// recordTransition records that a node went down or came up.
func recordTransition(t *stmtTx, node int64, at time.Time, monitored bool, out *connexa.Finished) error {
	f, err := flapsOf(t, node)
	if err != nil {
		return err
	}
	f, began := f.After(at)
	out.Flapping, out.BeganFlapping = at.Before(f.Until), began && monitored
	return t.exec(saveFlaps, node, toMillis(f.Before), toMillis(f.Last), toMillis(f.Until))
}

func flapsOf(t *stmtTx, node int64) (f connexa.Flaps, err error) {
	err = t.queryEach(readFlaps, 3, func(row []driver.Value) {
		f = connexa.Flaps{Before: fromMillis(intValue(row[0])), Last: fromMillis(intValue(row[1])), Until: fromMillis(intValue(row[2]))}
	}, node)
	return f, err
}

// EndFlapping ends the flapping of nodes that have been stable for long enough, a few at a
// time, and returns them.
func (d *DB) EndFlapping(ctx context.Context) ([]connexa.StableNode, error) {
	const few = 200
	now := d.now().UnixMilli()
	// On a reader first, because the writer is seldom needed.
	var settled []connexa.StableNode
	var ids []int64
	for scan := range eachRow(d.read.QueryContext(ctx, `
		SELECT n.id, n.address, n.port, n.status, EXISTS (SELECT 1 FROM monitored WHERE node_id = n.id)
		FROM flaps f JOIN nodes n ON n.id = f.node_id WHERE f.until > 0 AND f.until <= ? ORDER BY f.until LIMIT ?`, now, few)) {
		var s connexa.StableNode
		if err := scan(&s.NodeID, &s.Address, &s.Port, &s.Status, &s.Monitored); err != nil {
			return nil, fmt.Errorf("list the nodes that ended flapping: %w", err)
		}
		settled, ids = append(settled, s), append(ids, s.NodeID)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return settled, d.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE flaps SET until = 0 WHERE node_id IN (SELECT value FROM json_each(?)) AND until <= ?`, jsonIDs(ids), now)
		return err
	})
}

const monitoredColumns = `w.node_id, w.due_at, w.login_at, w.plan, w.tries, w.earned, n.status, n.tags, n.kind, n.checked_at`

func scanMonitored(scan func(...any) error) (w connexa.Monitored, err error) {
	var (
		due, checkedAt sql.NullInt64
		login          int64
		tags           string
	)
	if err := scan(&w.NodeID, &due, &login, &w.Plan, &w.Attempts, &w.Earned, &w.Status, &tags, &w.Last, &checkedAt); err != nil {
		return w, err
	}
	if due.Valid {
		w.DueAt = time.UnixMilli(due.Int64).UTC() // zero is long ago, not never
	}
	w.LoginAt, w.Tags, w.LastAt = fromMillis(login), splitTags(tags), fromMillis(checkedAt.Int64)
	return w, nil
}

// DueMonitored returns up to n monitored nodes that are due, the longest overdue first.
func (d *DB) DueMonitored(ctx context.Context, n int) ([]connexa.Monitored, error) {
	var list []connexa.Monitored
	for scan := range eachRow(d.read.QueryContext(ctx, `
		SELECT `+monitoredColumns+` FROM monitored w INDEXED BY monitored_due JOIN nodes n ON n.id = w.node_id
		WHERE w.due_at <= ? ORDER BY w.due_at LIMIT ?`, d.now().UnixMilli(), n)) {
		w, err := scanMonitored(scan)
		if err != nil {
			return nil, fmt.Errorf("list the monitored nodes: %w", err)
		}
		list = append(list, w)
	}
	return list, nil
}

// CountMonitored returns the number of nodes with a planned probe.
func (d *DB) CountMonitored(ctx context.Context) (n int, err error) {
	err = d.read.QueryRowContext(ctx, `SELECT count(*) FROM monitored INDEXED BY monitored_due WHERE due_at IS NOT NULL`).Scan(&n)
	return n, err
}

// MonitoredNode returns the state of the monitor for a node, or nil if the node was not
// validated since its last edit.
func (d *DB) MonitoredNode(ctx context.Context, node int64) (*connexa.Monitored, error) {
	w, err := scanMonitored(d.read.QueryRowContext(ctx, `
		SELECT `+monitoredColumns+` FROM monitored w JOIN nodes n ON n.id = w.node_id WHERE w.node_id = ?`, node).Scan)
	switch {
	case connexa.CodeOf(translateError(err)) == connexa.NotFound:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the monitored node %d: %w", node, err)
	}
	return &w, nil
}

// StartMonitorRun starts the runs of the monitor and writes its plans, in one
// transaction, so that no probe is lost or made twice. It leaves out the plans of nodes
// that changed since they were read.
func (d *DB) StartMonitorRun(ctx context.Context, l connexa.MonitorRun) (runs []connexa.Run, err error) {
	type change struct {
		Node   int64  `json:"n"`
		Old    int64  `json:"o"`
		Due    *int64 `json:"d"`
		Login  int64  `json:"l"`
		Plan   string `json:"p"`
		Tries  int    `json:"t"`
		Earned bool   `json:"e"`
	}
	changes := make([]change, len(l.Plans))
	for i, r := range l.Plans {
		w := r.New
		changes[i] = change{w.NodeID, r.OldDue.UnixMilli(), nil, toMillis(w.LoginAt), string(w.Plan), w.Attempts, w.Earned}
		if !w.DueAt.IsZero() {
			due := w.DueAt.UnixMilli()
			changes[i].Due = &due
		}
	}
	plans, err := json.Marshal(changes)
	if err != nil {
		return nil, fmt.Errorf("encode the plans: %w", err)
	}
	err = d.inStmtTx(ctx, func(t *stmtTx) error {
		for _, part := range []struct {
			kind connexa.RunKind
			ids  []int64
		}{{connexa.RunPing, l.Ping}, {connexa.RunLogin, l.Login}} {
			if len(part.ids) == 0 {
				continue
			}
			run, err := d.startRun(t, connexa.NewRun{Kind: part.kind, Label: connexa.T("run.label.monitor"), Monitor: true}, part.ids)
			if err != nil {
				return err
			}
			runs = append(runs, run)
		}
		return t.exec(`
			UPDATE monitored SET due_at = c.value ->> 'd', login_at = c.value ->> 'l', plan = c.value ->> 'p', tries = c.value ->> 't', earned = c.value ->> 'e'
			FROM json_each(?) c WHERE monitored.node_id = c.value ->> 'n' AND monitored.due_at = c.value ->> 'o'`, string(plans))
	})
	return runs, err
}

// scheduledSetting is the row of the settings table with the schedule that the monitored
// nodes follow.
const scheduledSetting = "monitor_armed"

// ScheduleMonitored applies a schedule, identified by key, to every monitored node: it
// moves probes that would be too late forward and plans nodes that had no probe planned,
// spread over an interval. It does nothing if the schedule is already applied.
func (d *DB) ScheduleMonitored(ctx context.Context, key string, ping, login time.Duration) error {
	var armed string
	err := d.read.QueryRowContext(ctx, `SELECT coalesce((SELECT value FROM settings WHERE name = ?), '')`, scheduledSetting).Scan(&armed)
	if err != nil || armed == key {
		return err
	}
	after := int64(0)
	_, err = d.runThrottled(ctx, func(ctx context.Context, most int) (n int64, done bool, err error) {
		err = d.inTx(ctx, func(tx *sql.Tx) error {
			var last sql.NullInt64
			if err := tx.QueryRowContext(ctx, `SELECT max(node_id) FROM (SELECT node_id FROM monitored WHERE node_id > ? ORDER BY node_id LIMIT ?)`, after, most).Scan(&last); err != nil {
				return err
			}
			if done = !last.Valid; done {
				return nil
			}
			now := d.now().UnixMilli()
			// A failed node keeps its own time, and a node that was given up stays so.
			res, err := tx.ExecContext(ctx, `
				UPDATE monitored SET
					due_at = CASE
						WHEN plan = 'refused' AND tries >= ?7 THEN due_at
						WHEN plan IN ('down','refused') THEN coalesce(due_at, ?2 + abs(random() % ?3))
						ELSE min(coalesce(due_at, ?1), ?2 + abs(random() % ?3)) END,
					login_at = CASE WHEN ?4 = 0 THEN 0 ELSE min(CASE login_at WHEN 0 THEN ?1 ELSE login_at END, ?2 + abs(random() % max(?4, 1))) END
				WHERE node_id > ?5 AND node_id <= ?6`,
				int64(math.MaxInt64), now, max(spreadOver(ping, login).Milliseconds(), 1), login.Milliseconds(), after, last.Int64, connexa.MaxRefusals)
			if err != nil {
				return err
			}
			after = last.Int64
			n, err = res.RowsAffected()
			return err
		})
		return n, done, err
	})
	if err != nil {
		return fmt.Errorf("spread the monitored nodes: %w", err)
	}
	return d.inTx(ctx, func(tx *sql.Tx) error { return setSetting(ctx, tx, scheduledSetting, key) })
}

func spreadOver(ping, login time.Duration) time.Duration {
	if ping > 0 {
		return ping
	}
	return login
}
