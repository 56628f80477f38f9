package db

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// purposeToken binds a sealed token to its column.
const purposeToken = "speed.token"

// followWithSpeed adds the speed job of a node to a ping+speed run whose ping j has passed,
// or joins a live one. From then on only that job counts for the node, so the run counts
// each of its nodes once.
func followWithSpeed(t *stmtTx, j connexa.Job, run int64) error {
	if err := t.exec(addSpeedJob, j.NodeID, pausedPriority, run); err != nil {
		return fmt.Errorf("queue a speed test: %w", err)
	}
	if err := t.exec(tieSpeedJob, run, j.NodeID); err != nil {
		return fmt.Errorf("tie a speed test to its run: %w", err)
	}
	if err := t.exec(followPing, run, j.ID); err != nil {
		return fmt.Errorf("follow a ping: %w", err)
	}
	return t.exec(pauseSpeedJob, pausedPriority, j.NodeID)
}

// SpeedEndpoints lists the endpoints of speed tests in order, with their tokens.
func (d *DB) SpeedEndpoints(ctx context.Context) ([]connexa.Endpoint, error) {
	var list []connexa.Endpoint
	for scan := range eachRow(d.read.QueryContext(ctx, `SELECT kind, url, up_url, token FROM speed_endpoints ORDER BY place, id`)) {
		var (
			e      connexa.Endpoint
			sealed []byte
			err    error
		)
		if err := scan(&e.Kind, &e.URL, &e.UpURL, &sealed); err != nil {
			return nil, fmt.Errorf("list speed endpoints: %w", err)
		}
		if e.URL, err = d.openAddress(e.URL); err == nil {
			e.UpURL, err = d.openAddress(e.UpURL)
		}
		if err != nil {
			return nil, fmt.Errorf("the address of a speed endpoint: %w", err)
		}
		if len(sealed) > 0 {
			token, err := d.ring.unseal(purposeToken, sealed)
			if err != nil {
				return nil, fmt.Errorf("speed endpoint %s: %w", e.Name(), err)
			}
			e.Token = connexa.Secret(token)
		}
		list = append(list, e)
	}
	return list, nil
}

const (
	// purposeAddress binds a sealed address to its column.
	purposeAddress = "speed.url"
	// sealedAddress is the prefix of a sealed address.
	sealedAddress = "sealed:"
)

// sealAddress seals an address that may contain a secret.
func (d *DB) sealAddress(address string) string {
	if !connexa.HasSecret(address) {
		return address
	}
	return sealedAddress + base64.StdEncoding.EncodeToString(d.ring.seal(purposeAddress, []byte(address)))
}

func (d *DB) openAddress(text string) (string, error) {
	box, ok := strings.CutPrefix(text, sealedAddress)
	if !ok {
		return text, nil
	}
	sealed, err := base64.StdEncoding.DecodeString(box)
	if err != nil {
		return "", err
	}
	address, err := d.ring.unseal(purposeAddress, sealed)
	return string(address), err
}

// sealAddresses seals the addresses that an earlier version stored unsealed, and removes
// them from the write-ahead log.
func (d *DB) sealAddresses(ctx context.Context) error {
	var clear int
	err := d.read.QueryRowContext(ctx, `SELECT count(*) FROM speed_endpoints
		WHERE instr(url, '?') OR instr(up_url, '?') OR instr(url, '@') OR instr(up_url, '@')`).Scan(&clear)
	if err != nil || clear == 0 {
		return err
	}
	err = d.ChangeSpeedEndpoints(ctx, func(list []connexa.Endpoint) ([]connexa.Endpoint, error) { return list, nil })
	if err != nil {
		return fmt.Errorf("seal the addresses of speed endpoints: %w", err)
	}
	_, err = d.write.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
	return err
}

