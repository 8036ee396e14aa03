-- +goose Up

-- How often a device is expected to send, in milliseconds: 10 seconds to 30 days, 0 for
-- no expectation. A device's own wins over its profile's.
ALTER TABLE profiles ADD COLUMN expected_interval_ms INTEGER NOT NULL DEFAULT 0
	CHECK (expected_interval_ms = 0 OR expected_interval_ms BETWEEN 10000 AND 2592000000);
ALTER TABLE devices ADD COLUMN expected_interval_ms INTEGER NOT NULL DEFAULT 0
	CHECK (expected_interval_ms = 0 OR expected_interval_ms BETWEEN 10000 AND 2592000000);
-- Since when a device is silent; 0 while it is not.
ALTER TABLE devices ADD COLUMN silent_at INTEGER NOT NULL DEFAULT 0;
-- The devices with an interval of their own, to be watched.
CREATE INDEX devices_interval ON devices (project_id, id) WHERE expected_interval_ms > 0 AND deleted_at = 0;
-- The list of a project's silent devices, by slug.
CREATE INDEX devices_silent ON devices (project_id, slug) WHERE silent_at > 0 AND deleted_at = 0;

-- How many devices a project has, so that adding one counts nothing.
ALTER TABLE projects ADD COLUMN device_count INTEGER NOT NULL DEFAULT 0;
UPDATE projects SET device_count = (SELECT count(*) FROM devices WHERE project_id = projects.id AND deleted_at = 0);

-- The longest waiting delivery of each webhook, and the logs of what is pending, being
-- retried or failed; the queries must say the conditions in just these words.
CREATE INDEX deliveries_pending ON deliveries (webhook_id, id) WHERE status = 'pending';
CREATE INDEX deliveries_retrying ON deliveries (webhook_id, id, attempt_count) WHERE status = 'pending' AND attempt_count > 0;
CREATE INDEX deliveries_failed ON deliveries (webhook_id, id) WHERE status = 'failed';

-- How many more deliveries are pending than at the beginning of the hour.
ALTER TABLE webhook_hours ADD COLUMN grown INTEGER NOT NULL DEFAULT 0;

-- How many messages each device sent on a day (day_at in Unix milliseconds, UTC), for
-- charts. By day first: old days go together, and a chart asks for a few by name.
CREATE TABLE device_days (
	day_at    INTEGER NOT NULL,
	device_id INTEGER NOT NULL,
	messages  INTEGER NOT NULL,
	PRIMARY KEY (day_at, device_id)
) STRICT, WITHOUT ROWID;
