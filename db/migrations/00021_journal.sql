-- +goose Up
-- What was accepted and what became of it, until it is in the tables: see db/journal.go.
CREATE TABLE journal (
	id     INTEGER PRIMARY KEY, -- of an entry that was set aside: negative
	record BLOB NOT NULL        -- a chunk of CBOR, see db/chunks.go; of an entry that was set aside: CBOR
) STRICT;
INSERT INTO meta (name, value) VALUES ('journal', '131072'); -- the beginning of chunk 1
