-- +goose Up

-- Keys are of a project: an equal one in another project is no business of
-- anybody's. Where no project is named, a key is that of the device which had it
-- first; one that came later has key_later = 1, until it is given another key.
ALTER TABLE devices ADD COLUMN key_later INTEGER NOT NULL DEFAULT 0 CHECK (key_later IN (0, 1));
DROP INDEX devices_key;
CREATE UNIQUE INDEX devices_key ON devices (project_id, key_hash) WHERE deleted_at = 0;
-- A device by its key where no project is named.
CREATE INDEX devices_key_first ON devices (key_hash) WHERE deleted_at = 0 AND key_later = 0;
