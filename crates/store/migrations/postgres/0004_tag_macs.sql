-- That the API role gave this tag to this device; a reset by a key limited by a tag asks for it.
-- Tags that are here have none until they are given again.
ALTER TABLE device_tag ADD COLUMN mac BYTEA;
