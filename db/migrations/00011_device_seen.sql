-- +goose Up

-- When each device last sent, apart from the rest of it: these rows change all the
-- time, and lie a hundred times as close to each other as the devices themselves.
CREATE TABLE device_seen (
	device_id INTEGER PRIMARY KEY,
	at        INTEGER NOT NULL
) STRICT;
INSERT INTO device_seen (device_id, at) SELECT id, last_seen_at FROM devices WHERE last_seen_at > 0 ORDER BY id;
ALTER TABLE devices DROP COLUMN last_seen_at;

-- The devices of a profile, deleted ones too: they are looked for before it is deleted.
DROP INDEX devices_profile;
CREATE INDEX devices_profile ON devices (profile_id);
-- The deleted devices, to be pruned.
CREATE INDEX devices_deleted ON devices (deleted_at) WHERE deleted_at > 0;
-- The devices whose downlinks go on to another system, and the webhooks of one device.
CREATE INDEX devices_upstream ON devices (upstream_id) WHERE upstream_id > 0;
CREATE INDEX webhooks_device ON webhooks (device_id) WHERE device_id > 0;
