-- +goose Up

-- The text filter looks at the fleet in memory.
ALTER TABLE nodes DROP COLUMN search;

-- Deleted nodes keep their history while they are in the bin, and the audit table knows
-- more acts. Neither changes how rows are stored, so the texts of the tables are changed
-- in place, as in 00013_history_ids.sql.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, ' REFERENCES nodes (id) ON DELETE CASCADE', '')
WHERE type = 'table' AND name = 'history';
UPDATE sqlite_schema SET sql = replace(sql, '''access_deleted''', '''access_deleted'',''nodes_edited'',''nodes_restored'',''nodes_purged'',''act_undone'',''act_cancelled''')
WHERE type = 'table' AND name = 'audit';
PRAGMA writable_schema = RESET;

CREATE TABLE acts (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    kind      TEXT    NOT NULL CHECK (kind IN ('set','add_tags','remove_tags','password','login','logins','encryption','reset',
              'delete','restore','purge')),
    state     TEXT    NOT NULL CHECK (state IN ('draft','queued','running','done','cancelled','undoing','undone')),
    account   TEXT    NOT NULL,
    audit_id  INTEGER, -- of its row in the audit table
    field     TEXT    NOT NULL DEFAULT '', -- of 'set'
    value     TEXT    NOT NULL DEFAULT '', -- the new one; tags as those of nodes
    sealed    BLOB, -- the new password, until it is no longer needed
    total     INTEGER NOT NULL, -- nodes
    processed INTEGER NOT NULL DEFAULT 0,
    changed   INTEGER NOT NULL DEFAULT 0,
    skipped   INTEGER NOT NULL DEFAULT 0, -- could not be changed
    restored  INTEGER NOT NULL DEFAULT 0, -- by the undo
    kept      INTEGER NOT NULL DEFAULT 0, -- by the undo, because of a newer change
    at        INTEGER NOT NULL,
    ended_at  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX acts_live ON acts (id) WHERE state IN ('queued','running','undoing');
CREATE INDEX acts_audit ON acts (audit_id) WHERE audit_id IS NOT NULL;
CREATE INDEX acts_ended ON acts (ended_at);

-- The nodes that an act has not processed yet. A row is one batch.
CREATE TABLE act_targets (
    act_id INTEGER NOT NULL REFERENCES acts (id) ON DELETE CASCADE,
    batch  INTEGER NOT NULL,
    nodes  TEXT    NOT NULL, -- JSON of their ids, ascending
    sealed BLOB, -- JSON of their new logins and passwords, of 'logins'
    PRIMARY KEY (act_id, batch)
) STRICT, WITHOUT ROWID;

-- What an act changed, until it is undone.
CREATE TABLE act_changes (
    act_id    INTEGER NOT NULL REFERENCES acts (id) ON DELETE CASCADE,
    node_id   INTEGER NOT NULL,
    before    TEXT    NOT NULL, -- of the column; of acts that reset the status, the login
    after     TEXT    NOT NULL,
    password  BLOB, -- of acts that reset the status: the sealed one before
    mac       BLOB, -- its digest
    after_mac BLOB,
    results   BLOB, -- JSONB of the results of probes before, and their server
    PRIMARY KEY (act_id, node_id)
) STRICT, WITHOUT ROWID;

-- Deleted nodes, with the columns of nodes.
CREATE TABLE bin (
    id              INTEGER PRIMARY KEY,
    address         TEXT    NOT NULL,
    address_key     TEXT    NOT NULL,
    port            INTEGER NOT NULL,
    login           TEXT    NOT NULL,
    password        BLOB    NOT NULL, -- sealed
    password_mac    BLOB    NOT NULL,
    provider        TEXT    NOT NULL,
    country         TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    city            TEXT    NOT NULL,
    zip             TEXT    NOT NULL,
    comment         TEXT    NOT NULL,
    tags            TEXT    NOT NULL,
    encryption      TEXT    NOT NULL,
    allow_pap       INTEGER NOT NULL,
    import_id       INTEGER,
    revision        INTEGER NOT NULL,
    status          TEXT    NOT NULL,
    silences        INTEGER NOT NULL,
    tunnel_failures INTEGER NOT NULL,
    refusals        INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    reached         INTEGER NOT NULL,
    cause           TEXT    NOT NULL,
    latency         INTEGER,
    control         INTEGER,
    attempts        INTEGER NOT NULL,
    lost            INTEGER NOT NULL,
    down            INTEGER,
    up              INTEGER,
    checked_at      INTEGER,
    vendor          TEXT    NOT NULL,
    peer_host       TEXT    NOT NULL,
    firmware        INTEGER NOT NULL,
    plain           INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL,
    basis_kind      TEXT    NOT NULL,
    basis_reached   INTEGER NOT NULL,
    basis_cause     TEXT    NOT NULL,
    basis_at        INTEGER,
    asn             TEXT    NOT NULL,

    bin_act     INTEGER REFERENCES acts (id) ON DELETE SET NULL, -- the act that deleted it and can still be undone
    bin_account TEXT    NOT NULL,
    bin_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX bin_age ON bin (bin_at);
CREATE INDEX bin_acts ON bin (bin_act) WHERE bin_act IS NOT NULL;

-- The rows of other tables that go with a node in the bin.
CREATE TABLE bin_rows (
    id      INTEGER PRIMARY KEY,
    node_id INTEGER NOT NULL REFERENCES bin (id) ON DELETE CASCADE,
    tab     TEXT    NOT NULL,
    row     TEXT    NOT NULL -- JSON by column; blobs are in hex
) STRICT;
CREATE INDEX bin_rows_node ON bin_rows (node_id);

-- Deletions that are not finished become an act.
INSERT INTO acts (kind, state, account, total, at)
SELECT 'delete', 'queued', '', count(*), CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM pending_deletions HAVING count(*) > 0;
INSERT INTO act_targets (act_id, batch, nodes)
SELECT (SELECT max(id) FROM acts), batch, json_group_array(node_id)
FROM (SELECT node_id, (row_number() OVER (ORDER BY node_id) - 1) / 500 AS batch FROM pending_deletions)
GROUP BY batch;
DROP TABLE pending_deletions;

-- +goose Down
CREATE TABLE pending_deletions (
    node_id INTEGER PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE
) STRICT;
DELETE FROM history WHERE node_id NOT IN (SELECT id FROM nodes);
INSERT OR IGNORE INTO history_gone SELECT id FROM bin;
DROP TABLE bin_rows;
DROP TABLE bin;
DROP TABLE act_changes;
DROP TABLE act_targets;
DROP TABLE acts;
DROP TRIGGER audit_appends;
DROP TRIGGER audit_keeps;
DELETE FROM audit WHERE act IN ('nodes_edited','nodes_restored','nodes_purged','act_undone','act_cancelled');
-- +goose StatementBegin
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN
    SELECT raise(ABORT, 'the audit table only grows');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_appends BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = new.id) BEGIN
    SELECT raise(ABORT, 'the audit table only grows');
END;
-- +goose StatementEnd
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'node_id  INTEGER NOT NULL,', 'node_id  INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,')
WHERE type = 'table' AND name = 'history';
UPDATE sqlite_schema SET sql = replace(sql, ',''nodes_edited'',''nodes_restored'',''nodes_purged'',''act_undone'',''act_cancelled''', '')
WHERE type = 'table' AND name = 'audit';
PRAGMA writable_schema = RESET;
ALTER TABLE nodes ADD COLUMN search TEXT NOT NULL DEFAULT '';
