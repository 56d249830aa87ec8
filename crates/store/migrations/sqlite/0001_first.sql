-- Times are microseconds since the Unix epoch. Numbers of states, reasons, advice and verbs are
-- those of the domain and never change. Signed and sealed bytes are kept as they came.

-- "OCPM": tells a foreign database from ours.
PRAGMA application_id = 1329811533;

CREATE TABLE deployment (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    id         BLOB    NOT NULL,
    statement  BLOB    NOT NULL,
    generation INTEGER NOT NULL
) STRICT;

-- Secret keys, encrypted under the master key, which is in no database.
CREATE TABLE deployment_key (
    position  INTEGER PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE,
    encrypted BLOB NOT NULL
) STRICT;

CREATE TABLE account (
    app_id  INTEGER PRIMARY KEY,
    name    TEXT    NOT NULL,
    blocked INTEGER NOT NULL
) STRICT;

CREATE TABLE api_key (
    secret_id        TEXT    PRIMARY KEY,
    encrypted_secret BLOB    NOT NULL,
    app_id           INTEGER NOT NULL REFERENCES account (app_id),
    uin              TEXT    NOT NULL,
    admin            INTEGER NOT NULL,
    actions          TEXT,             -- JSON array of names; null for all
    token_hash       BLOB,
    expires          INTEGER,
    disabled         INTEGER NOT NULL,
    created          INTEGER NOT NULL,
    mac              BLOB    NOT NULL
) STRICT;
CREATE INDEX api_key_account ON api_key (app_id);

CREATE TABLE gateway (
    id    BLOB    PRIMARY KEY,
    until INTEGER NOT NULL              -- end of the lease, by the store's clock
) STRICT;

CREATE TABLE device (
    instance            TEXT    PRIMARY KEY,
    -- what the signature covers
    account             INTEGER NOT NULL REFERENCES account (app_id),
    identity_generation INTEGER,
    identity_key        BLOB,
    retired             INTEGER NOT NULL,
    quarantined         INTEGER NOT NULL,
    signature           BLOB    NOT NULL,
    -- attributes
    alias               TEXT    NOT NULL,
    alias_lower         TEXT    NOT NULL, -- for a search in any case
    lan_ip              TEXT    NOT NULL,
    wan_ip              TEXT    NOT NULL,
    mgt_ip              TEXT    NOT NULL,
    device_status       INTEGER NOT NULL,
    operate_status      INTEGER NOT NULL CHECK (operate_status <> 11), -- an open job shows 11
    os_type_id          INTEGER NOT NULL,
    raid_id             INTEGER NOT NULL,
    zone_id             INTEGER NOT NULL,
    zone                TEXT    NOT NULL,
    project_id          INTEGER NOT NULL,
    vpc_id              INTEGER NOT NULL,
    subnet_id           INTEGER NOT NULL,
    un_vpc_id           TEXT    NOT NULL,
    un_subnet_id        TEXT    NOT NULL,
    deliver_time        INTEGER,
    deadline            INTEGER,
    is_vpc_gateway      INTEGER NOT NULL,
    auto_renew          INTEGER NOT NULL,
    device_class        TEXT    NOT NULL,
    device_class_code   TEXT    NOT NULL,
    tags                TEXT    NOT NULL, -- JSON array of [name, value]
    -- what the agent told
    sealing_generation  INTEGER,
    sealing_certificate BLOB,
    highest_sequence    INTEGER NOT NULL,
    facts               BLOB,
    agent_version       TEXT    NOT NULL,
    boot                TEXT,
    last_seen           INTEGER,
    -- the connection; the epoch outlives it, so that the next one is higher
    gateway             BLOB    REFERENCES gateway (id),
    epoch               INTEGER NOT NULL
) STRICT;
CREATE INDEX device_account ON device (account, instance);
CREATE INDEX device_lan_ip ON device (lan_ip);
CREATE INDEX device_wan_ip ON device (wan_ip);
CREATE INDEX device_mgt_ip ON device (mgt_ip);
CREATE INDEX device_gateway ON device (gateway) WHERE gateway IS NOT NULL;
-- One key is one device.
CREATE UNIQUE INDEX device_identity ON device (identity_key) WHERE identity_key IS NOT NULL;

