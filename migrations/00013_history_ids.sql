-- +goose Up

-- Ids of the history are not used again, so that a position in it stays true after
-- deletions. AUTOINCREMENT does not change how rows are stored, so the text of the
-- table is changed in place (https://sqlite.org/lang_altertable.html, section 7):
-- a copy of a history of ten million rows would take minutes.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'INTEGER PRIMARY KEY,', 'INTEGER PRIMARY KEY AUTOINCREMENT,')
WHERE type = 'table' AND name = 'history';
PRAGMA writable_schema = RESET;
INSERT INTO sqlite_sequence (name, seq)
SELECT 'history', max(upto, (SELECT coalesce(max(id), 0) FROM history)) FROM history_rolled;

-- +goose Down
DELETE FROM sqlite_sequence WHERE name = 'history';
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'INTEGER PRIMARY KEY AUTOINCREMENT,', 'INTEGER PRIMARY KEY,')
WHERE type = 'table' AND name = 'history';
PRAGMA writable_schema = RESET;
