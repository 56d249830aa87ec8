-- Keys that are limited to some devices, and temporary keys, which end with the key that made them.
ALTER TABLE api_key ADD COLUMN devices TEXT; -- JSON, see `scope.rs`; null for all
ALTER TABLE api_key ADD COLUMN maker TEXT;   -- of a temporary key
CREATE INDEX api_key_expires ON api_key (expires) WHERE expires IS NOT NULL;
CREATE INDEX api_key_maker ON api_key (maker) WHERE maker IS NOT NULL;
