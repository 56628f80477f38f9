-- +goose Up
-- An undone import leaves no trace, so that the import before it can be undone too.
ALTER TABLE import_changes ADD COLUMN changed_then INTEGER; -- changed_at of the node before

-- +goose Down
ALTER TABLE import_changes DROP COLUMN changed_then;
