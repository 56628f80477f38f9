CREATE TABLE "accounts" (
    id            INTEGER PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    password_hash TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL -- of the password
, must_change INTEGER NOT NULL DEFAULT 0 CHECK (must_change IN (0, 1)), export TEXT NOT NULL DEFAULT '{}') STRICT;

CREATE TABLE act_changes (
    act_id    INTEGER NOT NULL REFERENCES acts (id) ON DELETE CASCADE,
    node_id   INTEGER NOT NULL,
    before    TEXT    NOT NULL, -- of the column; of acts that reset the status, the login
    after     TEXT    NOT NULL,
    password  BLOB, -- of acts that reset the status: the sealed one before
    mac       BLOB, -- its digest
    after_mac BLOB,
    results   BLOB, at           INTEGER, changed_then INTEGER, -- JSONB of the results of probes before, and their server
    PRIMARY KEY (act_id, node_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE act_targets (
    act_id INTEGER NOT NULL REFERENCES acts (id) ON DELETE CASCADE,
    batch  INTEGER NOT NULL,
    nodes  TEXT    NOT NULL, -- JSON of their ids, ascending
    sealed BLOB, -- JSON of their new logins and passwords, of 'logins'
    PRIMARY KEY (act_id, batch)
) STRICT, WITHOUT ROWID;

CREATE TABLE acts (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    kind      TEXT    NOT NULL CHECK (kind IN ('set','add_tags','remove_tags','password','login','logins','encryption','reset',
              'delete','restore','purge','start','stop','test','start_vpn','stop_vpn')),
    state     TEXT    NOT NULL CHECK (state IN ('draft','queued','running','done','cancelled','undoing','undone')),
    account   TEXT    NOT NULL,
    audit_id  INTEGER, -- of its row in the audit table
    field     TEXT    NOT NULL DEFAULT '', -- of 'set'
    value     TEXT    NOT NULL DEFAULT '', -- the new one; tags as those of nodes
    sealed    BLOB, -- the new password, until it is no longer needed
    total     INTEGER NOT NULL, -- nodes
    processed INTEGER NOT NULL DEFAULT 0,
    changed   INTEGER NOT NULL DEFAULT 0,
    skipped   INTEGER NOT NULL DEFAULT 0, -- could not be changed
    restored  INTEGER NOT NULL DEFAULT 0, -- by the undo
    kept      INTEGER NOT NULL DEFAULT 0, -- by the undo, because of a newer change
    at        INTEGER NOT NULL,
    ended_at  INTEGER NOT NULL DEFAULT 0
, run_id INTEGER, priority INTEGER) STRICT;

CREATE INDEX acts_audit ON acts (audit_id) WHERE audit_id IS NOT NULL;

CREATE INDEX acts_ended ON acts (ended_at);

CREATE INDEX acts_live ON acts (id) WHERE state IN ('queued','running','undoing');

CREATE TRIGGER audit_appends BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = new.id) BEGIN
    SELECT raise(ABORT, 'the audit table only grows');
END;

CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN
    SELECT raise(ABORT, 'the audit table only grows');
END;

CREATE TRIGGER audit_only_grows BEFORE UPDATE ON audit BEGIN
    SELECT raise(ABORT, 'the audit table only grows');
END;

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    account    TEXT    NOT NULL,
    address TEXT    NOT NULL,
    act     TEXT    NOT NULL CHECK (act IN ('login','login_failed','logout','reauth','password_changed','session_revoked','import','node_added',
                    'node_edited','nodes_deleted','export','reveal','run_started','run_cancelled','run_resumed','settings_changed','key_confirmed',
                    'service_started','service_stopped','service_retried','service_changed',
                    'access_added','access_changed','access_deleted','nodes_edited','nodes_restored','nodes_purged','act_undone','act_cancelled')),
    detail  TEXT    NOT NULL
) STRICT;

