-- +goose Up

-- The basis of a status: the probe that made it or confirmed it last. What a
-- later probe found stands beside it, in kind, reached, cause and checked_at.
ALTER TABLE nodes ADD COLUMN basis_kind TEXT NOT NULL DEFAULT '' CHECK (basis_kind IN ('','ping','login','speed'));
ALTER TABLE nodes ADD COLUMN basis_reached INTEGER NOT NULL DEFAULT 0 CHECK (basis_reached BETWEEN 0 AND 10);
ALTER TABLE nodes ADD COLUMN basis_cause TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN basis_at INTEGER;

-- The newest probe in the history that found what the status says. A probe that
-- changed a status is never pruned. Where there is none, the last probe is all that is known.
UPDATE nodes SET (basis_kind, basis_reached, basis_cause, basis_at) = (kind, reached, cause, checked_at) WHERE checked_at IS NOT NULL;
UPDATE nodes SET (basis_kind, basis_reached, basis_cause, basis_at) = (h.kind, h.reached, h.cause, h.at)
FROM history h
WHERE nodes.checked_at IS NOT NULL AND h.id = (
    SELECT max(p.id) FROM history p
    WHERE p.node_id = nodes.id AND p.what = 'probe' AND p.stale = 0 AND p.after = nodes.status
        AND nodes.status = CASE p.fact WHEN 'no_answer' THEN 'ping_failed' WHEN 'answered' THEN 'ping_ok' WHEN 'no_tunnel' THEN 'tunnel_failed'
            WHEN 'login_refused' THEN 'login_failed' WHEN 'logged_in' THEN 'login_ok' WHEN 'slow' THEN 'speed_slow' WHEN 'fast' THEN 'speed_ok' END);

DROP INDEX nodes_list;
-- As before, with the step and the cause of the basis: they are what the list filters by.
CREATE INDEX nodes_list ON nodes (address_key, port, login, country, provider, state, city, tags, created_at,
    status, basis_reached, basis_cause, latency, attempts, lost, down, checked_at, silences, tunnel_failures, refusals);

-- +goose Down
DROP INDEX nodes_list;
CREATE INDEX nodes_list ON nodes (address_key, port, login, country, provider, state, city, tags, created_at,
    status, reached, cause, latency, attempts, lost, down, checked_at, silences, tunnel_failures, refusals);
ALTER TABLE nodes DROP COLUMN basis_kind;
ALTER TABLE nodes DROP COLUMN basis_reached;
ALTER TABLE nodes DROP COLUMN basis_cause;
ALTER TABLE nodes DROP COLUMN basis_at;