// ChangeSpeedEndpoints reads the endpoints, calls change and writes the result, in one
// transaction. If change returns an error, nothing is written.
func (d *DB) ChangeSpeedEndpoints(ctx context.Context, change func([]connexa.Endpoint) ([]connexa.Endpoint, error)) error {
	// Nobody can change the list between the read and the write, because there is only one
	// writer.
	return d.inTx(ctx, func(tx *sql.Tx) error {
		old, err := d.SpeedEndpoints(ctx)
		if err != nil {
			return err
		}
		list, err := change(old)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM speed_endpoints`); err != nil {
			return fmt.Errorf("write speed endpoints: %w", err)
		}
		for i, e := range list {
			sealed := []byte{}
			if e.Token != "" {
				sealed = d.ring.seal(purposeToken, []byte(e.Token.Reveal()))
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO speed_endpoints (place, kind, url, up_url, token) VALUES (?, ?, ?, ?, ?)`,
				i, e.Kind, d.sealAddress(e.URL), d.sealAddress(e.UpURL), sealed); err != nil {
				return fmt.Errorf("write speed endpoint %s: %w", e.Name(), err)
			}
		}
		return nil
	})
}

// spentKept is the number of hours for which the traffic of each hour is kept.
const spentKept = 62 * 24

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// SpeedSpent returns the bytes that speed tests have moved in the current hour and in the
// current month, in the time zone of the settings. A month that begins within an hour
// includes that hour.
func (d *DB) SpeedSpent(ctx context.Context) (spent connexa.SpeedSpent, err error) {
	s, err := d.Settings(ctx)
	if err != nil {
		return spent, err
	}
	now := d.now().In(s.Location())
	first := connexa.QuotaMonthly.Start(now)
	err = d.read.QueryRowContext(ctx, `SELECT coalesce(sum(bytes) FILTER (WHERE hour = ?), 0), coalesce(sum(bytes), 0) FROM speed_spent WHERE hour >= ?`,
		hourOf(now), hourOf(first)).Scan(&spent.Hour, &spent.Month)
	if err != nil {
		return spent, fmt.Errorf("what speed tests have cost: %w", err)
	}
	return spent, nil
}

// SpendSpeed counts bytes that a speed test has moved, whatever its result.
func (d *DB) SpendSpeed(ctx context.Context, bytes int64) error {
	now := hourOf(d.now())
	return d.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO speed_spent (hour, bytes) VALUES (?, ?) ON CONFLICT (hour) DO UPDATE SET bytes = bytes + excluded.bytes`, now, bytes); err != nil {
			return fmt.Errorf("count the cost of a speed test: %w", err)
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM speed_spent WHERE hour < ?`, now-spentKept)
		return err
	})
}

// uplinkSetting is the row of the settings table with the last measurement of this host's
// uplink.
const uplinkSetting = "uplink"

// Uplink returns the last measurement of this host's uplink, or the zero Uplink.
func (d *DB) Uplink(ctx context.Context) (u connexa.Uplink, err error) {
	var text string
	switch err := d.read.QueryRowContext(ctx, `SELECT coalesce((SELECT value FROM settings WHERE name = ?), '')`, uplinkSetting).Scan(&text); {
	case err != nil:
		return u, fmt.Errorf("read the uplink: %w", err)
	case text == "":
		return u, nil
	}
	if err := json.Unmarshal([]byte(text), &u); err != nil {
		return u, fmt.Errorf("read the uplink: %w", err)
	}
	return u, nil
}

// SetUplink stores a measurement of this host's uplink.
func (d *DB) SetUplink(ctx context.Context, u connexa.Uplink) error {
	text, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("keep the uplink: %w", err)
	}
	return d.inTx(ctx, func(tx *sql.Tx) error { return setSetting(ctx, tx, uplinkSetting, string(text)) })
}

// LastSpeed returns the newest row of a node's history with a measurement, or NotFound.
func (d *DB) LastSpeed(ctx context.Context, nodeID int64) (connexa.Entry, error) {
	e, err := scanEntry(d.read.QueryRowContext(ctx, `
		SELECT `+historyColumns+` FROM history WHERE node_id = ? AND kind = 'speed' AND down IS NOT NULL AND stale = 0 ORDER BY id DESC LIMIT 1`, nodeID))
	return e, translateError(err)
}

// SpeedUsed reports whether a speed test has moved data since a time.
func (d *DB) SpeedUsed(ctx context.Context, since time.Time) (used bool, err error) {
	err = d.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM speed_spent WHERE hour >= ?)`, hourOf(since)).Scan(&used)
	if err != nil {
		return false, fmt.Errorf("whether speed tests are used: %w", err)
	}
	return used, nil
}
