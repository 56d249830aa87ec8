-- What API 3.0 tells of a device (contract 4.3).
ALTER TABLE device ADD COLUMN dhcp_ip TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN vpc_name TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN vpc_cidr TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN subnet_name TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN subnet_cidr TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN pay_mode INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN is_lucky INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN device_type TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN maintain_status TEXT;
ALTER TABLE device ADD COLUMN maintain_message TEXT;

-- For a search by the beginning of an alias.
CREATE INDEX device_alias ON device (account, alias_lower);

-- Unique, so that a tag can refer to its device and to whose it is.
DROP INDEX device_account;
CREATE UNIQUE INDEX device_account ON device (account, instance);

-- A key may have several values. The account is the device's, and follows it, so that a search
-- reads the tags of one account only.
CREATE TABLE device_tag (
    account  INTEGER NOT NULL,
    instance TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    value    TEXT    NOT NULL,
    PRIMARY KEY (account, instance, key, value),
    FOREIGN KEY (account, instance) REFERENCES device (account, instance) ON UPDATE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX device_tag_search ON device_tag (account, key, value);

INSERT OR IGNORE INTO device_tag (account, instance, key, value)
SELECT device.account, device.instance, tag.value ->> 0, tag.value ->> 1
FROM device, json_each(device.tags) AS tag;
ALTER TABLE device DROP COLUMN tags;
