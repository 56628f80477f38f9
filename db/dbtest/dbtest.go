// Package dbtest fills databases for tests, benchmarks and previews of pages with
// large fleets and their history. It writes the same rows as the panel, but directly
// with SQL and without the panel's checks.
package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver
)

// Open opens a database file. A panel may have it open at the same time.
func Open(path string) (*sql.DB, error) {
	pool, err := sql.Open("sqlite3", "file:"+path+"?_busy_timeout=60000&_foreign_keys=on&_journal_mode=WAL&_synchronous=OFF&_cache_size=-200000")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	pool.SetMaxOpenConns(1)
	return pool, nil
}

// Fleet adds n nodes with realistic values: some countries, providers and causes are
// frequent, most are rare.
func Fleet(ctx context.Context, pool *sql.DB, n int) error {
	// abs(random()) % m is uniform; a product of two favours small values.
	_, err := pool.ExecContext(ctx, `
		WITH RECURSIVE i(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM i WHERE i < ?),
		r AS MATERIALIZED (SELECT i, abs(random()) % 256 AS b, abs(random()) % 256 AS c, abs(random()) % 254 + 1 AS d,
			(abs(random()) % 1000) * (abs(random()) % 1000) / 1000 AS lean, abs(random()) % 1000 AS even FROM i)
		INSERT INTO nodes (address, address_key, port, login, password, password_mac, provider, country, state, city, tags,
			status, silences, kind, reached, cause, latency, control, attempts, lost, down, up, checked_at, created_at, changed_at,
			basis_kind, basis_reached, basis_cause, basis_at)
		SELECT printf('%d.%d.%d.%d', 5 + lean % 200, b, c, d), printf('!%02x%02x%02x%02x', 5 + lean % 200, b, c, d), 1723, 'user' || i,
			randomblob(56), randomblob(16), printf('Provider %d', lean / 20), substr('USDERUNLFRBRPLGB', 1 + 2 * (lean / 130), 2),
			substr('CATXNYFL', 1 + 2 * (even % 4), 2), printf('City %d', lean), iif(even % 7 = 0, ',old,spare,', ''),
			CASE WHEN even < 100 THEN 'not_tested' WHEN even < 400 THEN 'ping_failed' WHEN even < 800 THEN 'ping_ok'
				WHEN even < 850 THEN 'login_failed' WHEN even < 950 THEN 'login_ok' ELSE 'speed_ok' END,
			even % 97 = 0, iif(even < 100, '', 'ping'), iif(even < 100, 0, even % 11),
			iif(even BETWEEN 100 AND 399, 'tcp.' || substr('timeoutrefused', 1 + 7 * (even % 2), 7), ''),
			iif(even < 400, NULL, 10000 + lean * 300), iif(even < 400, NULL, 20000 + lean * 500), iif(even < 100, 0, 3), even % 4,
			iif(even < 950, NULL, 1000000 * (1 + lean)), iif(even < 950, NULL, 500000 * (1 + lean)),
			iif(even < 100, NULL, 1767225600000 + i * 977 % 8640000000), 1767225600000 + i / 5 * 1000, 1767225600000,
			iif(even < 100, '', 'ping'), iif(even < 100, 0, even % 11),
			iif(even BETWEEN 100 AND 399, 'tcp.' || substr('timeoutrefused', 1 + 7 * (even % 2), 7), ''),
			iif(even < 100, NULL, 1767225600000 + i * 977 % 8640000000)
		FROM r WHERE TRUE ON CONFLICT DO NOTHING`, n)
	if err != nil {
		return fmt.Errorf("make a fleet: %w", err)
	}
	return nil
}

// Past adds one probe of every tested node for each interval of length every between
// from and until, and updates the node with its last probe. Each node has its own
// latency and speed, which vary with the time of day. Failing nodes started to fail on
// different days, and some nodes flap.
func Past(ctx context.Context, pool *sql.DB, from, until time.Time, every time.Duration) error {
	slots := int(until.Sub(from) / every)
	for i := range slots {
		at := from.Add(time.Duration(i) * every)
		if _, err := pool.ExecContext(ctx, past, sql.Named("at", at.UnixMilli()), sql.Named("every", every.Milliseconds()),
			sql.Named("slot", i), sql.Named("hour", at.UTC().Hour()), sql.Named("left", int(until.Sub(at)/(24*time.Hour)))); err != nil {
			return fmt.Errorf("make a past: %w", err)
		}
	}
	if _, err := pool.ExecContext(ctx, present); err != nil {
		return fmt.Errorf("copy the last probe to the nodes: %w", err)
	}
	return nil
}

