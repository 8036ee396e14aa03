package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"

	"thingpost/internal/iot"
)

// SQLite's result codes about which people can do something
// (https://www.sqlite.org/rescode.html).
const (
	codeBusy      = 5
	codeReadOnly  = 8
	codeIOErr     = 10
	codeCorrupt   = 11
	codeFull      = 13
	codeCantOpen  = 14
	codeNotADB    = 26
	codePrimary   = 1555
	codeUnique    = 2067
	codeRowIDUsed = 2579

	codeReadOnlyRollback = 776
)

func unavailable(message string, err error) *iot.Error {
	return &iot.Error{Code: iot.Unavailable, Message: message, Err: err}
}

// translate turns a driver's error into one of ours, by its code. doing names the
// operation. An *iot.Error passes unchanged.
func translate(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*iot.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return unavailable("The request was cancelled before it was done. Try again.", fmt.Errorf("%s: %w", doing, err))
	}
	err = fmt.Errorf("%s: %w", doing, err)
	if errors.Is(err, sql.ErrNoRows) {
		return &iot.Error{Code: iot.NotFound, Message: "It does not exist, or was deleted.", Err: err}
	}
	switch resultCode(err) & 0xff {
	case codeFull:
		return &iot.Error{Code: iot.StorageFull, Message: messageFull, Err: err}
	case codeReadOnly:
		return unavailable("The database cannot be written: the disk or the file is read-only.", err)
	case codeIOErr, codeCantOpen:
		return unavailable("The disk reports errors. Check it, and the data folder.", err)
	case codeCorrupt, codeNotADB:
		return unavailable("The database file is damaged. Restore a backup with: thingpost restore.", err)
	case codeBusy:
		return unavailable("The database is busy. Try again.", err)
	}
	return err
}

const messageFull = "The disk is full. Free some space, or shorten the retention."

func resultCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// isTaken reports whether a unique index refused a row.
func isTaken(err error) bool {
	switch resultCode(err) {
	case codePrimary, codeUnique, codeRowIDUsed:
		return true
	}
	return false
}

func (d *DB) openError(err error) error {
	switch resultCode(err) & 0xff {
	case codeCorrupt, codeNotADB:
		return unavailable("The database file "+d.path+" is damaged. Restore a backup with: thingpost restore -data DIR FILE.", err)
	}
	return translate("open "+d.path, err)
}

func notFound(what string) *iot.Error {
	return iot.NewError(iot.NotFound, "There is no such "+what+".")
}

// orNotFound turns the error of a query without a row into not_found of what is missing.
func orNotFound(what string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return notFound(what)
	}
	return translate("read "+what, err)
}

// isNoRow reports whether a query found no row.
func isNoRow(err error) bool { return errors.Is(err, sql.ErrNoRows) }
