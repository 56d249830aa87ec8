-- Nodes without the API role, and the tokens with which they join.
CREATE TABLE node_token (
    hash      BLOB    PRIMARY KEY,
    names     TEXT    NOT NULL,           -- JSON array: what their certificates carry
    uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
    expires   INTEGER NOT NULL,
    mac       BLOB    NOT NULL
) STRICT;

CREATE TABLE node (
    id       BLOB    PRIMARY KEY,         -- of the key
    key      BLOB    NOT NULL,
    names    TEXT    NOT NULL,            -- JSON array
    hostname TEXT    NOT NULL,
    joined   INTEGER NOT NULL,
    renewed  INTEGER NOT NULL,
    revoked  INTEGER,                     -- null while it may renew its certificate
    mac      BLOB    NOT NULL
) STRICT;
