package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"thingpost/internal/iot"
)

// lockName is the file in a data folder that a server holds while it runs.
const lockName = "thingpost.lock"

var errLocked = errors.New("the lock is held")

// lockFolder makes the data folder if need be and keeps every other server off
// it until unlock is called, or the process ends in whatever way.
func lockFolder(folder string) (unlock func(), err error) {
	refuse := func(err error) (func(), error) {
		return nil, &iot.Error{Code: iot.Unavailable, Message: "The data folder " + folder + " cannot be written. Check its owner and the disk, or choose another with -data.", Err: err}
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return refuse(err)
	}
	f, err := os.OpenFile(filepath.Join(folder, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return refuse(err)
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		if errors.Is(err, errLocked) {
			return nil, iot.NewError(iot.Unavailable, "Another Thingpost is running on the data folder "+folder+". Stop it first, or choose another with -data.")
		}
		return refuse(err)
	}
	// For people who look; the lock does not depend on it.
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return func() { _ = f.Close() }, nil
}
