-- +goose Up
-- People and programs that use exits.
CREATE TABLE access_users (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    password     BLOB    NOT NULL, -- sealed
    enabled      INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    scope        TEXT    NOT NULL DEFAULT 'all' CHECK (scope IN ('all','nodes','tags')),
    tags         TEXT    NOT NULL DEFAULT '', -- ',one,two,' as those of nodes
    sources      TEXT    NOT NULL DEFAULT '', -- prefixes, with spaces between
    expires_at   INTEGER NOT NULL DEFAULT 0,
    quota        INTEGER NOT NULL DEFAULT 0 CHECK (quota >= 0), -- bytes; 0: none
    period       TEXT    NOT NULL DEFAULT '' CHECK (period IN ('','day','week','month')),
    note         TEXT    NOT NULL DEFAULT '',
    revision     INTEGER NOT NULL DEFAULT 1,
    bytes_up     INTEGER NOT NULL DEFAULT 0, -- since counted_from
    bytes_down   INTEGER NOT NULL DEFAULT 0,
    counted_from INTEGER NOT NULL,
    seen_at      INTEGER NOT NULL DEFAULT 0,
    seen_from    TEXT    NOT NULL DEFAULT '',
    created_at   INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL
) STRICT;

-- The nodes that an access user may use, where they are named.
CREATE TABLE access_nodes (
    user_id INTEGER NOT NULL REFERENCES access_users (id) ON DELETE CASCADE,
    node_id INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, node_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX access_nodes_node ON access_nodes (node_id);

-- The audit table knows more acts: a CHECK is changed by making the table anew.
ALTER TABLE audit RENAME TO audit_before;
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    user    TEXT    NOT NULL,
    address TEXT    NOT NULL,
    act     TEXT    NOT NULL CHECK (act IN ('login','login_failed','logout','reauth','password_changed','session_revoked','import','node_added',
                    'node_edited','nodes_deleted','export','reveal','run_started','run_cancelled','run_resumed','settings_changed','key_confirmed',
                    'service_started','service_stopped','service_retried','service_changed',
                    'access_added','access_changed','access_deleted')),
    detail  TEXT    NOT NULL
) STRICT;
INSERT INTO audit SELECT * FROM audit_before;
DROP TABLE audit_before;
-- +goose StatementBegin
CREATE TRIGGER audit_only_grows BEFORE UPDATE ON audit BEGIN
    SELECT raise(ABORT, 'the audit table only grows');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN
    SELECT raise(ABORT, 'the audit table only grows');
END;
-- +goose StatementEnd

-- +goose Down
ALTER TABLE audit RENAME TO audit_after;
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    user    TEXT    NOT NULL,
    address TEXT    NOT NULL,
    act     TEXT    NOT NULL CHECK (act IN ('login','login_failed','logout','reauth','password_changed','session_revoked','import','node_added',
                    'node_edited','nodes_deleted','export','reveal','run_started','run_cancelled','run_resumed','settings_changed','key_confirmed',
                    'service_started','service_stopped','service_retried','service_changed')),
    detail  TEXT    NOT NULL
) STRICT;
INSERT INTO audit SELECT * FROM audit_after WHERE act NOT IN ('access_added','access_changed','access_deleted');
DROP TABLE audit_after;
-- +goose StatementBegin
CREATE TRIGGER audit_only_grows BEFORE UPDATE ON audit BEGIN
    SELECT raise(ABORT, 'the audit table only grows');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN
    SELECT raise(ABORT, 'the audit table only grows');
END;
-- +goose StatementEnd
DROP TABLE access_nodes;
DROP TABLE access_users;
