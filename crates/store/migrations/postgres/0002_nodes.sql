-- Nodes without the API role, and the tokens with which they join.
CREATE TABLE node_token (
    hash      BYTEA  PRIMARY KEY,
    names     TEXT   NOT NULL,           -- JSON array: what their certificates carry
    uses_left BIGINT NOT NULL CHECK (uses_left >= 0),
    expires   BIGINT NOT NULL,
    mac       BYTEA  NOT NULL
);

CREATE TABLE node (
    id       BYTEA  PRIMARY KEY,         -- of the key
    key      BYTEA  NOT NULL,
    names    TEXT   NOT NULL,            -- JSON array
    hostname TEXT   NOT NULL,
    joined   BIGINT NOT NULL,
    renewed  BIGINT NOT NULL,
    revoked  BIGINT,                     -- null while it may renew its certificate
    mac      BYTEA  NOT NULL
);
