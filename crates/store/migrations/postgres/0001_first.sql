-- The same in meaning as SQLite's migrations up to 0006. Times are microseconds since the Unix
-- epoch. Numbers of states, reasons, advice and verbs are those of the domain and never change.
-- Signed and sealed bytes are kept as they came. Texts are compared byte by byte.

-- The store's clock: leases, deadlines and whatever ends with time are judged by it.
CREATE FUNCTION store_now() RETURNS BIGINT LANGUAGE sql VOLATILE PARALLEL SAFE
    AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint $$;

-- The lowest version of the service that may run on this schema: an older one that knows less may
-- go on while nodes are upgraded one after the other.
CREATE TABLE schema_compatibility (
    "only" BIGINT PRIMARY KEY CHECK ("only" = 1),
    lowest BIGINT NOT NULL
);
INSERT INTO schema_compatibility VALUES (1, 1);

CREATE TABLE deployment (
    "only"     BIGINT PRIMARY KEY CHECK ("only" = 1),
    id         BYTEA  NOT NULL,
    statement  BYTEA  NOT NULL,
    generation BIGINT NOT NULL
);

-- Secret keys, encrypted under the master key, which is in no database.
CREATE TABLE deployment_key (
    position  BIGINT PRIMARY KEY,
    name      TEXT  NOT NULL UNIQUE,
    encrypted BYTEA NOT NULL
);

CREATE TABLE account (
    app_id  BIGINT  PRIMARY KEY,
    name    TEXT    NOT NULL,
    blocked BOOLEAN NOT NULL
);

CREATE TABLE api_key (
    secret_id        TEXT COLLATE "C" PRIMARY KEY,
    encrypted_secret BYTEA   NOT NULL,
    app_id           BIGINT  NOT NULL REFERENCES account (app_id),
    uin              TEXT    NOT NULL,
    admin            BOOLEAN NOT NULL,
    actions          TEXT,              -- JSON array of names; null for all
    token_hash       BYTEA,
    expires          BIGINT,
    disabled         BOOLEAN NOT NULL,
    created          BIGINT  NOT NULL,
    mac              BYTEA   NOT NULL,
    devices          TEXT,              -- JSON, see `scope.rs`; null for all
    maker            TEXT COLLATE "C"   -- of a temporary key
);
CREATE INDEX api_key_account ON api_key (app_id);
CREATE INDEX api_key_expires ON api_key (expires) WHERE expires IS NOT NULL;
CREATE INDEX api_key_maker ON api_key (maker) WHERE maker IS NOT NULL;

CREATE TABLE gateway (
    id    BYTEA  PRIMARY KEY,
    until BIGINT NOT NULL               -- end of the lease, by the store's clock
);
CREATE INDEX gateway_until ON gateway (until);

