-- +goose Up

-- Ids of devices are those that hardware has, and are compared without regard to
-- case (they are ASCII). Those of before are in lower case, so none meets another.
-- Queries must say COLLATE NOCASE where they compare or order by them.
DROP INDEX devices_slug;
CREATE UNIQUE INDEX devices_slug ON devices (project_id, slug COLLATE NOCASE) WHERE deleted_at = 0;
DROP INDEX devices_silent;
CREATE INDEX devices_silent ON devices (project_id, slug COLLATE NOCASE) WHERE silent_at > 0 AND deleted_at = 0;
