-- +goose Up

-- What was understood or left out of a good line: JSON of texts.
ALTER TABLE import_lines ADD COLUMN notes TEXT NOT NULL DEFAULT '';
-- Whether the password of a conflict differs from the node's, and whether it alone
-- does: then the file is used unless a person says something else.
ALTER TABLE import_lines ADD COLUMN password TEXT NOT NULL DEFAULT '' CHECK (password IN ('','differs','only'));
CREATE INDEX import_lines_noted ON import_lines (import_id, id) WHERE notes <> '';
CREATE INDEX import_lines_choice ON import_lines (import_id, choice, password, both) WHERE class = 'conflict';

ALTER TABLE imports ADD COLUMN decided INTEGER NOT NULL DEFAULT 0 CHECK (decided IN (0, 1)); -- a person has chosen for all conflicts
ALTER TABLE imports ADD COLUMN test_chosen INTEGER NOT NULL DEFAULT 0 CHECK (test_chosen IN (0, 1)); -- and the test, in the preview
ALTER TABLE imports ADD COLUMN noted INTEGER NOT NULL DEFAULT 0; -- good lines with notes

-- +goose Down
DROP INDEX import_lines_choice;
DROP INDEX import_lines_noted;
ALTER TABLE imports DROP COLUMN noted;
ALTER TABLE imports DROP COLUMN test_chosen;
ALTER TABLE imports DROP COLUMN decided;
ALTER TABLE import_lines DROP COLUMN password;
ALTER TABLE import_lines DROP COLUMN notes;