CREATE TABLE device (
    instance            TEXT COLLATE "C" PRIMARY KEY,
    -- what the signature covers
    account             BIGINT  NOT NULL REFERENCES account (app_id),
    identity_generation BIGINT,
    identity_key        BYTEA,
    retired             BOOLEAN NOT NULL,
    quarantined         BOOLEAN NOT NULL,
    signature           BYTEA   NOT NULL,
    -- attributes
    alias               TEXT COLLATE "C" NOT NULL,
    alias_lower         TEXT COLLATE "C" NOT NULL, -- for a search in any case
    lan_ip              TEXT COLLATE "C" NOT NULL,
    wan_ip              TEXT COLLATE "C" NOT NULL,
    mgt_ip              TEXT COLLATE "C" NOT NULL,
    device_status       BIGINT  NOT NULL,
    operate_status      BIGINT  NOT NULL CHECK (operate_status <> 11), -- an open job shows 11
    os_type_id          BIGINT  NOT NULL,
    raid_id             BIGINT  NOT NULL,
    zone_id             BIGINT  NOT NULL,
    zone                TEXT    NOT NULL,
    project_id          BIGINT  NOT NULL,
    vpc_id              BIGINT  NOT NULL,
    subnet_id           BIGINT  NOT NULL,
    un_vpc_id           TEXT    NOT NULL,
    un_subnet_id        TEXT    NOT NULL,
    deliver_time        BIGINT,
    deadline            BIGINT,
    is_vpc_gateway      BOOLEAN NOT NULL,
    auto_renew          BOOLEAN NOT NULL,
    device_class        TEXT    NOT NULL,
    device_class_code   TEXT    NOT NULL,
    dhcp_ip             TEXT    NOT NULL DEFAULT '',
    vpc_name            TEXT    NOT NULL DEFAULT '',
    vpc_cidr            TEXT    NOT NULL DEFAULT '',
    subnet_name         TEXT    NOT NULL DEFAULT '',
    subnet_cidr         TEXT    NOT NULL DEFAULT '',
    pay_mode            BIGINT  NOT NULL DEFAULT 0,
    is_lucky            BOOLEAN NOT NULL DEFAULT FALSE,
    device_type         TEXT    NOT NULL DEFAULT '',
    maintain_status     TEXT,
    maintain_message    TEXT,
    -- what the agent told
    sealing_generation  BIGINT,
    sealing_certificate BYTEA,
    highest_sequence    BIGINT  NOT NULL,
    facts               BYTEA,
    agent_version       TEXT    NOT NULL,
    boot                TEXT,
    last_seen           BIGINT,
    -- the connection; the epoch outlives it, so that the next one is higher
    gateway             BYTEA   REFERENCES gateway (id),
    epoch               BIGINT  NOT NULL,
    -- so that a tag can refer to its device and to whose it is
    UNIQUE (account, instance)
) WITH (fillfactor = 80);
CREATE INDEX device_alias ON device (account, alias_lower);
CREATE INDEX device_lan_ip ON device (lan_ip);
CREATE INDEX device_wan_ip ON device (wan_ip);
CREATE INDEX device_mgt_ip ON device (mgt_ip);
CREATE INDEX device_gateway ON device (gateway) WHERE gateway IS NOT NULL;
-- One key is one device.
CREATE UNIQUE INDEX device_identity ON device (identity_key) WHERE identity_key IS NOT NULL;

-- A key may have several values. The account is the device's, and follows it.
CREATE TABLE device_tag (
    account  BIGINT           NOT NULL,
    instance TEXT COLLATE "C" NOT NULL,
    key      TEXT COLLATE "C" NOT NULL,
    value    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account, instance, key, value),
    FOREIGN KEY (account, instance) REFERENCES device (account, instance) ON UPDATE CASCADE
);
CREATE INDEX device_tag_search ON device_tag (account, key, value);

CREATE TABLE device_key (
    instance   TEXT COLLATE "C" NOT NULL REFERENCES device (instance),
    generation BIGINT NOT NULL,
    key        BYTEA  NOT NULL,
    since      BIGINT NOT NULL,
    until      BIGINT,
    signature  BYTEA  NOT NULL,
    PRIMARY KEY (instance, generation)
);

CREATE TABLE enrolment_token (
    hash      BYTEA  PRIMARY KEY,
    app_id    BIGINT NOT NULL REFERENCES account (app_id),
    device    TEXT COLLATE "C" REFERENCES device (instance),
    uses_left BIGINT NOT NULL CHECK (uses_left >= 0),
    expires   BIGINT NOT NULL,
    mac       BYTEA  NOT NULL
);

CREATE TABLE task (
    id        BIGINT PRIMARY KEY,
    account   BIGINT NOT NULL REFERENCES account (app_id),
    action    TEXT   NOT NULL,
    uin       TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    deadline  BIGINT NOT NULL,
    forgotten BIGINT NOT NULL DEFAULT 0 -- gone for every reader, while its jobs are deleted
);
CREATE INDEX task_created ON task (created) WHERE forgotten = 0;
CREATE INDEX task_forgotten ON task (id) WHERE forgotten = 1;

