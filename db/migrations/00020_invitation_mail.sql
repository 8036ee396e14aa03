-- +goose Up

-- What became of an invitation's mail: '' if none was to be sent. A mail that is being
-- sent is in memory alone, since its link's token is stored nowhere: what stands as
-- sending when the server starts has failed.
ALTER TABLE invitations ADD COLUMN mail TEXT NOT NULL DEFAULT '' CHECK (mail IN ('', 'sending', 'sent', 'failed'));
-- For people: why it failed.
ALTER TABLE invitations ADD COLUMN mail_failure TEXT NOT NULL DEFAULT '';
