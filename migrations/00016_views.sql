-- +goose Up

-- Saved filters with the look of their list.
CREATE TABLE views (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, -- the owner
    name       TEXT    NOT NULL,
    shared     INTEGER NOT NULL DEFAULT 0 CHECK (shared IN (0, 1)), -- every account may use it
    query      TEXT    NOT NULL DEFAULT '', -- in the filter language
    sort       TEXT    NOT NULL DEFAULT '', -- '-latency'
    columns    TEXT    NOT NULL DEFAULT '[]', -- JSON: names and widths in their order; none are the usual columns
    density    TEXT    NOT NULL DEFAULT '' CHECK (density IN ('','comfortable','compact')),
    tile       INTEGER NOT NULL DEFAULT 0 CHECK (tile IN (0, 1)), -- the dashboard shows its count
    changed_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX views_name ON views (account_id, name);

-- The start page of an account.
CREATE TABLE view_starts (
    account_id INTEGER PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    view_id    INTEGER NOT NULL REFERENCES views (id) ON DELETE CASCADE
) STRICT;

CREATE INDEX view_starts_view ON view_starts (view_id);

-- +goose Down
DROP TABLE view_starts;
DROP TABLE views;