CREATE TABLE bin (
    id              INTEGER PRIMARY KEY,
    address         TEXT    NOT NULL,
    address_key     TEXT    NOT NULL,
    port            INTEGER NOT NULL,
    login           TEXT    NOT NULL,
    password        BLOB    NOT NULL, -- sealed
    password_mac    BLOB    NOT NULL,
    provider        TEXT    NOT NULL,
    country         TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    city            TEXT    NOT NULL,
    zip             TEXT    NOT NULL,
    comment         TEXT    NOT NULL,
    tags            TEXT    NOT NULL,
    encryption      TEXT    NOT NULL,
    allow_pap       INTEGER NOT NULL,
    import_id       INTEGER,
    revision        INTEGER NOT NULL,
    status          TEXT    NOT NULL,
    silences        INTEGER NOT NULL,
    tunnel_failures INTEGER NOT NULL,
    refusals        INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    reached         INTEGER NOT NULL,
    cause           TEXT    NOT NULL,
    latency         INTEGER,
    control         INTEGER,
    attempts        INTEGER NOT NULL,
    lost            INTEGER NOT NULL,
    down            INTEGER,
    up              INTEGER,
    checked_at      INTEGER,
    vendor          TEXT    NOT NULL,
    peer_host       TEXT    NOT NULL,
    firmware        INTEGER NOT NULL,
    plain           INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL,
    basis_kind      TEXT    NOT NULL,
    basis_reached   INTEGER NOT NULL,
    basis_cause     TEXT    NOT NULL,
    basis_at        INTEGER,
    asn             TEXT    NOT NULL,

    bin_act     INTEGER REFERENCES acts (id) ON DELETE SET NULL, -- the act that deleted it and can still be undone
    bin_account TEXT    NOT NULL,
    bin_at      INTEGER NOT NULL
) STRICT;

CREATE INDEX bin_acts ON bin (bin_act) WHERE bin_act IS NOT NULL;

CREATE INDEX bin_age ON bin (bin_at);

CREATE TABLE bin_rows (
    id      INTEGER PRIMARY KEY,
    node_id INTEGER NOT NULL REFERENCES bin (id) ON DELETE CASCADE,
    tab     TEXT    NOT NULL,
    row     TEXT    NOT NULL -- JSON by column; blobs are in hex
) STRICT;

CREATE INDEX bin_rows_node ON bin_rows (node_id);

