-- +goose Up

-- The conflicts of a preview by what differs, with their number and the choice for all of a
-- group that have none of their own.
CREATE TABLE import_groups (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    import_id INTEGER NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    fields    TEXT    NOT NULL, -- those that differ, with commas between them; '': read by a version that did not store them
    twin      INTEGER NOT NULL CHECK (twin IN (0, 1)), -- compared with an earlier line of the file, not with a node
    resets    INTEGER NOT NULL CHECK (resets IN (0, 1)),
    both      INTEGER NOT NULL CHECK (both IN (0, 1)),
    password  TEXT    NOT NULL CHECK (password IN ('','differs','only')),
    lines     INTEGER NOT NULL,
    choice    TEXT    NOT NULL DEFAULT '' CHECK (choice IN ('','mine','theirs','both')),
    UNIQUE (import_id, fields, twin, resets, both, password)
) STRICT;

ALTER TABLE import_lines ADD COLUMN group_id INTEGER; -- of a conflict

INSERT INTO import_groups (import_id, fields, twin, resets, both, password, lines)
    SELECT import_id, iif(password = 'only', 'password', ''), twin IS NOT NULL, resets, both, password, count(*)
    FROM import_lines WHERE class = 'conflict' GROUP BY 1, 2, 3, 4, 5, 6;
UPDATE import_lines SET group_id = (SELECT g.id FROM import_groups g WHERE (g.import_id, g.fields, g.twin, g.resets, g.both, g.password)
    = (import_lines.import_id, iif(import_lines.password = 'only', 'password', ''), import_lines.twin IS NOT NULL, import_lines.resets, import_lines.both, import_lines.password))
    WHERE class = 'conflict';

DROP INDEX import_lines_choice;
CREATE INDEX import_lines_group ON import_lines (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX import_lines_chosen ON import_lines (group_id, choice) WHERE choice <> '';

-- How the lists of one provider are imported. No logins, no passwords.
CREATE TABLE templates (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    reading    TEXT    NOT NULL DEFAULT '{}', -- JSON: how files are read, the mapping, the values for empty fields
    header     BLOB,                          -- keyed digest of the header of the mapping; NULL: it is for files without one
    choice     TEXT    NOT NULL DEFAULT '' CHECK (choice IN ('','mine','theirs','both')),
    test       TEXT    NOT NULL DEFAULT 'none' CHECK (test IN ('none','ping','login','speed','ping+speed')),
    changed_at INTEGER NOT NULL
) STRICT;

ALTER TABLE imports ADD COLUMN template_id INTEGER NOT NULL DEFAULT 0; -- that it was started with; it may be deleted
ALTER TABLE imports ADD COLUMN header_digest BLOB; -- keyed digest of the names of its columns

-- +goose Down
ALTER TABLE imports DROP COLUMN header_digest;
ALTER TABLE imports DROP COLUMN template_id;
DROP TABLE templates;
DROP INDEX import_lines_chosen;
DROP INDEX import_lines_group;
CREATE INDEX import_lines_choice ON import_lines (import_id, choice, password, both) WHERE class = 'conflict';
ALTER TABLE import_lines DROP COLUMN group_id;
DROP TABLE import_groups;
