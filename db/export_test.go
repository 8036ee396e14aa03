package db

import (
	"context"
	"database/sql"
	"time"

	"thingpost/internal/iot"
)

// Schemas returns the versions of all schemas, in their order.
func Schemas() ([]int64, error) { return schemas() }

// MakeOld creates a database file as the first version did, with rows, and upgrades it to a
// later version.
func MakeOld(ctx context.Context, path, rows string, version int64) error {
	file, err := sql.Open("sqlite", dsn(path, false, 0))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	p, err := provider(file)
	if err != nil {
		return err
	}
	if _, err := p.UpTo(ctx, 1); err != nil {
		return err
	}
	if _, err = file.ExecContext(ctx, rows); err != nil {
		return err
	}
	_, err = p.UpTo(ctx, version)
	return err
}

// WatchWAL does what Maintain does every ten seconds.
func (d *DB) WatchWAL(ctx context.Context) error { return d.watchWAL(ctx) }

// Backing records that the server's own backup has begun.
func (d *DB) Backing() { d.backing(iot.At(d.now())) }

// Writes returns how many batches were written.
func (d *DB) Writes() int { return int(d.writer.wrote.Load()) }

// Waiting returns how many items are queued for the writer.
func (d *DB) Waiting() int { return d.writer.line.len() }

// The hot path's queries, for tests of their plans.
const (
	DueQuery             = dueQuery
	HeadQuery            = headQuery
	PendingDevicesQuery  = pendingDevicesQuery
	RepeatedQuery        = repeatedQuery
	EraseQuery           = eraseWhere + `id = $1`
	NextDownlinkQuery    = nextDownlinkQuery
	QueueQuery           = queueQuery
	PastDownlinksQuery   = pastDownlinksQuery
	CountDownlinksQuery  = countDownlinksQuery
	PruneDownlinksQuery  = pruneDownlinksQuery
	WatchedOwnQuery      = watchedOwnQuery
	WatchedProfileQuery  = watchedProfileQuery
	TurnQuery            = turnQuery
	DeviceDayQuery       = deviceDayQuery
	NextDueQuery         = `SELECT ` + nextDueColumn + ` FROM webhooks w WHERE w.id = $1`
	OldestQuery          = `SELECT ` + oldestColumn + ` FROM webhooks w WHERE w.id = $1`
	RunningCommandsQuery = runningCommandsQuery
	DeviceByKeyQuery     = deviceByKeyQuery
	DeviceByKeyInQuery   = deviceByKeyInSlugQuery
	DeviceBySlugQuery    = deviceBySlugQuery
	DevicesBySlugQuery   = devicesBySlugQuery
	RetryingQuery        = retryingQuery
	LastFailedQuery      = lastFailedQuery
	DevicesByKeyQuery    = devicesByKeyQuery
	DeviceByUUIDQuery    = deviceByUUIDQuery
	DeviceByEUIQuery     = deviceByEUIQuery
	BringInQuery         = bringInQuery
	MarkStepQuery        = markStepQuery
	MarkStep             = markStep
)

// Queries returns the texts with which a page is read.
func (f DeliveryFilter) Queries() []string {
	page, _ := f.pageQuery(1)
	floor, _, rare := f.floorQuery(LookBack)
	if !rare {
		return []string{page}
	}
	return []string{page, floor}
}

// QueryOfWebhooks returns the text with which a page by state is read.
func (f DeliveryFilter) QueryOfWebhooks(hooks ...int64) string {
	p, _ := f.partial()
	query, _ := f.pageOfWebhooks(p, hooks)
	return query
}

// Query returns the text with which a page is read.
func (f DeviceFilter) Query() string {
	query, _ := f.query()
	return query
}

// Queries returns the texts with which a page is read.
func (f MessageFilter) Queries() []string {
	page, _ := f.pageQuery(1)
	floor, _ := f.floorQuery(LookBack)
	return []string{page, floor}
}

// Queries returns the texts with which a step is read.
func (s ReplaySpec) Queries() []string {
	edge, _ := s.edgeQuery(1, ReplayWindow)
	window, _ := s.windowQuery(1, 2, step)
	return []string{edge, window}
}

// RunningQuery finds the replays to continue.
const RunningQuery = `SELECT r.id` + runningQuery + ` ORDER BY r.id`

// Scattered divides the number of rows to examine if only an index finds them.
const Scattered = scattered

// SetLookBack sets how many rows a rare filter examines, for a test with fewer rows. It must
// not run beside a list.
func (d *DB) SetLookBack(rows int) { d.lookBack = rows }

// CountOn counts a table's rows as the store itself sees them.
func (d *DB) CountOn(ctx context.Context, query string, args ...any) (n int64, err error) {
	if err := d.MoveJournal(ctx); err != nil {
		return 0, err
	}
	err = d.reader.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, err
}

// CountAsIs is CountOn without moving the journal.
func (d *DB) CountAsIs(ctx context.Context, query string) (n int64, err error) {
	err = d.reader.QueryRowContext(ctx, query).Scan(&n)
	return n, err
}

// JournalBytes returns how many bytes of the journal are needed, and from where.
func (d *DB) JournalBytes(ctx context.Context) (n int, from string, err error) {
	_, record, err := readChunks(ctx, d.reader)
	if err == nil {
		err = d.reader.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'journal'`).Scan(&from)
	}
	return len(record), from, err
}

// NeedJournal makes the journal needed from where it once was.
func (d *DB) NeedJournal(from string) error {
	return d.write("test", func(t *Tx) error {
		_, err := t.exec(`UPDATE meta SET value = $1 WHERE name = 'journal'`, from)
		return err
	})
}

// KeptReplays bounds the replays of a project that are kept.
const KeptReplays = keptReplays

// Project returns the project of a replay's filter.
func (s ReplaySpec) Project() int64 { return s.project() }

// SetAcceptWait shortens AcceptWait.
func (d *DB) SetAcceptWait(wait time.Duration) { d.acceptWait = wait }

// ForgetDeviceChanges makes the writer forget which devices have changed when the next one
// does.
func (d *DB) ForgetDeviceChanges() {
	_ = d.write("forget", func(t *Tx) error {
		for i := range int64(maxDevices) {
			t.db.writer.devices[-1-i] = 0
		}
		return nil
	})
}