CREATE TABLE channel_kinds (
    channel_id INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    kind       TEXT    NOT NULL CHECK (kind IN ('gateway_failed','gateway_recovered','node_dropped','node_recovered',
               'run_finished','offline','online','new_login')),
    PRIMARY KEY (channel_id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE channels (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    name      TEXT    NOT NULL,
    address   BLOB    NOT NULL, -- sealed: it holds tokens
    lang      TEXT    NOT NULL CHECK (lang IN ('en','ru')),
    enabled   INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    sent_at   INTEGER NOT NULL DEFAULT 0, -- of the last message that went out
    failed_at INTEGER NOT NULL DEFAULT 0,
    problem   TEXT    NOT NULL DEFAULT '' -- of the last failure; never holds the address
) STRICT;

CREATE TABLE "client_nodes" (
    client_id INTEGER NOT NULL REFERENCES "clients" (id) ON DELETE CASCADE,
    node_id INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    PRIMARY KEY (client_id, node_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX client_nodes_node ON client_nodes (node_id);

CREATE TABLE "clients" (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    password     BLOB    NOT NULL, -- sealed
    enabled      INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    scope        TEXT    NOT NULL DEFAULT 'all' CHECK (scope IN ('all','nodes','tags')),
    tags         TEXT    NOT NULL DEFAULT '', -- ',one,two,' as those of nodes
    sources      TEXT    NOT NULL DEFAULT '', -- prefixes, with spaces between
    expires_at   INTEGER NOT NULL DEFAULT 0,
    quota        INTEGER NOT NULL DEFAULT 0 CHECK (quota >= 0), -- bytes; 0: none
    period       TEXT    NOT NULL DEFAULT '' CHECK (period IN ('','day','week','month')),
    note         TEXT    NOT NULL DEFAULT '',
    revision     INTEGER NOT NULL DEFAULT 1,
    bytes_up     INTEGER NOT NULL DEFAULT 0, -- since counted_from
    bytes_down   INTEGER NOT NULL DEFAULT 0,
    counted_from INTEGER NOT NULL,
    seen_at      INTEGER NOT NULL DEFAULT 0,
    seen_from    TEXT    NOT NULL DEFAULT '',
    created_at   INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE flaps (
    node_id   INTEGER PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
    before_at INTEGER NOT NULL, -- the last but one
    last_at   INTEGER NOT NULL,
    until     INTEGER NOT NULL  -- zero: it does not flap
) STRICT;

CREATE INDEX flaps_now ON flaps (until) WHERE until > 0;

CREATE TABLE fleet_days (
    at        INTEGER PRIMARY KEY, -- where the day begins, UTC
    total     INTEGER NOT NULL,
    validated INTEGER NOT NULL
) STRICT;

CREATE TABLE history (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    node_id  INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    what     TEXT    NOT NULL CHECK (what IN ('probe','added','edited','service')),
    by       TEXT    NOT NULL DEFAULT '',
    run_id   INTEGER,
    kind     TEXT    NOT NULL DEFAULT '' CHECK (kind IN ('','ping','login','speed')),
    fact     TEXT    NOT NULL DEFAULT '' CHECK (fact IN ('','no_answer','answered','no_tunnel','login_refused','logged_in','slow','fast')),
    result     TEXT    NOT NULL DEFAULT ''
             CHECK (result IN ('','good','slow','bad','cancelled','deleted','internal_error','held_back','not_here','no_fact','in_use')),
    before   TEXT    NOT NULL DEFAULT '',
    after    TEXT    NOT NULL DEFAULT '',
    suspect    INTEGER NOT NULL DEFAULT 0 CHECK (suspect IN (0, 1)),
    stale    INTEGER NOT NULL DEFAULT 0 CHECK (stale IN (0, 1)),
    reached  INTEGER NOT NULL DEFAULT 0,
    cause    TEXT    NOT NULL DEFAULT '',
    latency  INTEGER,
    control  INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    lost     INTEGER NOT NULL DEFAULT 0,
    down     INTEGER,
    up       INTEGER,
    detail   TEXT    NOT NULL DEFAULT '' -- JSON: the climb, the sentence, the evidence
) STRICT;

CREATE INDEX history_node ON history (node_id, id);

CREATE TABLE history_days (
    at            INTEGER NOT NULL, -- where the day begins, UTC
    node_id       INTEGER NOT NULL,
    kind          TEXT    NOT NULL CHECK (kind IN ('ping','login','speed')),
    good          INTEGER NOT NULL,
    slow          INTEGER NOT NULL,
    bad           INTEGER NOT NULL,
    inconclusive          INTEGER NOT NULL,
    turns         INTEGER NOT NULL, -- probes that changed the status
    attempts      INTEGER NOT NULL,
    lost          INTEGER NOT NULL,
    latency_count INTEGER NOT NULL,
    latency_sum   INTEGER NOT NULL,
    latency_min   INTEGER,
    latency_max   INTEGER,
    down_count    INTEGER NOT NULL,
    down_sum      INTEGER NOT NULL,
    down_min      INTEGER,
    down_max      INTEGER,
    up_count      INTEGER NOT NULL,
    up_sum        INTEGER NOT NULL,
    up_min        INTEGER,
    up_max        INTEGER,
    PRIMARY KEY (at, node_id, kind)
) STRICT, WITHOUT ROWID;

CREATE INDEX history_days_turns ON history_days (at, node_id, turns) WHERE turns > 0;

CREATE TABLE history_gone (node_id INTEGER PRIMARY KEY) STRICT;

CREATE TABLE history_hours (
    at            INTEGER NOT NULL, -- where the hour begins, UTC
    node_id       INTEGER NOT NULL,
    kind          TEXT    NOT NULL CHECK (kind IN ('ping','login','speed')),
    good          INTEGER NOT NULL,
    slow          INTEGER NOT NULL,
    bad           INTEGER NOT NULL,
    inconclusive          INTEGER NOT NULL,
    turns         INTEGER NOT NULL, -- probes that changed the status
    attempts      INTEGER NOT NULL,
    lost          INTEGER NOT NULL,
    latency_count INTEGER NOT NULL,
    latency_sum   INTEGER NOT NULL,
    latency_min   INTEGER,
    latency_max   INTEGER,
    down_count    INTEGER NOT NULL,
    down_sum      INTEGER NOT NULL,
    down_min      INTEGER,
    down_max      INTEGER,
    up_count      INTEGER NOT NULL,
    up_sum        INTEGER NOT NULL,
    up_min        INTEGER,
    up_max        INTEGER,
    PRIMARY KEY (at, node_id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE history_rolled (upto INTEGER NOT NULL) STRICT;

CREATE TABLE import_added (
    import_id INTEGER NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    first     INTEGER NOT NULL,
    last      INTEGER NOT NULL CHECK (last >= first),
    PRIMARY KEY (import_id, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE import_changes (
    import_id    INTEGER NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    node_id      INTEGER NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    at           INTEGER NOT NULL, -- the changed_at that the import gave the node
    import_then  INTEGER,          -- the import_id of the node before
    fields       TEXT    NOT NULL, -- JSON: the values before and after, by field, without the password
    password     BLOB,             -- sealed, before; NULL: not changed
    password_mac BLOB, changed_then INTEGER,             -- after
    PRIMARY KEY (import_id, node_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX import_changes_node ON import_changes (node_id);

CREATE TABLE import_chunks (
    import_id INTEGER NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    n         INTEGER NOT NULL,
    sealed    BLOB    NOT NULL,
    PRIMARY KEY (import_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE import_groups (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    import_id INTEGER NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    fields    TEXT    NOT NULL, -- those that differ, with commas between them; '': read by a version that did not store them
    twin      INTEGER NOT NULL CHECK (twin IN (0, 1)), -- compared with an earlier line of the file, not with a node
    resets    INTEGER NOT NULL CHECK (resets IN (0, 1)),
    both      INTEGER NOT NULL CHECK (both IN (0, 1)),
    password  TEXT    NOT NULL CHECK (password IN ('','differs','only')),
    lines     INTEGER NOT NULL,
    choice    TEXT    NOT NULL DEFAULT '' CHECK (choice IN ('','mine','theirs','both')),
    UNIQUE (import_id, fields, twin, resets, both, password)
) STRICT;

CREATE TABLE import_lines (
    id        INTEGER PRIMARY KEY,
    import_id INTEGER NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    line      INTEGER NOT NULL,
    class     TEXT    NOT NULL CHECK (class IN ('new','same','conflict','bad')),
    choice    TEXT    NOT NULL DEFAULT '' CHECK (choice IN ('','mine','theirs','both')),
    both      INTEGER NOT NULL DEFAULT 0 CHECK (both IN (0, 1)),
    resets    INTEGER NOT NULL DEFAULT 0 CHECK (resets IN (0, 1)),
    server    INTEGER, -- keyed digest of address, port and login, of the first line in the file that names them
    twin      INTEGER, -- the first line in the file with the same server
    node_id   INTEGER, -- of the node that it meets
    problem   TEXT    NOT NULL DEFAULT '', -- JSON of a text; never holds a password
    sealed    BLOB    NOT NULL -- the row as it was typed
, notes TEXT NOT NULL DEFAULT '', password TEXT NOT NULL DEFAULT '' CHECK (password IN ('','differs','only')), group_id INTEGER) STRICT;

CREATE INDEX import_lines_chosen ON import_lines (group_id, choice) WHERE choice <> '';

CREATE INDEX import_lines_group ON import_lines (group_id) WHERE group_id IS NOT NULL;

CREATE INDEX import_lines_noted ON import_lines (import_id, id) WHERE notes <> '';

CREATE INDEX import_lines_page ON import_lines (import_id, class, id);

CREATE TABLE import_mappings (
    header  BLOB    PRIMARY KEY, -- keyed digest of its names
    mapping TEXT    NOT NULL,    -- JSON
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE imports (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    state      TEXT    NOT NULL CHECK (state IN ('reading','mapping','ready','importing','done','cancelled','failed')),
    name       TEXT    NOT NULL DEFAULT '',
    bytes      INTEGER NOT NULL DEFAULT 0,
    uploaded   INTEGER NOT NULL DEFAULT 0 CHECK (uploaded IN (0, 1)), -- all of it is in import_chunks
    confirmed  INTEGER NOT NULL DEFAULT 0 CHECK (confirmed IN (0, 1)), -- goes on by itself once it is read
    lines      INTEGER NOT NULL DEFAULT 0,
    chosen     TEXT    NOT NULL DEFAULT '{}', -- JSON: how a person says that it is to be read
    format     TEXT    NOT NULL DEFAULT '',
    encoding   TEXT    NOT NULL DEFAULT '',
    separator  TEXT    NOT NULL DEFAULT '',
    header     INTEGER NOT NULL DEFAULT 0 CHECK (header IN (0, 1)),
    mapping    TEXT    NOT NULL DEFAULT '[]',
    test       TEXT    NOT NULL DEFAULT 'none' CHECK (test IN ('none','ping','login','speed','ping+speed')),
    choice     TEXT    NOT NULL DEFAULT 'mine' CHECK (choice IN ('mine','theirs','both')),
    new        INTEGER NOT NULL DEFAULT 0,
    same       INTEGER NOT NULL DEFAULT 0,
    conflict   INTEGER NOT NULL DEFAULT 0,
    bad        INTEGER NOT NULL DEFAULT 0,
    resets     INTEGER NOT NULL DEFAULT 0, -- validated nodes that 'theirs' would send back to not tested
    crowded    TEXT    NOT NULL DEFAULT '[]',
    todo       INTEGER NOT NULL DEFAULT 0,
    drained    INTEGER NOT NULL DEFAULT 0, -- id of a line: the new ones up to it are written
    ahead      INTEGER NOT NULL DEFAULT 0, -- of the lines after it, so many are written, in the order of the index
    written    INTEGER NOT NULL DEFAULT 0,
    added      INTEGER NOT NULL DEFAULT 0,
    updated    INTEGER NOT NULL DEFAULT 0,
    kept       INTEGER NOT NULL DEFAULT 0,
    run_id     INTEGER,
    problem    TEXT    NOT NULL DEFAULT '{}',
    by         TEXT    NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    ended_at   INTEGER
, decided INTEGER NOT NULL DEFAULT 0 CHECK (decided IN (0, 1)), test_chosen INTEGER NOT NULL DEFAULT 0 CHECK (test_chosen IN (0, 1)), noted INTEGER NOT NULL DEFAULT 0, undo TEXT NOT NULL DEFAULT '' CHECK (undo IN ('', 'running', 'done')), undo_by TEXT NOT NULL DEFAULT '', undo_at INTEGER, undo_total INTEGER NOT NULL DEFAULT 0, undo_added INTEGER NOT NULL DEFAULT 0, undo_removed INTEGER NOT NULL DEFAULT 0, undo_restored INTEGER NOT NULL DEFAULT 0, undo_kept INTEGER NOT NULL DEFAULT 0, remembered INTEGER NOT NULL DEFAULT 0 CHECK (remembered IN (0, 1)), template_id INTEGER NOT NULL DEFAULT 0, header_digest BLOB) STRICT;

CREATE TABLE jobs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    node_id     INTEGER REFERENCES nodes (id) ON DELETE SET NULL, -- NULL: the node was deleted
    kind        TEXT    NOT NULL CHECK (kind IN ('ping','login','speed')),
    state       TEXT    NOT NULL DEFAULT 'queued' CHECK (state IN ('queued','running','done')),
    priority        INTEGER NOT NULL, -- fair queueing: runs take turns because their jobs' numbers interleave
    run_after   INTEGER NOT NULL DEFAULT 0,
    attempt     INTEGER NOT NULL DEFAULT 0, -- the fence: raised by every claim
    interrupted INTEGER NOT NULL DEFAULT 0, -- how often the process died with it in hand
    result        TEXT    NOT NULL DEFAULT ''
                CHECK (result IN ('','good','slow','bad','cancelled','deleted','internal_error','held_back','not_here','no_fact','in_use')),
    reached     INTEGER NOT NULL DEFAULT 0,
    cause       TEXT    NOT NULL DEFAULT '',
    finished_at INTEGER,
    CHECK ((state = 'done') = (result <> '') AND (state = 'done') = (finished_at IS NOT NULL))
) STRICT;

CREATE INDEX jobs_due ON jobs (kind, priority) WHERE state = 'queued';

CREATE INDEX jobs_node ON jobs (node_id);

CREATE UNIQUE INDEX jobs_one_live ON jobs (node_id, kind) WHERE finished_at IS NULL;

CREATE TABLE "monitored" (
    node_id  INTEGER PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
    due_at   INTEGER, -- NULL: nothing is planned
    login_at INTEGER NOT NULL DEFAULT 0,
    plan     TEXT    NOT NULL DEFAULT '' CHECK (plan IN ('','up','down','refused')),
    tries    INTEGER NOT NULL DEFAULT 0,
    earned   INTEGER NOT NULL DEFAULT 0 CHECK (earned IN (0, 1))
) STRICT;

CREATE INDEX monitored_due ON monitored (due_at) WHERE due_at IS NOT NULL;

CREATE TRIGGER monitored_end AFTER UPDATE OF revision ON nodes BEGIN
    DELETE FROM monitored WHERE node_id = new.id;
    DELETE FROM flaps WHERE node_id = new.id;
END;

CREATE TRIGGER monitored_wake AFTER UPDATE OF tags ON nodes WHEN new.tags <> old.tags BEGIN
    UPDATE monitored SET due_at = coalesce(due_at, 0) WHERE node_id = new.id;
END;

CREATE TABLE nodes (
    id              INTEGER PRIMARY KEY AUTOINCREMENT, -- an id is never given twice: old pages name nodes by it
    address         TEXT    NOT NULL,
    address_key     TEXT    NOT NULL, -- sorts 192.0.2.9 before 192.0.2.10
    port            INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
    login           TEXT    NOT NULL,
    password        BLOB    NOT NULL, -- sealed
    password_mac    BLOB    NOT NULL, -- keyed digest: finds equal passwords without opening them
    provider        TEXT    NOT NULL DEFAULT '',
    country         TEXT    NOT NULL DEFAULT '',
    state           TEXT    NOT NULL DEFAULT '',
    city            TEXT    NOT NULL DEFAULT '',
    zip             TEXT    NOT NULL DEFAULT '',
    comment         TEXT    NOT NULL DEFAULT '',
    tags            TEXT    NOT NULL DEFAULT '', -- ',one,two,' so that a whole tag can be found
    encryption      TEXT    NOT NULL DEFAULT '' CHECK (encryption IN ('','preferred','required','off')),
    allow_pap       INTEGER NOT NULL DEFAULT 0 CHECK (allow_pap IN (0, 1)),
    import_id       INTEGER REFERENCES imports (id) ON DELETE SET NULL, -- the last import that made or changed it
    revision        INTEGER NOT NULL DEFAULT 1,
    status          TEXT    NOT NULL DEFAULT 'not_tested'
                    CHECK (status IN ('not_tested','ping_failed','ping_ok','tunnel_failed','login_failed','login_ok','speed_slow','speed_ok')),
    silences        INTEGER NOT NULL DEFAULT 0, -- failures in a row of a validated node, each kind apart
    tunnel_failures INTEGER NOT NULL DEFAULT 0,
    refusals        INTEGER NOT NULL DEFAULT 0,
    kind            TEXT    NOT NULL DEFAULT '' CHECK (kind IN ('','ping','login','speed')), -- of the last probe
    reached         INTEGER NOT NULL DEFAULT 0 CHECK (reached BETWEEN 0 AND 10), -- height on the ladder
    cause           TEXT    NOT NULL DEFAULT '',
    latency         INTEGER,
    control         INTEGER,
    attempts        INTEGER NOT NULL DEFAULT 0,
    lost            INTEGER NOT NULL DEFAULT 0,
    down            INTEGER,
    up              INTEGER,
    checked_at      INTEGER,
    vendor          TEXT    NOT NULL DEFAULT '',
    peer_host       TEXT    NOT NULL DEFAULT '',
    firmware        INTEGER NOT NULL DEFAULT 0,
    plain           INTEGER NOT NULL DEFAULT 0 CHECK (plain IN (0, 1)), -- its last session ran without encryption
    created_at      INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL, basis_kind TEXT NOT NULL DEFAULT '' CHECK (basis_kind IN ('','ping','login','speed')), basis_reached INTEGER NOT NULL DEFAULT 0 CHECK (basis_reached BETWEEN 0 AND 10), basis_cause TEXT NOT NULL DEFAULT '', basis_at INTEGER, asn TEXT NOT NULL DEFAULT '',
    UNIQUE (address, port, login)
) STRICT;

CREATE INDEX nodes_import ON nodes (import_id) WHERE import_id IS NOT NULL;

CREATE INDEX nodes_suspect ON nodes (checked_at) WHERE silences + tunnel_failures + refusals > 0;

CREATE TABLE profile_links (
    id         INTEGER PRIMARY KEY,
    profile_id INTEGER NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    node_id    INTEGER NOT NULL REFERENCES vpns (node_id) ON DELETE CASCADE,
    token      BLOB    NOT NULL UNIQUE, -- its SHA-256
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX profile_links_node ON profile_links (node_id);

CREATE INDEX profile_links_profile ON profile_links (profile_id);

CREATE TABLE profiles (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    client_id    INTEGER NOT NULL REFERENCES "clients" (id) ON DELETE CASCADE,
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

CREATE INDEX profiles_client ON profiles (client_id);

CREATE TABLE run_jobs (
    run_id    INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    job_id    INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    cancelled INTEGER NOT NULL DEFAULT 0 CHECK (cancelled IN (0, 1)), -- this run no longer waits for it
    chained  INTEGER NOT NULL DEFAULT 0 CHECK (chained IN (0, 1)), -- it passed, and another job of this run tells how the node ended
    PRIMARY KEY (run_id, job_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX run_jobs_job ON run_jobs (job_id);

CREATE TABLE runs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT    NOT NULL CHECK (kind IN ('ping','login','speed','ping+speed')),
    state       TEXT    NOT NULL DEFAULT 'running' CHECK (state IN ('running','paused','done','cancelled')),
    label       TEXT    NOT NULL DEFAULT '{}', -- JSON of a text
    notice      TEXT    NOT NULL DEFAULT '{}',
    by          TEXT    NOT NULL DEFAULT '',
    import_id   INTEGER REFERENCES imports (id) ON DELETE SET NULL,
    total       INTEGER NOT NULL DEFAULT 0,
    good        INTEGER NOT NULL DEFAULT 0,
    slow        INTEGER NOT NULL DEFAULT 0,
    bad         INTEGER NOT NULL DEFAULT 0,
    inconclusive        INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    finished_at INTEGER
, monitor INTEGER NOT NULL DEFAULT 0 CHECK (monitor IN (0, 1))) STRICT;

CREATE INDEX runs_live ON runs (state) WHERE state IN ('running','paused');

CREATE INDEX runs_manual ON runs (id) WHERE monitor = 0;

CREATE INDEX runs_monitor ON runs (finished_at) WHERE monitor = 1;

CREATE TABLE "services" (
    node_id    INTEGER PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
    wanted     INTEGER NOT NULL DEFAULT 0 CHECK (wanted IN (0, 1)),
    port       INTEGER NOT NULL UNIQUE CHECK (port BETWEEN 1 AND 65535), -- of its proxy; the node keeps it for good
    user       TEXT    NOT NULL, -- of the credential that was made for it
    secret     BLOB    NOT NULL, -- sealed
    private    INTEGER NOT NULL DEFAULT 0 CHECK (private IN (0, 1)), -- which destinations are let through
    mail       INTEGER NOT NULL DEFAULT 0 CHECK (mail IN (0, 1)),
    state      TEXT    NOT NULL DEFAULT 'off' CHECK (state IN ('off','starting','online','reconnecting','failed')),
    since      INTEGER NOT NULL DEFAULT 0,
    reason     TEXT    NOT NULL DEFAULT '{}', -- JSON of a text
    cause      TEXT    NOT NULL DEFAULT '',
    failures   INTEGER NOT NULL DEFAULT 0,
    retry_at   INTEGER NOT NULL DEFAULT 0,
    up_at      INTEGER NOT NULL DEFAULT 0,
    seen_at    INTEGER NOT NULL DEFAULT 0, -- when its session was last seen up
    local_ip   TEXT    NOT NULL DEFAULT '',
    exit_ip    TEXT    NOT NULL DEFAULT '',
    latency    INTEGER NOT NULL DEFAULT 0,
    bytes_up   INTEGER NOT NULL DEFAULT 0,
    bytes_down INTEGER NOT NULL DEFAULT 0,
    open       INTEGER NOT NULL DEFAULT 0 -- connections at the last sample
, down INTEGER NOT NULL DEFAULT 0 CHECK (down IN (0, 1))) STRICT;

CREATE INDEX services_wanted ON services (node_id) WHERE wanted = 1;

CREATE TABLE sessions (
    id         INTEGER PRIMARY KEY,
    token_hash BLOB    NOT NULL UNIQUE,
    account_id    INTEGER NOT NULL REFERENCES "accounts" (id) ON DELETE CASCADE, -- only a login makes a row
    data       BLOB    NOT NULL,
    address    TEXT    NOT NULL DEFAULT '',
    agent      TEXT    NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_account ON sessions (account_id);

CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE sparks (
    node_id INTEGER PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
    at      INTEGER NOT NULL, -- of the last point
    points  BLOB    NOT NULL
) STRICT;

CREATE TABLE speed_endpoints (
    id     INTEGER PRIMARY KEY,
    place  INTEGER NOT NULL,
    kind   TEXT    NOT NULL CHECK (kind IN ('own','librespeed','cloudflare','urls')),
    url    TEXT    NOT NULL DEFAULT '',
    up_url TEXT    NOT NULL DEFAULT '',
    token  BLOB    NOT NULL -- sealed
) STRICT;

CREATE TABLE speed_spent (
    hour  INTEGER PRIMARY KEY,
    bytes INTEGER NOT NULL
) STRICT;

CREATE TABLE templates (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    reading    TEXT    NOT NULL DEFAULT '{}', -- JSON: how files are read, the mapping, the values for empty fields
    header     BLOB,                          -- keyed digest of the header of the mapping; NULL: it is for files without one
    choice     TEXT    NOT NULL DEFAULT '' CHECK (choice IN ('','mine','theirs','both')),
    test       TEXT    NOT NULL DEFAULT 'none' CHECK (test IN ('none','ping','login','speed','ping+speed')),
    changed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE traffic (
    node_id INTEGER NOT NULL REFERENCES "services" (node_id) ON DELETE CASCADE,
    span    TEXT    NOT NULL CHECK (span IN ('sample','hour','day')),
    at      INTEGER NOT NULL,
    up      INTEGER NOT NULL,
    down    INTEGER NOT NULL,
    PRIMARY KEY (node_id, span, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX traffic_age ON traffic (span, at);

CREATE TABLE view_starts (
    account_id INTEGER PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    view_id    INTEGER NOT NULL REFERENCES views (id) ON DELETE CASCADE
) STRICT;

CREATE INDEX view_starts_view ON view_starts (view_id);

CREATE TABLE views (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, -- the owner
    name       TEXT    NOT NULL,
    shared     INTEGER NOT NULL DEFAULT 0 CHECK (shared IN (0, 1)), -- every account may use it
    query      TEXT    NOT NULL DEFAULT '', -- in the filter language
    sort       TEXT    NOT NULL DEFAULT '', -- '-latency'
    columns    TEXT    NOT NULL DEFAULT '[]', -- JSON: names and widths in their order; none are the usual columns
    density    TEXT    NOT NULL DEFAULT '' CHECK (density IN ('','comfortable','compact')),
    tile       INTEGER NOT NULL DEFAULT 0 CHECK (tile IN (0, 1)), -- the dashboard shows its count
    changed_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX views_name ON views (account_id, name);

CREATE TABLE vpn_ca (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    cert       TEXT    NOT NULL, -- PEM
    key        BLOB    NOT NULL, -- sealed
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE vpns (
    node_id   INTEGER PRIMARY KEY REFERENCES "services" (node_id) ON DELETE CASCADE,
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

