-- +goose Up

-- The words of docs/GLOSSARY.md. SQLite rewrites the schema alone: no row is touched.
ALTER TABLE gateways RENAME TO services;
DROP INDEX gateways_wanted;
CREATE INDEX services_wanted ON services (node_id) WHERE wanted = 1;

ALTER TABLE access_users RENAME TO clients;
ALTER TABLE access_nodes RENAME TO client_nodes;
ALTER TABLE client_nodes RENAME COLUMN user_id TO client_id;
ALTER TABLE profiles RENAME COLUMN user_id TO client_id;
DROP INDEX access_nodes_node;
CREATE INDEX client_nodes_node ON client_nodes (node_id);
DROP INDEX profiles_user;
CREATE INDEX profiles_client ON profiles (client_id);

ALTER TABLE users RENAME TO accounts;
ALTER TABLE sessions RENAME COLUMN user_id TO account_id;
ALTER TABLE audit RENAME COLUMN user TO account;
DROP INDEX sessions_user;
CREATE INDEX sessions_account ON sessions (account_id);

ALTER TABLE watches RENAME TO monitored;
DROP INDEX watches_due;
CREATE INDEX monitored_due ON monitored (due_at) WHERE due_at IS NOT NULL;
DROP TRIGGER watches_end;
DROP TRIGGER watches_wake;
-- +goose StatementBegin
CREATE TRIGGER monitored_end AFTER UPDATE OF revision ON nodes BEGIN
    DELETE FROM monitored WHERE node_id = new.id;
    DELETE FROM flaps WHERE node_id = new.id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER monitored_wake AFTER UPDATE OF tags ON nodes WHEN new.tags <> old.tags BEGIN
    UPDATE monitored SET due_at = coalesce(due_at, 0) WHERE node_id = new.id;
END;
-- +goose StatementEnd

ALTER TABLE doomed RENAME TO pending_deletions;

ALTER TABLE jobs RENAME COLUMN turn TO priority;
ALTER TABLE jobs RENAME COLUMN mark TO result;
ALTER TABLE run_jobs RENAME COLUMN followed TO chained;
ALTER TABLE runs RENAME COLUMN void TO inconclusive;
DROP INDEX runs_people;
CREATE INDEX runs_manual ON runs (id) WHERE monitor = 0;
ALTER TABLE history RENAME COLUMN mark TO result;
ALTER TABLE history RENAME COLUMN doubt TO suspect;
ALTER TABLE history_hours RENAME COLUMN void TO inconclusive;
ALTER TABLE history_days RENAME COLUMN void TO inconclusive;

-- +goose Down
ALTER TABLE history_days RENAME COLUMN inconclusive TO void;
ALTER TABLE history_hours RENAME COLUMN inconclusive TO void;
ALTER TABLE history RENAME COLUMN suspect TO doubt;
ALTER TABLE history RENAME COLUMN result TO mark;
DROP INDEX runs_manual;
CREATE INDEX runs_people ON runs (id) WHERE monitor = 0;
ALTER TABLE runs RENAME COLUMN inconclusive TO void;
ALTER TABLE run_jobs RENAME COLUMN chained TO followed;
ALTER TABLE jobs RENAME COLUMN result TO mark;
ALTER TABLE jobs RENAME COLUMN priority TO turn;

ALTER TABLE pending_deletions RENAME TO doomed;

DROP TRIGGER monitored_end;
DROP TRIGGER monitored_wake;
ALTER TABLE monitored RENAME TO watches;
DROP INDEX monitored_due;
CREATE INDEX watches_due ON watches (due_at) WHERE due_at IS NOT NULL;
-- +goose StatementBegin
CREATE TRIGGER watches_end AFTER UPDATE OF revision ON nodes BEGIN
    DELETE FROM watches WHERE node_id = new.id;
    DELETE FROM flaps WHERE node_id = new.id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER watches_wake AFTER UPDATE OF tags ON nodes WHEN new.tags <> old.tags BEGIN
    UPDATE watches SET due_at = coalesce(due_at, 0) WHERE node_id = new.id;
END;
-- +goose StatementEnd

DROP INDEX sessions_account;
ALTER TABLE audit RENAME COLUMN account TO user;
ALTER TABLE sessions RENAME COLUMN account_id TO user_id;
ALTER TABLE accounts RENAME TO users;
CREATE INDEX sessions_user ON sessions (user_id);

DROP INDEX profiles_client;
DROP INDEX client_nodes_node;
ALTER TABLE profiles RENAME COLUMN client_id TO user_id;
ALTER TABLE client_nodes RENAME COLUMN client_id TO user_id;
ALTER TABLE client_nodes RENAME TO access_nodes;
ALTER TABLE clients RENAME TO access_users;
CREATE INDEX access_nodes_node ON access_nodes (node_id);
CREATE INDEX profiles_user ON profiles (user_id);

DROP INDEX services_wanted;
ALTER TABLE services RENAME TO gateways;
CREATE INDEX gateways_wanted ON gateways (node_id) WHERE wanted = 1;
