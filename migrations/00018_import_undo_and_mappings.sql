-- +goose Up
-- The nodes that an import has added: ids only grow, so those of a batch are a range.
CREATE TABLE import_added (
    import_id INTEGER NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    first     INTEGER NOT NULL,
    last      INTEGER NOT NULL CHECK (last >= first),
    PRIMARY KEY (import_id, first)
) STRICT, WITHOUT ROWID;

-- What an import has changed in a node, to undo it. Removed by the undo, row by row.
CREATE TABLE import_changes (
    import_id    INTEGER NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    node_id      INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    at           INTEGER NOT NULL, -- the changed_at that the import gave the node
    import_then  INTEGER,          -- the import_id of the node before
    fields       TEXT    NOT NULL, -- JSON: the values before and after, by field, without the password
    password     BLOB,             -- sealed, before; NULL: not changed
    password_mac BLOB,             -- after
    PRIMARY KEY (import_id, node_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX import_changes_node ON import_changes (node_id);

ALTER TABLE imports ADD COLUMN undo TEXT NOT NULL DEFAULT '' CHECK (undo IN ('', 'running', 'done'));
ALTER TABLE imports ADD COLUMN undo_by TEXT NOT NULL DEFAULT '';
ALTER TABLE imports ADD COLUMN undo_at INTEGER;
ALTER TABLE imports ADD COLUMN undo_total INTEGER NOT NULL DEFAULT 0;    -- nodes that it was about at its start
ALTER TABLE imports ADD COLUMN undo_added INTEGER NOT NULL DEFAULT 0;    -- of these, nodes that the import had added
ALTER TABLE imports ADD COLUMN undo_removed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE imports ADD COLUMN undo_restored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE imports ADD COLUMN undo_kept INTEGER NOT NULL DEFAULT 0;     -- something newer stands against it

-- The columns that the user chose for files with the same header line.
CREATE TABLE import_mappings (
    header  BLOB    PRIMARY KEY, -- keyed digest of its names
    mapping TEXT    NOT NULL,    -- JSON
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE imports ADD COLUMN remembered INTEGER NOT NULL DEFAULT 0 CHECK (remembered IN (0, 1)); -- the mapping is from import_mappings

-- +goose Down
ALTER TABLE imports DROP COLUMN remembered;
DROP TABLE import_mappings;
ALTER TABLE imports DROP COLUMN undo_kept;
ALTER TABLE imports DROP COLUMN undo_restored;
ALTER TABLE imports DROP COLUMN undo_removed;
ALTER TABLE imports DROP COLUMN undo_added;
ALTER TABLE imports DROP COLUMN undo_total;
ALTER TABLE imports DROP COLUMN undo_at;
ALTER TABLE imports DROP COLUMN undo_by;
ALTER TABLE imports DROP COLUMN undo;
DROP TABLE import_changes;
DROP TABLE import_added;
