-- +goose Up

-- What devices are to be told. Only queued ones wait to be taken; the others are
-- kept for a while, so that a device can still say what became of them. Like
-- messages they have no foreign keys, and are pruned by themselves.
CREATE TABLE downlinks (
	id           INTEGER PRIMARY KEY,
	project_id   INTEGER NOT NULL,
	device_id    INTEGER NOT NULL,
	-- Its place in the queue: a key like an id's, a new one whenever it is put at the end.
	position     INTEGER NOT NULL,
	status       TEXT NOT NULL CHECK (status IN ('queued', 'sent', 'forwarded', 'acked', 'failed', 'cancelled')),
	body         TEXT NOT NULL CHECK (json_valid(body)), -- a JSON object: ApplicationDownlink without confirmed_retry
	payload      BLOB,                                   -- a JSON value, where one was pushed instead of a LoRaWAN payload
	confirmed    INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
	attempt      INTEGER NOT NULL DEFAULT 0,
	max_attempts INTEGER NOT NULL DEFAULT 0, -- 0: not given
	error        TEXT NOT NULL DEFAULT '',
	created_at   INTEGER NOT NULL,
	sent_at      INTEGER NOT NULL DEFAULT 0,
	changed_at   INTEGER NOT NULL
) STRICT;
-- The queue of a device, oldest first, and its other downlinks by their status.
CREATE INDEX downlinks_queue ON downlinks (device_id, status, position);
-- Pruning of what is no longer queued.
CREATE INDEX downlinks_ended ON downlinks (changed_at) WHERE status <> 'queued';
-- The greatest position, so that ids only grow.
CREATE INDEX downlinks_position ON downlinks (position);

-- A webhook of kind upstream is the program's own: it carries downlinks on to
-- another system, and neither counts nor is listed among a project's webhooks.
ALTER TABLE webhooks ADD COLUMN kind TEXT NOT NULL DEFAULT 'webhook' CHECK (kind IN ('webhook', 'upstream'));
-- Where the downlinks of a device, or of all devices of a project, go on to; 0 is
-- nowhere. A device's own goes before its project's.
ALTER TABLE devices ADD COLUMN upstream_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE projects ADD COLUMN upstream_id INTEGER NOT NULL DEFAULT 0;
