-- +goose Up

-- Links to a log that other sites show in a frame. The link itself is not kept:
-- it is the id and the end, signed.
CREATE TABLE embeds (
	id         INTEGER PRIMARY KEY,
	project_id INTEGER NOT NULL,
	webhook_id INTEGER NOT NULL DEFAULT 0, -- 0: all of the project
	name       TEXT NOT NULL,
	origins    TEXT NOT NULL, -- with a space between
	created_by TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	revoked_at INTEGER NOT NULL DEFAULT 0
) STRICT;
-- The links of a project, newest first.
CREATE INDEX embeds_project ON embeds (project_id, id);
