package main

import (
	"database/sql"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	sqlite3 "modernc.org/sqlite/lib"
)

// asFaulty names the file through which a test says how the program's disk
// behaves, see disk.
const asFaulty = "THINGPOST_TEST_DISK"

// What a disk does.
const (
	diskWell  = iota
	diskFull  // what is there can be written again, but nothing grows
	diskError // every write and sync answers with an error
)

// disk is the state of a disk, in memory that a test and the program under test
// share. Its faults are made between SQLite and the operating system, in the
// functions that SQLite calls to write, truncate and sync its files: so they need
// no rights, and the one at the n-th write is just that.
type disk struct {
	does  atomic.Int64 // one of the above
	nth   atomic.Int64 // the first of so many operations from now is the last that works; 0 for none
	then  atomic.Int64 // what the disk does from the n-th on
	once  atomic.Int64 // 1: it does so for that one operation alone
	delay atomic.Int64 // of each sync, in nanoseconds
	ops   atomic.Int64 // operations so far
	bad   atomic.Int64 // of them, those that failed
}

// openDisk maps a disk's state.
func openDisk(path string) (*disk, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size := int(unsafe.Sizeof(disk{}))
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*disk)(unsafe.Pointer(&b[0])), nil
}

// faultyDisk returns a disk that is well, and the environment that makes the
// program use it.
func faultyDisk(t *testing.T) (*disk, []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	d, err := openDisk(path)
	must(t, err)
	return d, []string{asFaulty + "=" + path}
}

// heal makes the disk well.
func (d *disk) heal() {
	d.nth.Store(0)
	d.once.Store(0)
	d.delay.Store(0)
	d.does.Store(diskWell)
}

// failAt makes the n-th operation from now fail, and those after it unless it is
// to be just that one.
func (d *disk) failAt(n int64, does int64, once bool) {
	d.then.Store(does)
	d.once.Store(0)
	if once {
		d.once.Store(1)
	}
	d.nth.Store(n)
}

// fault counts an operation and returns SQLite's code for it, 0 to let it be
// done. grows says that it makes a file larger, failed is the code of an error.
func (d *disk) fault(grows bool, failed int32) int32 {
	d.ops.Add(1)
	does := d.does.Load()
	if d.nth.Load() > 0 && d.nth.Add(-1) == 0 {
		does = d.then.Load()
		if d.once.Load() == 0 {
			d.does.Store(does)
		} else {
			grows = true
		}
	}
	switch {
	case does == diskError:
	case does == diskFull && grows:
		failed = sqlite3.SQLITE_FULL
	default:
		return 0
	}
	d.bad.Add(1)
	return failed
}

// The functions of a SQLite file that are put in between; the first parameter is
// the thread's state, which is handed on as it came.
type (
	xOpen     = func(tls unsafe.Pointer, vfs, name, file uintptr, flags int32, out uintptr) int32
	xWrite    = func(tls unsafe.Pointer, file, from uintptr, n int32, at int64) int32
	xTruncate = func(tls unsafe.Pointer, file uintptr, size int64) int32
	xSync     = func(tls unsafe.Pointer, file uintptr, flags int32) int32
	xFileSize = func(tls unsafe.Pointer, file, size uintptr) int32
)

// pointer is a function as SQLite's code holds it, called the reverse.
func pointer[F any](f *F) uintptr { return *(*uintptr)(unsafe.Pointer(f)) }
func called[F any](p uintptr) F   { return *(*F)(unsafe.Pointer(&p)) }

// at is what lies at an address of SQLite's memory.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// shim is what only SQLite's code points to once it is in place.
type shim struct {
	disk    *disk
	open    xOpen
	mu      sync.Mutex
	size    int64                    // of a file: its address must not be on a stack, which may move
	patched map[uintptr]*fileMethods // by the methods of SQLite's own
}

type fileMethods struct {
	table    sqlite3.Tsqlite3_io_methods
	write    xWrite
	truncate xTruncate
	sync     xSync
}

// useFaultyDisk puts the faults of a disk between SQLite and the system, for all
// files of this process that are opened from now on.
func useFaultyDisk(path string) error {
	d, err := openDisk(path)
	if err != nil {
		return err
	}
	// SQLite sets itself up when it is first used.
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return err
	}
	if err := db.Ping(); err != nil {
		return err
	}
	defer db.Close()
	// By reflection, since the type of the thread's state is another module's.
	find := reflect.ValueOf(sqlite3.Xsqlite3_vfs_find)
	found := find.Call([]reflect.Value{reflect.New(find.Type().In(0).Elem()), reflect.ValueOf(uintptr(0))})
	vfs := at[sqlite3.Tsqlite3_vfs](uintptr(found[0].Uint()))
	open := called[xOpen](vfs.FxOpen)
	s := &shim{disk: d, patched: map[uintptr]*fileMethods{}}
	s.open = func(tls unsafe.Pointer, v, name, file uintptr, flags int32, out uintptr) int32 {
		code := open(tls, v, name, file, flags, out)
		if f := at[sqlite3.Tsqlite3_file](file); code == 0 && f.FpMethods != 0 {
			f.FpMethods = uintptr(unsafe.Pointer(&s.methods(f.FpMethods).table))
		}
		return code
	}
	vfs.FxOpen = pointer(&s.open)
	inPlace = s
	return nil
}

var inPlace *shim // keeps it, since only SQLite's code points to it

// methods returns the functions of a file with the faults in between.
func (s *shim) methods(own uintptr) *fileMethods {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.patched[own]; m != nil {
		return m
	}
	m := &fileMethods{table: *at[sqlite3.Tsqlite3_io_methods](own)}
	s.patched[own] = m
	write, truncate, sync, size := called[xWrite](m.table.FxWrite), called[xTruncate](m.table.FxTruncate), called[xSync](m.table.FxSync), called[xFileSize](m.table.FxFileSize)
	m.write = func(tls unsafe.Pointer, file, from uintptr, n int32, offset int64) int32 {
		s.mu.Lock()
		grows := size(tls, file, uintptr(unsafe.Pointer(&s.size))) == 0 && offset+int64(n) > s.size
		s.mu.Unlock()
		if code := s.disk.fault(grows, sqlite3.SQLITE_IOERR_WRITE); code != 0 {
			if n > 1 && !grows {
				write(tls, file, from, n/2, offset) // torn, as a disk may leave it
			}
			return code
		}
		return write(tls, file, from, n, offset)
	}
	m.truncate = func(tls unsafe.Pointer, file uintptr, to int64) int32 {
		if code := s.disk.fault(false, sqlite3.SQLITE_IOERR_TRUNCATE); code != 0 {
			return code
		}
		return truncate(tls, file, to)
	}
	m.sync = func(tls unsafe.Pointer, file uintptr, flags int32) int32 {
		if wait := time.Duration(s.disk.delay.Load()); wait > 0 {
			<-time.After(wait)
		}
		if code := s.disk.fault(false, sqlite3.SQLITE_IOERR_FSYNC); code != 0 {
			return code
		}
		return sync(tls, file, flags)
	}
	m.table.FxWrite, m.table.FxTruncate, m.table.FxSync = pointer(&m.write), pointer(&m.truncate), pointer(&m.sync)
	return m
}
