-- When the machine made the hello by which it is bound, in microseconds since which boot.
ALTER TABLE device ADD COLUMN hello_boot TEXT;
ALTER TABLE device ADD COLUMN hello_since_boot BIGINT;
