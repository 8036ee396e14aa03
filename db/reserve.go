package db

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// ReserveName is the name of the reserve in the data folder: a file that holds
// nothing and is given up when the disk is full, so that everything but new
// messages still finds room: outcomes of deliveries, sign-ins, and pruning. New
// messages are taken again when the disk has room for another reserve.
const ReserveName = "reserve"

// reserveShare of a disk is the most that a reserve takes. It must hold what the
// write-ahead log has not yet moved into the database (16 MiB).
const reserveShare = 4

// reserve is the file, known to the writer's goroutine alone once it runs.
type reserve struct {
	path string
	size int64 // 0: there is to be none
	held bool
}

func newReserve(folder string, size int64) reserve {
	if _, total, known := disk(folder); known {
		size = min(size, total/reserveShare)
	}
	return reserve{path: filepath.Join(folder, ReserveName), size: size}
}

// take makes the file if there is room for two of it, and reports whether it is
// there.
func (r *reserve) take() bool {
	if r.held || r.size == 0 {
		return r.held
	}
	if info, err := os.Stat(r.path); err == nil && info.Size() == r.size {
		r.held = true
		return true
	}
	if free, _, known := disk(filepath.Dir(r.path)); known && free < 2*r.size {
		return false
	}
	r.held = r.fill() == nil
	if !r.held {
		_ = os.Remove(r.path)
	}
	return r.held
}

// fill writes the file. Its bytes are random: some file systems keep nothing of
// zeros.
func (r *reserve) fill() error {
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{}), r.size)
	return errors.Join(err, f.Close())
}

// give removes the file. It reports whether that made room.
func (r *reserve) give() bool {
	if !r.held {
		return false
	}
	r.held = false
	err := os.Remove(r.path)
	return err == nil || errors.Is(err, fs.ErrNotExist)
}
