package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"thingpost/internal/iot"
)

// FileName is the database's name inside the data folder.
const FileName = "thingpost.db"

// DB is the store. Open returns one; Close ends it.
type DB struct {
	reader *sql.DB
	writer *writer
	sealer *sealer
	ids    *iot.IDs
	now    func() time.Time
	log    *slog.Logger
	hold   hold // of the WAL
	limits iot.Limits
	path   string

	refuses func(url string) string // nil: none
	asItIs  bool                    // Options.AsItIs

	ordering      ordering
	lookUps       lookUps
	deviceChanges atomic.Int64 // how many transactions have changed devices

	outage     outage
	failing    atomic.Bool // the last transaction that had to write failed because of the disk
	reserve    reserve
	acceptWait time.Duration // AcceptWait; tests set another

	pruneNow chan time.Duration // capacity one: prune at once

	lookBack int // LookBack; tests set another
}

// Options of a store.
type Options struct {
	// Folder holds the database and, unless KeyFile names another file, the key that
	// encrypts secrets. It is created if it does not exist.
	Folder string
	// KeyFile holds 32 bytes in hex. It is created if it does not exist. Empty: secret.key
	// in the folder.
	KeyFile string
	// Limits on webhooks; zero values are the defaults of five.
	Limits iot.Limits
	Now    func() time.Time // default time.Now
	Log    *slog.Logger     // default discards
	// OnCommit gets each commit, in order. The writer calls it, so it must be quick and
	// must not write.
	OnCommit func(iot.Commit)
	// Reserve is how many bytes of a full disk are kept for everything except messages,
	// see ReserveName; 0 keeps none.
	Reserve int64
	// Refuses returns why the rules of this host forbid a URL, in words for the person
	// who saves it in a webhook; "" if they allow it, as far as is known without DNS. Nil
	// allows all. It must be quick.
	Refuses func(url string) string
	// Cache bounds the bytes of the database's pages that all connections together keep
	// in memory; 0 is 14 MiB.
	Cache int64
	// ReadOnly opens an existing database for check and backup: no migration, no writer.
	ReadOnly bool
	// AsItIs opens without migrations, for commands beside a running server. Messages and
	// outcomes are not taken, because the journal is the server's.
	AsItIs bool
}

// Open opens the store and brings its schema up to date. It returns Unavailable, with what
// to do, if the folder cannot be written, or the file is damaged or of a newer version
// (ReadOnly and AsItIs: of any other version). The file then stays unchanged.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Limits.Webhooks == 0 {
		o.Limits.Webhooks = 5
	}
	if o.Limits.Headers == 0 {
		o.Limits.Headers = 5
	}
	if o.OnCommit == nil {
		o.OnCommit = func(iot.Commit) {}
	}
	d := &DB{now: o.Now, log: o.Log, limits: o.Limits, path: filepath.Join(o.Folder, FileName), lookBack: LookBack, acceptWait: AcceptWait,
		pruneNow: make(chan time.Duration, 1), refuses: o.Refuses, asItIs: o.AsItIs}
	if o.ReadOnly {
		return d, d.openReadOnly(ctx, o)
	}
	if err := os.MkdirAll(o.Folder, 0o700); err != nil {
		return nil, unavailable("The data folder "+o.Folder+" cannot be created. Choose another with -data.", err)
	}
	if err := probe(o.Folder); err != nil {
		return nil, unavailable("The data folder "+o.Folder+" cannot be written. Check its owner and the disk, or choose another with -data.",
			err)
	}
	var err error
	if d.sealer, err = openSealer(o.Folder, o.KeyFile, true); err != nil {
		return nil, err
	}
	if err := d.look(ctx, o.AsItIs); err != nil {
		return nil, d.openError(err)
	}
	wdb, err := sql.Open("sqlite", dsn(d.path, false, o.Cache))
	if err != nil {
		return nil, d.openError(err)
	}
	wdb.SetMaxOpenConns(1)
	if err := ownFile(d.path); err != nil {
		_ = wdb.Close()
		return nil, unavailable("The database "+d.path+" cannot be written. Check its owner and the disk.", err)
	}
	if err := migrate(ctx, wdb); err != nil {
		_ = wdb.Close()
		return nil, d.openError(err)
	}
	if d.reader, err = sql.Open("sqlite", dsn(d.path, true, o.Cache)); err != nil {
		_ = wdb.Close()
		return nil, d.openError(err)
	}
	d.reader.SetMaxOpenConns(maxReaders)
	d.reader.SetMaxIdleConns(maxReaders) // opening one costs more than many reads
	d.reader.SetConnMaxIdleTime(20 * time.Second)
	if err := d.prepareLookUps(ctx); err != nil {
		_ = wdb.Close()
		_ = d.reader.Close()
		return nil, d.openError(err)
	}
	d.reserve = newReserve(o.Folder, o.Reserve)
	d.reserve.take()
	if err := d.startWriter(ctx, wdb, o.OnCommit); err != nil {
		_ = wdb.Close()
		_ = d.reader.Close()
		return nil, d.openError(err)
	}
	return d, nil
}

