-- +goose Up

-- Where notices are sent to.
CREATE TABLE channels (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    name      TEXT    NOT NULL,
    address   BLOB    NOT NULL, -- sealed: it holds tokens
    lang      TEXT    NOT NULL CHECK (lang IN ('en','ru')),
    enabled   INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    sent_at   INTEGER NOT NULL DEFAULT 0, -- of the last message that went out
    failed_at INTEGER NOT NULL DEFAULT 0,
    problem   TEXT    NOT NULL DEFAULT '' -- of the last failure; never holds the address
) STRICT;

-- What each of them is told of.
CREATE TABLE channel_kinds (
    channel_id INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    kind       TEXT    NOT NULL CHECK (kind IN ('gateway_failed','gateway_recovered','node_dropped','node_recovered',
               'run_finished','offline','online','new_login')),
    PRIMARY KEY (channel_id, kind)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE channel_kinds;
DROP TABLE channels;
