-- +goose Up

-- From where an account has signed in: those who guess from elsewhere do not use up
-- its tries. The hash is of account and address, by a key that is not in the
-- database; an IPv6 address is its /64. At most 20 of an account are kept.
CREATE TABLE known_addresses (
	account_id INTEGER NOT NULL REFERENCES accounts (id),
	hash       BLOB NOT NULL,
	used_at    INTEGER NOT NULL,
	PRIMARY KEY (account_id, hash)
) STRICT, WITHOUT ROWID;
-- What has not been used for long is removed.
CREATE INDEX known_addresses_used ON known_addresses (used_at);
