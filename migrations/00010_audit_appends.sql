-- +goose Up

-- REPLACE deletes the row that is in its way without asking the trigger for
-- deletions (recursive_triggers is off), so an insert must find its id free.
-- +goose StatementBegin
CREATE TRIGGER audit_appends BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = new.id) BEGIN
    SELECT raise(ABORT, 'the audit table only grows');
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER audit_appends;
