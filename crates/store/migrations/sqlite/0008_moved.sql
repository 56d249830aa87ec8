-- One row once everything was copied to another database: from then on this file is the past.
CREATE TABLE moved (
    only   INTEGER PRIMARY KEY CHECK (only = 1),
    target TEXT NOT NULL                   -- host, port and name of the other database
) STRICT;