CREATE TABLE device_key (
    instance   TEXT    NOT NULL REFERENCES device (instance),
    generation INTEGER NOT NULL,
    key        BLOB    NOT NULL,
    since      INTEGER NOT NULL,
    until      INTEGER,
    signature  BLOB    NOT NULL,
    PRIMARY KEY (instance, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE enrolment_token (
    hash      BLOB    PRIMARY KEY,
    app_id    INTEGER NOT NULL REFERENCES account (app_id),
    device    TEXT    REFERENCES device (instance),
    uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
    expires   INTEGER NOT NULL,
    mac       BLOB    NOT NULL
) STRICT;

CREATE TABLE task (
    id       INTEGER PRIMARY KEY,
    account  INTEGER NOT NULL REFERENCES account (app_id),
    action   TEXT    NOT NULL,
    uin      TEXT    NOT NULL,
    created  INTEGER NOT NULL,
    deadline INTEGER NOT NULL
) STRICT;

CREATE TABLE job (
    number              INTEGER PRIMARY KEY AUTOINCREMENT,
    id                  BLOB    NOT NULL UNIQUE,
    task                INTEGER NOT NULL REFERENCES task (id),
    position            INTEGER NOT NULL, -- place in the request
    devices             INTEGER NOT NULL, -- how many the task has
    instance            TEXT    NOT NULL REFERENCES device (instance),
    account             INTEGER NOT NULL,
    created             INTEGER NOT NULL, -- the task's, for the log's index
    sequence            INTEGER NOT NULL,
    identity_generation INTEGER NOT NULL,
    sealing_generation  INTEGER NOT NULL,
    verb                INTEGER NOT NULL,
    issued_at           INTEGER NOT NULL,
    not_after           INTEGER NOT NULL,
    deadline            INTEGER NOT NULL,
    authority           BLOB    NOT NULL,
    mac                 BLOB    NOT NULL,
    -- the state: 1 succeeded, 2 failed, 4 open
    status              INTEGER NOT NULL CHECK (status IN (1, 2, 4)),
    attempts            INTEGER NOT NULL,
    reason              INTEGER CHECK ((reason IS NOT NULL) = (status = 2)),
    ended               INTEGER CHECK ((ended IS NULL) = (status = 4)),
    applied             INTEGER CHECK ((applied IS NOT NULL) = (status = 1)),
    advice              TEXT,             -- JSON array of numbers
    corrected           INTEGER NOT NULL,
    last_attempt        INTEGER,
    report              BLOB,
    version             INTEGER NOT NULL,
    UNIQUE (task, position)
) STRICT;
-- A device has one open job at most: this index decides, not a read before it.
CREATE UNIQUE INDEX job_open ON job (instance) WHERE status = 4;
CREATE INDEX job_overdue ON job (deadline) WHERE status = 4;
CREATE INDEX job_attempt ON job (coalesce(last_attempt, 0)) WHERE status = 4;
CREATE INDEX job_log ON job (instance, created);
CREATE INDEX job_order ON job (instance, sequence);

-- Sealed passwords of open jobs. A table of its own, so that it stays small and a scrub can write
-- it anew: what moves between pages while it is kept leaves copies behind.
CREATE TABLE sealed (
    job        INTEGER PRIMARY KEY REFERENCES job (number),
    enc        BLOB NOT NULL,
    ciphertext BLOB NOT NULL
) STRICT;

-- Signed requests that changed something (contract 2.6).
CREATE TABLE nonce (
    id        INTEGER PRIMARY KEY,
    secret_id TEXT    NOT NULL,
    timestamp INTEGER NOT NULL,
    nonce     INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    UNIQUE (secret_id, timestamp, nonce)
) STRICT;
CREATE INDEX nonce_expires ON nonce (expires);

CREATE TABLE fingerprint (
    id      INTEGER PRIMARY KEY,
    hash    BLOB    NOT NULL UNIQUE,
    task    INTEGER,                      -- null: an administrative request
    expires INTEGER NOT NULL
) STRICT;
CREATE INDEX fingerprint_expires ON fingerprint (expires);

CREATE TABLE audit (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    at        INTEGER NOT NULL,
    secret_id TEXT,
    uin       TEXT,
    action    TEXT    NOT NULL,
    subject   TEXT    NOT NULL
) STRICT;