CREATE TABLE job (
    number              BIGINT  GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    id                  BYTEA   NOT NULL UNIQUE,
    task                BIGINT  NOT NULL REFERENCES task (id),
    position            BIGINT  NOT NULL, -- place in the request
    devices             BIGINT  NOT NULL, -- how many the task has
    instance            TEXT COLLATE "C" NOT NULL REFERENCES device (instance),
    account             BIGINT  NOT NULL,
    created             BIGINT  NOT NULL, -- the task's, for the log's index
    sequence            BIGINT  NOT NULL,
    identity_generation BIGINT  NOT NULL,
    sealing_generation  BIGINT  NOT NULL,
    verb                BIGINT  NOT NULL,
    issued_at           BIGINT  NOT NULL,
    not_after           BIGINT  NOT NULL,
    deadline            BIGINT  NOT NULL,
    authority           BYTEA   NOT NULL,
    mac                 BYTEA   NOT NULL,
    -- the state: 1 succeeded, 2 failed, 4 open
    status              BIGINT  NOT NULL CHECK (status IN (1, 2, 4)),
    attempts            BIGINT  NOT NULL,
    reason              BIGINT  CHECK ((reason IS NOT NULL) = (status = 2)),
    ended               BIGINT  CHECK ((ended IS NULL) = (status = 4)),
    applied             BIGINT  CHECK ((applied IS NOT NULL) = (status = 1)),
    advice              TEXT,             -- JSON array of numbers
    corrected           BOOLEAN NOT NULL,
    last_attempt        BIGINT,
    report              BYTEA,
    version             BIGINT  NOT NULL,
    UNIQUE (task, position)
) WITH (fillfactor = 70);
-- A device has one open job at most: this index decides, not a read before it.
CREATE UNIQUE INDEX job_open ON job (instance) WHERE status = 4;
CREATE INDEX job_overdue ON job (deadline) WHERE status = 4;
CREATE INDEX job_attempt ON job (coalesce(last_attempt, 0)) WHERE status = 4;
CREATE INDEX job_log ON job (instance, created);
CREATE INDEX job_order ON job (instance, sequence);

-- Sealed passwords of open jobs. A table of its own, so that it stays small and what is left of
-- deleted rows is soon overwritten.
CREATE TABLE sealed (
    job        BIGINT PRIMARY KEY REFERENCES job (number),
    enc        BYTEA  NOT NULL,
    ciphertext BYTEA  NOT NULL
);

-- Signed requests that changed something (contract 2.6).
CREATE TABLE nonce (
    id        BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    secret_id TEXT   NOT NULL,
    timestamp BIGINT NOT NULL,
    nonce     BIGINT NOT NULL,
    expires   BIGINT NOT NULL,
    UNIQUE (secret_id, timestamp, nonce)
);
CREATE INDEX nonce_expires ON nonce (expires);

CREATE TABLE fingerprint (
    id      BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    hash    BYTEA  NOT NULL UNIQUE,
    task    BIGINT,                      -- null: an administrative request
    expires BIGINT NOT NULL
);
CREATE INDEX fingerprint_expires ON fingerprint (expires);

CREATE TABLE audit (
    number    BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at        BIGINT NOT NULL,
    secret_id TEXT,
    uin       TEXT,
    action    TEXT   NOT NULL,
    subject   TEXT   NOT NULL
);

-- One row while the service is under maintenance.
CREATE TABLE maintenance (
    "only"  BIGINT PRIMARY KEY CHECK ("only" = 1),
    since   BIGINT NOT NULL,
    message TEXT   NOT NULL              -- told to callers; may be empty
);

-- What keys used of their quotas. Forgotten in a crash, and not in the write-ahead log.
CREATE UNLOGGED TABLE quota_used (
    secret_id  TEXT COLLATE "C" NOT NULL,
    action     TEXT COLLATE "C" NOT NULL, -- empty for all together
    paid_until BIGINT NOT NULL,
    PRIMARY KEY (secret_id, action)
) WITH (fillfactor = 50);
