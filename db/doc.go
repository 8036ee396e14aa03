// Package db stores everything: SQL and migrations, one file per noun, and the
// one writer that all changes go through.
//
// It knows no HTTP, no matching and no sending. OnCommit reports what a
// transaction changed, after the commit and in the order of the commits. Start
// with Open, then writer.go. All methods are safe for concurrent use. They return
// *iot.Error where people can do something about it: not_found, conflict,
// limit_reached, storage_full and unavailable.
//
// # What is stored
//
// One SQLite file in WAL mode with synchronous=FULL, STRICT tables, instants as
// Unix milliseconds.
//
//   - An iot.ID is a UUIDv7. Its first 63 significant bits (42 of milliseconds, 21
//     of sequence) are the row's key, its last 53 the instance's salt. So a row is
//     found by its ID without a second index, and rows are in the order of time. An
//     ID with another salt is not found. IDs only grow, also when the clock jumps back.
//   - messages has indexes by project, by device and by sender id (partial).
//   - deliveries is clustered by (project_id, id) WITHOUT ROWID: a project's log is
//     the table itself. It has what the log shows, so a page joins only names. Partial
//     indexes serve what is rare: deliveries_due, deliveries_in_order, deliveries_error.
//   - attempts is keyed by delivery and number, and only inserted into.
//   - webhook_counters changes in the transactions of the deliveries, one row for each
//     webhook. Retention leaves it alone, so made = delivered + pending + failed +
//     skipped + cancelled can always be checked. webhook_hours, webhook_durations (four
//     buckets to an octave) and project_hours feed the charts.
//   - downlinks is the devices' queues: an index (device, status, position). A downlink
//     that goes back to the end gets a new position. Ended ones stay for a while.
//   - Messages, deliveries, attempts, downlinks and counters have no foreign keys.
//   - Deleted projects, devices and webhooks are pruned once nothing refers to them.
//
// # The writer
//
// One goroutine owns the one connection that writes. Callers put items in line and
// continue when the item's transaction is on disk.
//
//   - A transaction takes what waits, up to 768 rows, 2 MiB and 1,024 items. After one
//     of 24 items or more the writer waits up to 4 × 0.5 ms for more, or until there are
//     256. After one of more than 5 ms, large items fill fewer rows, down to 64.
//   - Small items (32 rows, 64 KiB) go before large ones, of which each transaction has
//     at least one. In both, projects take turns. Whoever has much to write hands it
//     over in pieces (64 rows, 512 KiB), the next one when the last is on disk.
//   - An array is answered after its last piece. If the disk fails between two, the
//     stored messages have their ids, and each of the others has the error.
//   - Its order is: settings, queues of downlinks, messages, outcomes.
//   - An item fails alone. Settings run in a savepoint. Messages and attempts are
//     inserted so that no constraint can fail. If a transaction fails for another
//     reason than the disk, each item is tried in a transaction of its own.
//   - Rows are written 32, 8 or 1 at a time. Outcomes are one UPDATE … FROM (VALUES …)
//     that changes only pending rows. If it changes fewer than it was given, the
//     savepoint is rolled back and each is tried alone.
//   - A change of a project, its webhooks, profiles or keys raises the project's
//     version. A message with an older version, or of a device that was changed after it
//     was read (iot.Device.AsOf), is returned as stale.
//   - The last times that devices were seen are written every two seconds. Two idle
//     seconds also move the WAL into the database.
//   - While the disk fails (DB.Trouble), nothing is acknowledged. The log says so at
//     the begin, each minute and at the end; the writer tries twice a second. A sender
//     waits 30 s, and is then told that the disk does not answer, or if transactions
//     went on that too much is being stored. Its messages are withdrawn, but what is
//     being written may still be stored.
//   - On a full disk the reserve of 32 MiB (at most a quarter of the disk) is given up.
//     Messages are refused until there is room for another reserve; all else goes on,
//     and what pruning frees goes back to the disk at once.
//
// # Reads
//
// At most six connections, which can only query. A list reads in one short
// transaction and pages by key. A filter without an index looks at 50,000 rows at
// most (10,000 where each needs a look-up), says how far back it looked, and goes on
// from there. Lists of what is pending, retried or failed use partial indexes.
//
// # SQL
//
// Pages and settings use $1 placeholders. The hot statements use ?, since SQLite
// takes $1 for a name and walks all names of the statement for each, and they run on
// the driver's own statement, since database/sql costs as much as a small insert. A
// query repeats a partial index's condition word by word, or SQLite ignores the index.
//
// # Retention and files
//
//   - Retention runs each five minutes by age and each ten seconds by size, WAL
//     included: oldest first, about 400 rows a transaction. Pending deliveries stay with
//     their messages, and for an hour what was cancelled or deleted, for attempts that
//     were in flight. Free pages go back to the disk (auto_vacuum=INCREMENTAL) when they
//     are more than a sixteenth of the file.
//   - Each five minutes the size is written into the hour's row of storage_hours, with
//     what retention removed, so that growth is known without counting rows.
//   - A backup is VACUUM INTO on a connection of its own. A restore replaces by a rename.
//     Files that must be whole are .….partial-… until they are; a start removes what a
//     kill left. Of backups/ only names of the program's own form are opened.
//   - A schema's version is read on a connection that cannot write, before any other.
package db
