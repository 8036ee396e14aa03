-- +goose Up
-- What was accepted and what became of it, until it is in the tables: see db/journal.go.
CREATE TABLE journal (
	id     INTEGER PRIMARY KEY,
	record BLOB NOT NULL -- CBOR: a sequence of entries
) STRICT;
