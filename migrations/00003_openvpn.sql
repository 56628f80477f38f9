-- +goose Up
-- The CA of OpenVPN exits. There is one, made when the first exit is.
CREATE TABLE vpn_ca (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    cert       TEXT    NOT NULL, -- PEM
    key        BLOB    NOT NULL, -- sealed
    created_at INTEGER NOT NULL
) STRICT;

-- The OpenVPN exit of a gateway. What is seen of it is not kept: it ends with the panel.
CREATE TABLE vpns (
    node_id   INTEGER PRIMARY KEY REFERENCES gateways (node_id) ON DELETE CASCADE,
    wanted    INTEGER NOT NULL DEFAULT 0 CHECK (wanted IN (0, 1)), -- it runs when the gateway is wanted too
    protocol  TEXT    NOT NULL DEFAULT 'udp' CHECK (protocol IN ('udp','tcp')),
    together  INTEGER NOT NULL DEFAULT 0 CHECK (together IN (0, 1)), -- clients may reach each other
    port      INTEGER NOT NULL UNIQUE CHECK (port BETWEEN 1024 AND 65535), -- the node keeps it for good: profiles name it
    device    INTEGER NOT NULL UNIQUE CHECK (device BETWEEN 0 AND 9999),
    name      TEXT    NOT NULL, -- in the certificate
    cert      TEXT    NOT NULL, -- PEM
    key       BLOB    NOT NULL, -- sealed
    tls_crypt BLOB    NOT NULL  -- sealed
) STRICT;

-- The certificates of access users, one for each computer or telephone of theirs.
CREATE TABLE profiles (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id    INTEGER NOT NULL REFERENCES access_users (id) ON DELETE CASCADE,
    label      TEXT    NOT NULL,
    name       TEXT    NOT NULL UNIQUE, -- in the certificate
    serial     TEXT    NOT NULL UNIQUE,
    password   INTEGER NOT NULL DEFAULT 0 CHECK (password IN (0, 1)), -- the certificate alone does not let in
    cert       TEXT    NOT NULL, -- PEM
    key        BLOB, -- sealed; gone once the profile is revoked
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL DEFAULT 0,
    revoked_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX profiles_user ON profiles (user_id);

-- Links that download the file of a profile for one node, once.
CREATE TABLE profile_links (
    id         INTEGER PRIMARY KEY,
    profile_id INTEGER NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    node_id    INTEGER NOT NULL REFERENCES vpns (node_id) ON DELETE CASCADE,
    token      BLOB    NOT NULL UNIQUE, -- its SHA-256
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX profile_links_profile ON profile_links (profile_id);
CREATE INDEX profile_links_node ON profile_links (node_id);

-- +goose Down
DROP TABLE profile_links;
DROP TABLE profiles;
DROP TABLE vpns;
DROP TABLE vpn_ca;
