package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// settingFields connects each row of the settings table with its field.
func settingFields(s *connexa.Settings) []settingField {
	return []settingField{
		intSetting("concurrency", &s.Concurrency),
		intSetting("connect_rate", &s.ConnectRate),
		intSetting("per_network", &s.PerNetwork),
		intSetting("per_address", &s.PerAddress),
		intSetting("ping_attempts", &s.PingAttempts),
		intSetting("history_raw_days", &s.HistoryRawDays),
		intSetting("history_hour_days", &s.HistoryHourDays),
		intSetting("history_day_days", &s.HistoryDayDays),
		{
			name: "encryption",
			get:  func() string { return string(s.Encryption) },
			set:  func(v string) error { s.Encryption = connexa.EncryptionPolicy(v); return nil },
		},
		{
			name: "speed_mode",
			get:  func() string { return string(s.Speed.Mode) },
			set:  func(v string) error { s.Speed.Mode = connexa.SpeedMode(v); return nil },
		},
		plainText("zone", &s.Zone),
		plainText("zone_in_force", &s.ZoneInForce),
		timeSetting("zone_since", &s.ZoneSince),
		intSetting("speed_at_once", &s.Speed.AtOnce),
		intSetting("speed_quick_mb", &s.Speed.QuickMB),
		intSetting("speed_full_mb", &s.Speed.FullMB),
		intSetting("speed_slow_kbit", &s.Speed.SlowKbit),
		intSetting("speed_hour_gb", &s.Speed.HourGB),
		intSetting("speed_month_gb", &s.Speed.MonthGB),
		plainText("service_listen", &s.Service.Listen),
		intSetting("service_first_port", &s.Service.FirstPort),
		intSetting("service_last_port", &s.Service.LastPort),
		plainText("service_clients", &s.Service.Clients),
		plainText("vpn_listen", &s.Service.VPNListen),
		intSetting("vpn_first_port", &s.Service.VPNFirstPort),
		intSetting("vpn_last_port", &s.Service.VPNLastPort),
		boolSetting("monitor_on", &s.Monitor.On),
		plainText("monitor_tags", &s.Monitor.Tags),
		intSetting("monitor_ping_minutes", &s.Monitor.PingMinutes),
		intSetting("monitor_login_hours", &s.Monitor.LoginHours),
		plainText("monitor_targets", &s.Monitor.Targets),
		timeSetting("monitor_offered", &s.Monitor.Offered),
		timeSetting("key_confirmed", &s.KeyConfirmed),
		timeSetting("gre_passed", &s.GREPassed),
	}
}

type settingField struct {
	name string
	get  func() string
	set  func(string) error
}

func intSetting(name string, at *int) settingField {
	return settingField{
		name: name,
		get:  func() string { return strconv.Itoa(*at) },
		set: func(v string) (err error) {
			*at, err = strconv.Atoi(v)
			return err
		},
	}
}

func plainText(name string, at *string) settingField {
	return settingField{
		name: name,
		get:  func() string { return *at },
		set:  func(v string) error { *at = v; return nil },
	}
}

func boolSetting(name string, at *bool) settingField {
	return settingField{
		name: name,
		get:  func() string { return strconv.FormatBool(*at) },
		set: func(v string) (err error) {
			*at, err = strconv.ParseBool(v)
			return err
		},
	}
}

func timeSetting(name string, at *time.Time) settingField {
	return settingField{
		name: name,
		get:  func() string { return strconv.FormatInt(toMillis(*at), 10) },
		set: func(v string) error {
			ms, err := strconv.ParseInt(v, 10, 64)
			*at = fromMillis(ms)
			return err
		},
	}
}

// queryer is a pool or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Settings returns the settings. A setting that was never changed has its default.
func (d *DB) Settings(ctx context.Context) (connexa.Settings, error) {
	return readSettings(ctx, d.read)
}

func readSettings(ctx context.Context, q queryer) (connexa.Settings, error) {
	s := connexa.DefaultSettings()
	fields := settingFields(&s)
	for scan := range eachRow(q.QueryContext(ctx, `SELECT name, value FROM settings`)) {
		var name, value string
		if err := scan(&name, &value); err != nil {
			return s, fmt.Errorf("read settings: %w", err)
		}
		if err := setField(fields, name, value); err != nil {
			return s, err
		}
	}
	return s, nil
}

// readSettings is Settings inside a transaction.
func (t *stmtTx) readSettings() (connexa.Settings, error) {
	s := connexa.DefaultSettings()
	fields := settingFields(&s)
	var bad error
	err := t.queryEach(`SELECT name, value FROM settings`, 2, func(row []driver.Value) {
		bad = errors.Join(bad, setField(fields, textValue(row[0]), textValue(row[1])))
	})
	return s, errors.Join(err, bad)
}

// setField sets the field of a row of the settings table, if it has one.
func setField(fields []settingField, name, value string) error {
	for _, f := range fields {
		if f.name != name {
			continue
		}
		if err := f.set(value); err != nil {
			return fmt.Errorf("read setting %s: %w", name, err)
		}
	}
	return nil
}

// ChangeSettings reads the settings, calls change and writes the result, in one
// transaction. If change returns an error, nothing is written.
func (d *DB) ChangeSettings(ctx context.Context, change func(*connexa.Settings) error) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		s, err := readSettings(ctx, tx)
		if err != nil {
			return err
		}
		if err := change(&s); err != nil {
			return err
		}
		for _, f := range settingFields(&s) {
			if err := setSetting(ctx, tx, f.name, f.get()); err != nil {
				return err
			}
		}
		return nil
	})
}

func setSetting(ctx context.Context, tx *sql.Tx, name, value string) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO settings (name, value) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	if err != nil {
		return fmt.Errorf("write setting %s: %w", name, err)
	}
	return nil
}
