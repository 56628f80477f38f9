-- +goose Up

-- Whether the user has to choose another password before anything else: this one was
-- made up for them, and stands in a log or on a screen.
ALTER TABLE users ADD COLUMN must_change INTEGER NOT NULL DEFAULT 0 CHECK (must_change IN (0, 1));

-- +goose Down
ALTER TABLE users DROP COLUMN must_change;
