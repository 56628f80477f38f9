-- +goose Up
ALTER TABLE accounts ADD COLUMN export TEXT NOT NULL DEFAULT '{}'; -- JSON: form and columns of the last export

-- +goose Down
ALTER TABLE accounts DROP COLUMN export;
