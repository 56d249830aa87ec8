-- One row while the service is under maintenance.
CREATE TABLE maintenance (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    since   INTEGER NOT NULL,
    message TEXT    NOT NULL               -- told to callers; may be empty
) STRICT;
