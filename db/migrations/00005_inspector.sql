-- +goose Up

-- A project's built-in receiver: the text that makes its URL unguessable, and
-- what it answers.
CREATE TABLE inspectors (
	project_id INTEGER NOT NULL PRIMARY KEY REFERENCES projects(id),
	token      TEXT NOT NULL UNIQUE, -- also finds the inspector of a request
	status     INTEGER NOT NULL DEFAULT 200 CHECK (status BETWEEN 200 AND 599),
	delay_ms   INTEGER NOT NULL DEFAULT 0 CHECK (delay_ms BETWEEN 0 AND 30000),
	received   INTEGER NOT NULL DEFAULT 0, -- ever
	created_at INTEGER NOT NULL
) STRICT;

-- The last requests that an inspector got: few, and bounded when one is added.
CREATE TABLE inspections (
	id          INTEGER PRIMARY KEY,
	project_id  INTEGER NOT NULL,
	delivery_id INTEGER NOT NULL, -- 0 if it came from outside
	kept_bytes  INTEGER NOT NULL, -- of what follows
	size_bytes  INTEGER NOT NULL, -- of the whole body
	status      INTEGER NOT NULL, -- that was answered
	delay_ms    INTEGER NOT NULL,
	remote      TEXT NOT NULL,
	method      TEXT NOT NULL,
	path        TEXT NOT NULL, -- behind the inspector's own
	query       TEXT NOT NULL,
	headers     TEXT NOT NULL, -- a header a line; secrets masked
	body        BLOB NOT NULL
) STRICT;
-- The requests of a project, newest first.
CREATE INDEX inspections_project ON inspections (project_id, id);

-- How large the database was at the end of each hour, and what retention
-- removed in it: for the growth, without looking at rows.
CREATE TABLE storage_hours (
	hour_at    INTEGER NOT NULL PRIMARY KEY,
	file_bytes INTEGER NOT NULL DEFAULT 0,
	used_bytes INTEGER NOT NULL DEFAULT 0, -- of the file, without free pages
	wal_bytes  INTEGER NOT NULL DEFAULT 0,
	messages   INTEGER NOT NULL DEFAULT 0, -- removed
	deliveries INTEGER NOT NULL DEFAULT 0,
	attempts   INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Until now only projects were named in the audit log.
UPDATE audit SET organization_id = coalesce((SELECT organization_id FROM projects WHERE projects.id = audit.project_id), 0) WHERE project_id > 0;
-- The audit log of an organization, newest first.
CREATE INDEX audit_organization ON audit (organization_id, id);
