-- +goose Up

-- What other systems' clients keep beside our own fields: a JSON object as text,
-- '' if none was given.
ALTER TABLE organizations ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE organizations ADD COLUMN metadata TEXT NOT NULL DEFAULT '';
ALTER TABLE organizations ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0; -- 0: not since it was made
ALTER TABLE projects ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE projects ADD COLUMN metadata TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN kind TEXT NOT NULL DEFAULT ''; -- such as sensor; '' if none was given
ALTER TABLE devices ADD COLUMN metadata TEXT NOT NULL DEFAULT '';
ALTER TABLE webhooks ADD COLUMN metadata TEXT NOT NULL DEFAULT '';
-- The UUID of the device that a webhook was made through, '' for none: it does
-- not bound what the webhook gets.
ALTER TABLE webhooks ADD COLUMN origin TEXT NOT NULL DEFAULT '';

-- What a profile makes of its devices' payloads; '' leaves them as they come.
ALTER TABLE profiles ADD COLUMN content_type TEXT NOT NULL DEFAULT ''
	CHECK (content_type IN ('', 'application/json', 'application/senml+json', 'application/senml+cbor'));
ALTER TABLE profiles ADD COLUMN transformer TEXT NOT NULL DEFAULT '{}'; -- JSON
ALTER TABLE profiles ADD COLUMN rules INTEGER NOT NULL DEFAULT 0 CHECK (rules IN (0, 1));
ALTER TABLE profiles ADD COLUMN smtp_id TEXT NOT NULL DEFAULT '';
ALTER TABLE profiles ADD COLUMN metadata TEXT NOT NULL DEFAULT '';

-- A device by its UUID where the path names no project.
CREATE INDEX devices_by_uuid ON devices (uuid) WHERE deleted_at = 0;
