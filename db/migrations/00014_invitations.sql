-- +goose Up

-- People join an organization by an invitation that they accept. It is there while it
-- is open: accepted, declined, revoked or void it is deleted, and the audit log tells
-- of it. The link's token is kept as a hash.
CREATE TABLE invitations (
	id              INTEGER PRIMARY KEY,
	organization_id INTEGER NOT NULL REFERENCES organizations (id),
	email           TEXT NOT NULL COLLATE NOCASE,
	role            TEXT NOT NULL CHECK (role IN ('viewer', 'editor', 'admin', 'owner')),
	hash            BLOB NOT NULL UNIQUE,
	invited_by      INTEGER NOT NULL REFERENCES accounts (id),
	expires_at      INTEGER NOT NULL,
	UNIQUE (organization_id, email)
) STRICT;
-- The invitations of whoever signs in.
CREATE INDEX invitations_email ON invitations (email);
-- Those that are void when their inviter loses a role.
CREATE INDEX invitations_inviter ON invitations (invited_by);
-- What has expired is removed.
CREATE INDEX invitations_expiry ON invitations (expires_at);

-- Whether somebody who is trusted with accounts says that the email is this person's:
-- the operator or the administrator. Anybody else may have typed another's email.
ALTER TABLE accounts ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 0;
UPDATE accounts SET confirmed = 1 WHERE administrator = 1
	OR email IN (SELECT subject FROM audit WHERE action = 'account.create' AND actor = 'thingpost user');
