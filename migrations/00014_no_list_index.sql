-- +goose Up

-- Lists are found in memory. Each result paid for the first index.
DROP INDEX nodes_list;
DROP INDEX nodes_asn;

-- +goose Down
CREATE INDEX nodes_asn ON nodes (asn) WHERE asn <> '';
CREATE INDEX nodes_list ON nodes (address_key, port, login, country, provider, state, city, tags, created_at,
    status, basis_reached, basis_cause, latency, attempts, lost, down, checked_at, silences, tunnel_failures, refusals);
