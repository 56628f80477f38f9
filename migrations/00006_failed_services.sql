-- +goose Up

-- Whether a service has failed since its session was last up: who was told so is
-- told when it is back, also by a later process.
ALTER TABLE gateways ADD COLUMN down INTEGER NOT NULL DEFAULT 0 CHECK (down IN (0, 1));
UPDATE gateways SET down = 1 WHERE state = 'failed';

-- +goose Down
ALTER TABLE gateways DROP COLUMN down;
