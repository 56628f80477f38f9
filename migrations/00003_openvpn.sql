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

-- +goose Down
DROP TABLE vpns;
DROP TABLE vpn_ca;
