// Package db stores everything: SQL and migrations, one file per noun, and the
// one writer that makes all changes.
//
// It knows no HTTP, no matching and no sending. OnCommit reports what a
// transaction changed, after the commit and in the order of the commits. Start
// with Open, then writer.go. All methods are safe for concurrent use. They return
// *iot.Error if people can do something about it: not_found, conflict,
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
//   - journal has accepted messages and outcomes that are not in the tables yet, as CBOR
//     (journal.go) in rows that each fill a page and are used again (chunks.go). A read of
//     what may be there calls tables or MoveJournal first.
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
//     that returns to the end gets a new position. Ended ones stay for a while.
//   - devices: no query compares an id or something else with OR, because SQLite would
//     then read all devices of the project. Ids are compared by COLLATE NOCASE, in the
//     index and in the queries. device_key.go says to whom a key belongs that two devices
//     have.
//   - invitations has only open ones, with the hash of the token. known_addresses has
//     HMACs of addresses that signed in to an account: 20 each, for 180 days.
//   - commands and replays are jobs: a row with a cursor, which moves in the transaction
//     of each step.
//   - Early versions stored payloads that are not UTF-8. The file keeps those bytes. Pages,
//     the API and receivers get them as U+FFFD, marked (Message.Mend).
//   - Messages, deliveries, attempts, downlinks and counters have no foreign keys.
//   - Deleted projects, devices and webhooks are pruned once nothing refers to them.
//
// # The writer
//
// One goroutine owns the one connection that writes. Callers queue items (lineup.go)
// and continue when the item's transaction is on disk.
//
//   - A transaction takes what is queued, up to 768 rows, 2 MiB or 1,024 items: some 20 ms
//     of work. A larger item has a transaction of its own. After a transaction of 24 items
//     or more the writer waits up to 4 × 0.5 ms for more, or until there are 256.
//   - Small items (at most 32 rows and 64 KiB) come first, then outcomes, then large items.
//     In each of the three, projects take turns. If no small item waits, a large one is
//     taken in any case.
//   - Transactions are short while several projects have small items, or large items wait
//     beside small ones, and for the next 200 transactions. A short transaction has as many
//     rows as the last ones wrote in 5 ms (64 to 768); outcomes get at least half of that.
//     Large items never fill more.
//   - A caller with much to write hands over a piece and waits until it is on disk before
//     the next: messages of an array by 64 rows or 512 KiB (PieceRows, PieceBytes),
//     new devices by 128, pushed downlinks by 100, replays by 250 deliveries, retention
//     by about 400 rows. So nobody waits for more than the transaction in progress and
//     one more. A message and its deliveries are never separated, nor is the clearing of
//     a queue.
//   - A transaction of messages and outcomes alone writes only the journal. Outcomes
//     alone are not written at once: they go along with the next messages, or after a
//     second. Entries are moved into the tables when there are 3,072 rows of them, when
//     nobody waits and there are 256, when an entry is 30 seconds old, when somebody reads,
//     and before any other change, which therefore finds complete tables. A message or an
//     answer of 16 KiB or more goes to the tables at once.
//   - A moved delivery is inserted as its outcomes have left it. An outcome that comes
//     later updates it.
//   - A start moves what it finds in the journal. It passes over messages and attempts that
//     are in the tables, because the journal is cut only between transactions.
//   - An entry that the tables refuse, which only a fault of the program can cause, is set
//     aside in the journal under a negative id, and check reports it.
//   - The order in a transaction is: moved entries, settings, queues of downlinks, messages,
//     outcomes.
//   - An item fails alone. Settings run in a savepoint. Messages and attempts are
//     inserted so that no constraint can fail. If a transaction fails for another
//     reason than the disk, each item is tried in a transaction of its own.
//   - Rows are written 32, 8 or 1 at a time. Outcomes are one UPDATE … FROM (VALUES …)
//     that changes only pending rows. If it changes fewer rows than it has values, the
//     savepoint is rolled back and each outcome is tried alone.
//   - A change of a project, its webhooks or profiles, and a changed or deleted API key,
//     raise the project's version. A message with an older version is returned as stale. A
//     changed or deleted device makes only its own messages stale: the writer counts
//     changes of devices and remembers each device's last one, and Device.AsOf is the count
//     when a device was read.
//   - The times when devices were last seen are written with moved entries, 512 rows in a
//     transaction, in their own table (device_seen). While others wait a round begins every
//     two seconds at most, with 50,000 devices every ten. DB.lastSeen adds what is not
//     written yet.
//   - Deliveries that are pending when their webhook is set to deliver in order are marked
//     before that, in steps (order.go).
//   - The WAL is copied into the database when 4,000 of its pages are not copied yet, or
//     1,000 after two idle seconds. Then a reader's connection copies them while the writer
//     continues, and the writer copies the few that were written meanwhile (checkpoint.go).
//   - While the disk fails (DB.Outage), nothing is acknowledged. The log says so at
//     the start, each minute and at the end; the writer tries twice a second. A sender
//     waits 30 s (AcceptWait). The error then says that the disk does not answer, if no
//     transaction has ended for half of that, and otherwise that too much is being
//     stored. Its messages are withdrawn, but what is being written may still be stored.
//   - On a full disk the reserve of 32 MiB (at most a quarter of the disk) is released.
//     Messages are refused until there is room for another reserve. All else continues,
//     and pruning returns free space to the disk at once.
//
// # Reads
//
// At most six connections, which can only query. A list reads in one short
// transaction and pages by key. A filter without an index examines at most 50,000 rows
// (10,000 if each needs a look-up), says how far back it looked, and the next page
// continues there. Lists of what is pending, retried or failed use partial indexes. A
// list of messages, and a page of an export, ends at 1 MiB of payloads.
//
// # SQL
//
// Pages and settings use $1 placeholders. The hot statements use ?, because SQLite
// takes $1 for a name and searches all names of the statement for each. They run on the
// driver's own statement, because database/sql costs as much as a small insert. A
// query repeats a partial index's condition word by word, or SQLite ignores the index.
//
// # Retention and files
//
//   - Retention runs every five minutes by age and every ten seconds by size, WAL
//     included: oldest first, about 400 rows a transaction. A WAL of which a reader keeps
//     8 MiB or more does not count, because it grows whatever is removed. The log and the
//     storage page name the reader (wal.go; on Linux by the locks on the -shm file). Pending
//     deliveries stay with their messages. What was cancelled or deleted stays for an hour,
//     for attempts that were in flight. Free pages are returned to the disk
//     (auto_vacuum=INCREMENTAL) when they are more than a sixteenth of the file.
//   - Every five minutes the size is written into the hour's row of storage_hours, with
//     what retention removed, so that growth is known without counting rows.
//   - A backup is VACUUM INTO on its own connection. A restore replaces by a rename.
//     Files that must be complete are named .….partial-… until they are; a start removes
//     what a kill left. Of backups/ only names of the program's own form are opened.
//   - SetMember asks nobody: it is for the operator's commands and for tests. Doors use
//     ChangeMember, which adds nobody to an organization, and invitations. A changed role
//     revokes the invitations that its holder may no longer make.
//   - A schema's version is read on a connection that cannot write, before any other.
package db