// maxReaders bounds the connections that read at once, and so their caches.
const maxReaders = 6

func (d *DB) openReadOnly(ctx context.Context, o Options) error {
	if _, err := os.Stat(d.path); err != nil {
		return unavailable("There is no database at "+d.path+". Name the server's data folder with -data.", err)
	}
	var err error
	if d.sealer, err = openSealer(o.Folder, o.KeyFile, false); err != nil {
		return err
	}
	if d.reader, err = sql.Open("sqlite", dsn(d.path, true, o.Cache)); err != nil {
		return d.openError(err)
	}
	var salt int64
	err = d.refuseSchema(ctx, d.reader, true)
	if err == nil {
		err = d.reader.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'salt'`).Scan(&salt)
	}
	if err == nil {
		err = d.prepareLookUps(ctx)
	}
	if err != nil {
		_ = d.reader.Close()
		return d.openError(err)
	}
	d.ids = iot.NewIDs(salt, 0, d.now)
	return nil
}

// Close ends the writer once all queued items are written, and closes all connections.
func (d *DB) Close() error {
	if d.writer == nil {
		return d.reader.Close()
	}
	return d.writer.close()
}

// NewID returns a new id, greater than all before it.
func (d *DB) NewID() iot.ID { return d.ids.New() }

// Limits returns the host's limits on webhooks.
func (d *DB) Limits() iot.Limits { return d.limits }

// Path returns the database file's path.
func (d *DB) Path() string { return d.path }

// dsn returns the file's URI with its pragmas. The busy timeout comes first, so that the
// others wait too; auto_vacuum must come before the first table. cache bounds the bytes
// that all connections together keep in memory.
func dsn(path string, readOnly bool, cache int64) string {
	if cache == 0 {
		cache = 14_000 << 10
	}
	reader := cache / 14 >> 10 // KiB; the writer has as much as all six readers, and a third more
	q := url.Values{}
	add := func(name string, value any) { q.Add("_pragma", fmt.Sprintf("%s(%v)", name, value)) }
	add("busy_timeout", 10_000)
	if readOnly {
		add("query_only", 1)
		add("cache_size", -reader)
	} else {
		add("auto_vacuum", 2)
		add("journal_mode", "WAL")
		add("synchronous", "FULL")
		add("journal_size_limit", walLimit)
		add("wal_autocheckpoint", 0) // see copyLog
		add("cache_size", -8*reader)
		q.Set("_txlock", "immediate")
	}
	add("foreign_keys", 1)
	add("temp_store", 2)
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

const probeName = "probe"

// probe writes and removes a file, so that a read-only folder is found at the start, not
// at the first message.
func probe(folder string) error {
	f, err := os.CreateTemp(folder, partialOf(probeName))
	if err != nil {
		return err
	}
	_, werr := f.WriteString("thingpost")
	return errors.Join(werr, f.Close(), os.Remove(f.Name()))
}

// ownFile makes the database file readable only by its owner; SQLite gives its other files
// the same mode.
func ownFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Chmod(path, 0o600))
}

// byName returns the query that finds a row by a name, which is its slug or its UUID, and
// the name as it is stored. No slug has a UUID's form, so the form decides. A single query
// with "slug = … OR uuid = …" does not work: SQLite uses neither index for it if both
// begin with the same column.
func byName(name, bySlug, byUUID string) (query, stored string) {
	if iot.LooksLikeUUID(name) {
		return byUUID, strings.ToLower(name)
	}
	return bySlug, name
}

// inTx runs fn in a read transaction, so that its queries agree.
func (d *DB) inTx(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := d.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return translate("read", err)
	}
	defer func() { _ = tx.Rollback() }()
	return fn(tx)
}
