-- +goose Up

ALTER TABLE runs ADD COLUMN monitor INTEGER NOT NULL DEFAULT 0 CHECK (monitor IN (0, 1)); -- started by the health monitor
CREATE INDEX runs_people ON runs (id) WHERE monitor = 0;
CREATE INDEX runs_monitor ON runs (finished_at) WHERE monitor = 1;

-- The nodes that were validated since their last edit, and when the monitor looks at them next.
CREATE TABLE watches (
    node_id  INTEGER PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
    due_at   INTEGER, -- NULL: nothing is planned
    login_at INTEGER NOT NULL DEFAULT 0,
    plan     TEXT    NOT NULL DEFAULT '' CHECK (plan IN ('','up','down','refused')),
    tries    INTEGER NOT NULL DEFAULT 0,
    earned   INTEGER NOT NULL DEFAULT 0 CHECK (earned IN (0, 1))
) STRICT;
CREATE INDEX watches_due ON watches (due_at) WHERE due_at IS NOT NULL;
INSERT INTO watches (node_id, due_at)
SELECT id, 0 FROM nodes WHERE status IN ('login_ok','speed_slow','speed_ok')
    OR status <> 'not_tested' AND EXISTS (SELECT 1 FROM history h WHERE h.node_id = nodes.id AND h.what = 'probe'
        AND h.before IN ('login_ok','speed_slow','speed_ok') AND h.after NOT IN ('login_ok','speed_slow','speed_ok')
        AND h.id > coalesce((SELECT max(e.id) FROM history e WHERE e.node_id = nodes.id AND e.what = 'edited' AND e.after = 'not_tested'), 0));

-- When a node last went down or came up.
CREATE TABLE flaps (
    node_id   INTEGER PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
    before_at INTEGER NOT NULL, -- the last but one
    last_at   INTEGER NOT NULL,
    until     INTEGER NOT NULL  -- zero: it does not flap
) STRICT;
CREATE INDEX flaps_now ON flaps (until) WHERE until > 0;

-- What is remembered of a node was another server or another login.
-- +goose StatementBegin
CREATE TRIGGER watches_end AFTER UPDATE OF revision ON nodes BEGIN
    DELETE FROM watches WHERE node_id = new.id;
    DELETE FROM flaps WHERE node_id = new.id;
END;
-- +goose StatementEnd
-- Nodes without the monitor's tags sleep.
-- +goose StatementBegin
CREATE TRIGGER watches_wake AFTER UPDATE OF tags ON nodes WHEN new.tags <> old.tags BEGIN
    UPDATE watches SET due_at = coalesce(due_at, 0) WHERE node_id = new.id;
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER watches_wake;
DROP TRIGGER watches_end;
DROP TABLE flaps;
DROP TABLE watches;
DROP INDEX runs_monitor;
DROP INDEX runs_people;
ALTER TABLE runs DROP COLUMN monitor;
