-- +goose Up
-- An undone act leaves no trace in a node, so that an import before it can be undone too. NULL in acts of earlier versions.
ALTER TABLE act_changes ADD COLUMN at           INTEGER; -- the changed_at that the act gave the node
ALTER TABLE act_changes ADD COLUMN changed_then INTEGER; -- changed_at of the node before

-- +goose Down
ALTER TABLE act_changes DROP COLUMN changed_then;
ALTER TABLE act_changes DROP COLUMN at;