const past = `
	WITH probes AS MATERIALIZED (SELECT id, status, id % 97 = 5 AS flaps,
			iif(status IN ('login_ok','speed_ok','speed_slow') AND (:slot + id) % 4 = 0, iif(status = 'login_ok', 'login', 'speed'), 'ping') AS kind,
			(8 + id * 37 % 180) * 1000 + abs(:hour - 14) * 700 + abs(random()) % 15000 + iif(random() % 60 = 0, 90000, 0) AS latency,
			iif(id * 13 % 83 < 6, 100000 + id % 90 * 10000, (1 + id * 13 % 83) * 1000000) * (90 + abs(random()) % 20 - abs(:hour - 4)) / 100 AS down,
			CASE WHEN id % 97 = 5 THEN :slot % 5 < 2 WHEN status IN ('ping_failed','login_failed') THEN :left < 1 + id % 110 ELSE random() % 70 = 0 END AS bad
		FROM nodes WHERE status <> 'not_tested')
	INSERT INTO history (node_id, at, what, kind, fact, result, before, after, reached, cause, latency, control, attempts, lost, down, up)
	SELECT id, :at + id * 7919 * 1000 % :every, 'probe', kind, '', iif(bad, 'bad', iif(kind = 'speed' AND down < 1000000, 'slow', 'good')),
		iif(flaps AND :slot % 5 < 2, 'ping_failed', status), iif(flaps AND (:slot + 1) % 5 < 2, 'ping_failed', status),
		iif(bad, 1, CASE kind WHEN 'ping' THEN 3 WHEN 'login' THEN 9 ELSE 10 END), iif(bad, iif(status = 'login_failed', 'auth.691', 'tcp.timeout'), ''),
		iif(bad, NULL, latency), iif(bad, NULL, latency * 2), 3, iif(bad, 3, abs(random()) % 20 = 0),
		iif(kind = 'speed' AND NOT bad, down, NULL), iif(kind = 'speed' AND NOT bad, down / 4, NULL)
	FROM probes`

const present = `
	UPDATE nodes SET (latency, control, checked_at, kind, reached, cause, attempts, lost, basis_kind, basis_reached, basis_cause, basis_at) =
		(SELECT coalesce(h.latency, nodes.latency), coalesce(h.control, nodes.control), h.at, h.kind, h.reached, h.cause, h.attempts, h.lost,
				h.kind, h.reached, h.cause, h.at
			FROM history h WHERE h.node_id = nodes.id AND h.what = 'probe' ORDER BY h.id DESC LIMIT 1),
		down = (SELECT h.down FROM history h WHERE h.node_id = nodes.id AND h.down IS NOT NULL ORDER BY h.id DESC LIMIT 1),
		up = (SELECT h.up FROM history h WHERE h.node_id = nodes.id AND h.up IS NOT NULL ORDER BY h.id DESC LIMIT 1)
	WHERE EXISTS (SELECT 1 FROM history h WHERE h.node_id = nodes.id AND h.what = 'probe')`

// Traffic adds traffic for the service of each node whose status is speed_ok: for each
// hour of the given number of days before until, and for each minute of the last day.
// There is more traffic in the evening than at night, and sometimes none.
func Traffic(ctx context.Context, pool *sql.DB, until time.Time, days int) error {
	day := int64(24 * time.Hour / time.Millisecond)
	_, err := pool.ExecContext(ctx, `
		INSERT INTO services (node_id, port, user, secret)
		SELECT id, 20000 + id, 'exit-' || id, randomblob(56) FROM nodes WHERE status = 'speed_ok' ON CONFLICT DO NOTHING`)
	if err != nil {
		return fmt.Errorf("make services: %w", err)
	}
	_, err = pool.ExecContext(ctx, `
		WITH RECURSIVE i(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM i WHERE i + 1 < ?1 * 24),
		hours AS MATERIALIZED (SELECT n.id, ?2 - ?3 * i / 24 AS at, i < 24 AS fresh,
				(1 + id * 13 % 83) * 4000000 * abs(12 - abs((?2 / 3600000 - i) % 24 - 14)) * (abs(random()) % 5) AS down
			FROM i, nodes n WHERE n.status = 'speed_ok'),
		samples AS (SELECT id, at + s.i * 60000 AS at, down / 60 AS down FROM hours, (SELECT i FROM i WHERE i < 60) s WHERE fresh),
		spans AS (SELECT id, 'sample' AS span, at, down FROM samples
			UNION ALL SELECT id, 'hour', at, down FROM hours
			UNION ALL SELECT id, 'day', at / ?3 * ?3, sum(down) FROM hours GROUP BY 1, 3)
		INSERT OR REPLACE INTO traffic (node_id, span, at, up, down)
		SELECT id, span, at, down / 11, down FROM spans WHERE down > 0`,
		days, until.UnixMilli()/3600000*3600000, day)
	if err != nil {
		return fmt.Errorf("make up traffic: %w", err)
	}
	_, err = pool.ExecContext(ctx, `
		UPDATE services SET (bytes_up, bytes_down) = (SELECT coalesce(sum(up), 0), coalesce(sum(down), 0) FROM traffic t WHERE t.node_id = services.node_id AND span = 'day')`)
	if err != nil {
		return fmt.Errorf("add up the traffic: %w", err)
	}
	return nil
}

// FleetDays adds invented totals of the fleet for the end of each day before until.
func FleetDays(ctx context.Context, pool *sql.DB, until time.Time, days int) error {
	day := int64(24 * time.Hour / time.Millisecond)
	_, err := pool.ExecContext(ctx, `
		WITH RECURSIVE i(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM i WHERE i + 1 < ?1)
		INSERT OR REPLACE INTO fleet_days (at, total, validated)
		SELECT ?2 - ?3 * (?1 - i), t * (60 + 40 * i / ?1) / 100, v * (50 + 50 * i / ?1) / 100 - abs(random()) % (1 + v / 40)
		FROM i, (SELECT count(*) AS t, coalesce(sum(status IN ('login_ok','speed_ok','speed_slow')), 0) AS v FROM nodes)`,
		days, until.UnixMilli()/day*day, day)
	if err != nil {
		return fmt.Errorf("make up days: %w", err)
	}
	return nil
}
