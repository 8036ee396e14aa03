package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"

	"thingpost/internal/iot"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date, with a transaction for each migration: an interrupted
// one leaves nothing behind, and the next start repeats it.
func migrate(ctx context.Context, db *sql.DB) error {
	p, err := provider(db)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return p, nil
}

// newestSchema returns the version of the last migration.
func newestSchema() (int64, error) {
	list, err := schemas()
	if err != nil {
		return 0, err
	}
	return list[len(list)-1], nil
}

// schemas returns the versions of all migrations, in their order.
func schemas() (list []int64, err error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	for _, name := range names {
		number, _, _ := strings.Cut(filepath.Base(name), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read migrations: %w", err)
		}
		list = append(list, n)
	}
	slices.Sort(list)
	return list, err
}

// schemaOf returns the schema's version of an open database, 0 if it has none.
func schemaOf(ctx context.Context, db *sql.DB) (version int64, err error) {
	var there int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master WHERE name = 'goose_db_version'`).Scan(&there); err != nil ||
		there == 0 {
		return 0, err
	}
	err = db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied = 1`).Scan(&version)
	return version, err
}

// refuseSchema returns Unavailable if a database's schema is newer than this
// version of the program knows; with asItIs also if it is older.
func (d *DB) refuseSchema(ctx context.Context, db *sql.DB, asItIs bool) error {
	version, err := schemaOf(ctx, db)
	if err != nil {
		return err
	}
	newest, err := newestSchema()
	if err != nil {
		return err
	}
	has := "(schema " + strconv.FormatInt(version, 10) + ", this version knows " + strconv.FormatInt(newest, 10) + ")"
	switch {
	case version > newest:
		return iot.NewError(iot.Unavailable, "The database "+d.path+" was made by a newer version of Thingpost "+has+
			". Nothing was changed. Run the newer version, or restore a backup that this version has made.")
	case asItIs && version < newest:
		return iot.NewError(iot.Unavailable, "The database "+d.path+" was made by an older version of Thingpost "+has+
			". Nothing was changed. Start the server of this version once, which brings it up to date, or use the program of the older one.")
	}
	return nil
}

// look refuses a schema before anything is written. It uses a connection that cannot write:
// even opening a database for writing may change its file. One case needs a write: a power
// cut while the file was created, before it had a WAL, leaves a rollback journal, without
// which nobody can read the file.
func (d *DB) look(ctx context.Context, asItIs bool) error {
	if info, err := os.Stat(d.path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	err := d.lookIn(ctx, "ro", asItIs)
	if resultCode(err) == codeReadOnlyRollback {
		err = d.lookIn(ctx, "rw", asItIs)
	}
	return err
}

// lookIn looks with a connection of SQLite's open mode ro or rw. Reading in mode rw rolls an
// unfinished transaction back.
func (d *DB) lookIn(ctx context.Context, mode string, asItIs bool) error {
	db, err := sql.Open("sqlite", fileURI(d.path, url.Values{"mode": {mode}, "_pragma": {"busy_timeout(10000)"}}))
	if err != nil {
		return err
	}
	return errors.Join(d.refuseSchema(ctx, db, asItIs), db.Close())
}
