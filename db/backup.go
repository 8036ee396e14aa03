package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"thingpost/internal/iot"
)

// Backup copies the database of a data folder into a new file that only its owner can
// read. The server may be running. The copy shows one moment and has everything except
// the key file: secrets in it stay encrypted. Conflict if the file exists. A copy that
// fails leaves no file.
func Backup(ctx context.Context, folder, file string) error {
	source := filepath.Join(folder, FileName)
	if _, err := os.Stat(source); err != nil {
		return unavailable("There is no database at "+source+". Name the server's data folder with -data.", err)
	}
	if _, err := os.Lstat(file); err == nil {
		return iot.NewError(iot.Conflict, "The file "+file+" exists already. Choose another name, or remove it first.")
	}
	partial, err := newPartial(file)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(partial) }()
	if err := vacuumInto(ctx, source, partial); err != nil {
		return err
	}
	if err := syncFile(partial); err != nil {
		return unavailable("The backup cannot be written to disk.", err)
	}
	err = take(partial, file)
	if errors.Is(err, fs.ErrExist) {
		return iot.NewError(iot.Conflict, "The file "+file+" exists already. Choose another name, or remove it first.")
	}
	if err != nil {
		return unavailable("The backup "+file+" cannot be written.", err)
	}
	return nil
}

// take gives a complete file its name, which is on disk when take returns. The error is
// fs.ErrExist if a file of that name was created meanwhile.
func take(partial, file string) error {
	err := os.Link(partial, file) // a link never replaces a file, unlike a rename
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = os.Rename(partial, file) // the file system has no links
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(file))
}

// partialOf returns the pattern of a file's temporary names while it is written.
func partialOf(name string) string { return "." + name + ".partial-*" }

// newPartial creates an empty file in the folder of the final one.
func newPartial(file string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(file), partialOf(filepath.Base(file)))
	if err != nil {
		return "", unavailable("The file "+file+" cannot be written. Check the folder and the disk.", err)
	}
	return f.Name(), f.Close()
}

// vacuumInto copies a database on its own connection, and moves the journal of the copy into
// its tables, so that a backup can be read without this program. target must be empty.
func vacuumInto(ctx context.Context, source, target string) error {
	q := url.Values{"_pragma": {"busy_timeout(10000)"}}
	db, err := sql.Open("sqlite", fileURI(source, q))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, `VACUUM INTO $1`, target); err != nil {
		return translate("copy the database", err)
	}
	return translate("move the journal of the copy", moveJournalOf(ctx, target))
}

func fileURI(path string, q url.Values) string {
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Restore makes a backup a data folder's database. It first checks the backup for damage
// and for a schema that this version knows. With replace it replaces an existing
// database; without, that is a conflict. No server may run on the folder. The old
// database stays unchanged until the new one is completely on disk.
func Restore(ctx context.Context, folder, file string, replace bool) error {
	if err := checkBackup(ctx, file); err != nil {
		return err
	}
	target := filepath.Join(folder, FileName)
	if _, err := os.Lstat(target); err == nil && !replace {
		return iot.NewError(iot.Conflict, "There is a database in "+folder+" already. Choose an empty folder, or replace it with -force.")
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return unavailable("The data folder "+folder+" cannot be created. Choose another with -data.", err)
	}
	partial, err := newPartial(target)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(partial) }()
	if err := copyFile(partial, file); err != nil {
		return unavailable("The backup cannot be copied to "+folder+". Check the disk.", err)
	}
	if err := dropLog(ctx, target); err != nil {
		return err
	}
	if err := os.Rename(partial, target); err != nil {
		return unavailable("The database "+target+" cannot be replaced.", err)
	}
	if err := syncFolder(folder); err != nil {
		return unavailable("The data folder cannot be written to disk.", err)
	}
	return nil
}

func copyFile(target, source string) error {
	from, err := os.Open(source)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	to, err := os.OpenFile(target, os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Sync(), to.Close())
}

// dropLog copies the WAL of a database into it and removes it. SQLite would apply a
// remaining WAL to the new database.
func dropLog(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err == nil {
		db, err := sql.Open("sqlite", fileURI(path, url.Values{"_pragma": {"busy_timeout(1000)"}}))
		if err != nil {
			return err
		}
		// This fails for a damaged database, which is replaced all the same.
		_, _ = db.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
		_ = db.Close()
	}
	for _, end := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unavailable("The file "+path+end+" cannot be removed.", err)
		}
	}
	return nil
}

// checkBackup returns Invalid unless a file is a complete database of Thingpost that this
// version can open.
func checkBackup(ctx context.Context, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return &iot.Error{Code: iot.Invalid, Message: "The backup " + file + " cannot be read.", Err: err}
	}
	no := func(err error) error {
		return &iot.Error{Code: iot.Invalid, Err: err,
			Message: "The file " + file + " is not a backup of Thingpost, or it is damaged. Nothing was changed."}
	}
	for _, log := range []string{"-wal", "-journal"} {
		if info, err := os.Stat(file + log); err == nil && info.Size() > 0 {
			return iot.NewError(iot.Invalid, "The file "+file+" is a database in use and no backup: a part of it is in "+file+log+
				", beside it. Make a backup with: thingpost backup. Nothing was changed.")
		}
	}
	q := url.Values{"mode": {"ro"}, "immutable": {"1"}}
	db, err := sql.Open("sqlite", fileURI(file, q))
	if err != nil {
		return no(err)
	}
	defer func() { _ = db.Close() }()
	current, err := schemaOf(ctx, db)
	if err != nil {
		return no(err)
	}
	if current == 0 {
		return no(errors.New("it has no schema of ours"))
	}
	newest, err := newestSchema()
	if err != nil {
		return err
	}
	if current > newest {
		return iot.NewError(iot.Invalid, "The backup "+file+" was made by a newer version of Thingpost. Restore it with that version.")
	}
	var size int64 // SQLite accepts a truncated last page as one that ends in zeros
	if err := db.QueryRowContext(ctx, `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`).Scan(&size); err != nil {
		return no(err)
	}
	if info.Size() != size {
		return no(fmt.Errorf("it has %d bytes and should have %d", info.Size(), size))
	}
	faults, err := integrity(ctx, db)
	if err != nil {
		return no(err)
	}
	if len(faults) > 0 {
		return no(errors.New(faults[0]))
	}
	return nil
}

// integrity returns the faults that SQLite finds in a database, at most ten.
func integrity(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, `PRAGMA integrity_check(10)`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var faults []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		if text != "ok" {
			faults = append(faults, text)
		}
	}
	return faults, rows.Err()
}
