-- +goose Up
-- Reading an import keeps the servers that it has seen in memory. Their numbers are in
-- no order, so each batch of lines changed nearly every page of this index.
DROP INDEX import_lines_server;

-- +goose Down
CREATE INDEX import_lines_server ON import_lines (server, import_id) WHERE server IS NOT NULL;
