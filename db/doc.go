// Package db keeps everything: SQL and migrations, one file per noun, and the
// one writer that all changes go through.
//
// It knows no HTTP, no matching and no sending. What a transaction changed is
// handed on by OnCommit, after the commit and in the order of the commits.
// Start with Open, then writer.go.
//
// Reads run on a pool of connections and see what is committed. A write is one
// item for the writer, which takes all that is waiting into one transaction;
// an item is stored whole or not at all, and its caller goes on only when it is
// on disk. All methods are safe for concurrent use and return *iot.Error where
// people can do something about it: not_found, conflict, limit_reached,
// storage_full (the disk is full) and unavailable (it cannot be written).
package db
