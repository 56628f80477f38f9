-- +goose Up

ALTER TABLE nodes ADD COLUMN asn TEXT NOT NULL DEFAULT '';
CREATE INDEX nodes_asn ON nodes (asn) WHERE asn <> '';

-- +goose Down
DROP INDEX nodes_asn;
ALTER TABLE nodes DROP COLUMN asn;
