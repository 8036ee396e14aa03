package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"thingpost/internal/iot"
)

// lockName is the file in a data folder that a running server locks.
const lockName = "thingpost.lock"

var errLocked = errors.New("the folder is locked")

// lockFolder creates the data folder if needed, and locks it against every other server
// until unlock is called or the process ends.
func lockFolder(folder string) (unlock func(), err error) {
	err = os.MkdirAll(folder, 0o700)
	if err == nil {
		unlock, err = takeLock(folder)
	}
	if errors.Is(err, errLocked) {
		return nil, iot.NewError(iot.Unavailable, "Another Thingpost is running on the data folder "+folder+
			". Stop it first, or choose another with -data.")
	}
	if err != nil {
		return nil, &iot.Error{Code: iot.Unavailable, Message: "The data folder " + folder + " cannot be written. Check its owner and the " +
			"disk, or choose another with -data.", Err: err}
	}
	return unlock, nil
}

func takeLock(folder string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(folder, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	// For people to read; the lock does not depend on it.
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return func() { _ = f.Close() }, nil
}

// serverRuns reports whether a server has locked a data folder.
func serverRuns(folder string) bool {
	unlock, err := takeLock(folder)
	if err == nil {
		unlock()
	}
	return errors.Is(err, errLocked)
}
