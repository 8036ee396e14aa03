-- +goose Up

-- Replays: many messages sent again, a step at a time. A row is all that one
-- needs to go on after a restart: cursor is the last key of the filter's order
-- that was looked at, and moves in the transaction that makes the deliveries.
CREATE TABLE replays (
	id          INTEGER PRIMARY KEY,
	project_id  INTEGER NOT NULL,
	webhook_id  INTEGER NOT NULL DEFAULT 0, -- 0: each to its own
	source      TEXT NOT NULL CHECK (source IN ('deliveries', 'messages')),
	chosen      TEXT NOT NULL, -- JSON: db.ReplaySpec
	about       TEXT NOT NULL, -- the same in words
	state       TEXT NOT NULL CHECK (state IN ('running', 'done', 'stopped', 'failed')),
	rate        INTEGER NOT NULL CHECK (rate >= 0), -- deliveries a second; 0: no limit
	count       INTEGER NOT NULL, -- at the start
	counted     INTEGER NOT NULL CHECK (counted IN (0, 1)), -- 0: there may be more than count
	done        INTEGER NOT NULL DEFAULT 0,
	passed_over INTEGER NOT NULL DEFAULT 0,
	cursor      INTEGER NOT NULL DEFAULT 0,
	error       TEXT NOT NULL DEFAULT '',
	created_by  TEXT NOT NULL,
	created_at  INTEGER NOT NULL,
	changed_at  INTEGER NOT NULL,
	ended_at    INTEGER NOT NULL DEFAULT 0
) STRICT;
-- Those that are to be gone on with; the query must say state = 'running' in just these words.
CREATE INDEX replays_running ON replays (id) WHERE state = 'running';
-- The replays of a project, newest first.
CREATE INDEX replays_project ON replays (project_id, id);
