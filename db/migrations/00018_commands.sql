-- +goose Up

-- Commands: a downlink for each device of a project, a step at a time. A row is
-- all that one needs to go on after a restart: cursor is the slug of the last
-- device that was looked at, and moves in the transaction that queues the
-- downlinks. Devices with keys above last_device came later and get none.
CREATE TABLE commands (
	id          INTEGER PRIMARY KEY,
	project_id  INTEGER NOT NULL,
	chosen      TEXT NOT NULL, -- JSON: downlink.Order
	about       TEXT NOT NULL, -- the beginning of what is sent, for people
	state       TEXT NOT NULL CHECK (state IN ('running', 'done', 'stopped', 'failed')),
	count       INTEGER NOT NULL, -- of devices, at the start
	done        INTEGER NOT NULL DEFAULT 0,
	passed_over INTEGER NOT NULL DEFAULT 0, -- their queue was full
	last_device INTEGER NOT NULL,
	cursor      TEXT NOT NULL DEFAULT '',
	error       TEXT NOT NULL DEFAULT '',
	created_by  TEXT NOT NULL,
	created_at  INTEGER NOT NULL,
	changed_at  INTEGER NOT NULL,
	ended_at    INTEGER NOT NULL DEFAULT 0
) STRICT;
-- Those that are to be gone on with; the query must say state = 'running' in just these words.
CREATE INDEX commands_running ON commands (id) WHERE state = 'running';
-- The commands of a project, newest first.
CREATE INDEX commands_project ON commands (project_id, id);
