package db

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// ReserveName is the name of the reserve in the data folder: a file without content that is
// removed when the disk is full. So everything except new messages still finds room:
// outcomes of deliveries, sign-ins, and pruning. New messages are accepted again when the
// disk has room for another reserve.
const ReserveName = "reserve"

// reserveShare limits a reserve to this part of a disk (a quarter). The reserve must have
// room for what the write-ahead log has not yet copied into the database (16 MiB).
const reserveShare = 4

// reserve is the file. Once the writer runs, only its goroutine uses it.
type reserve struct {
	path   string
	size   int64 // 0: no reserve
	exists bool
}

func newReserve(folder string, size int64) reserve {
	if _, total, known := disk(folder); known {
		size = min(size, total/reserveShare)
	}
	return reserve{path: filepath.Join(folder, ReserveName), size: size}
}

// take creates the file if there is room for two of it, and reports whether it exists.
func (r *reserve) take() bool {
	if r.exists || r.size == 0 {
		return r.exists
	}
	if info, err := os.Stat(r.path); err == nil && info.Size() == r.size {
		r.exists = true
		return true
	}
	if free, _, known := disk(filepath.Dir(r.path)); known && free < 2*r.size {
		return false
	}
	r.exists = r.fill() == nil
	if !r.exists {
		_ = os.Remove(r.path)
	}
	return r.exists
}

// fill writes the file. Its bytes are random, because some file systems store no zeros.
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
	if !r.exists {
		return false
	}
	r.exists = false
	err := os.Remove(r.path)
	return err == nil || errors.Is(err, fs.ErrNotExist)
}
