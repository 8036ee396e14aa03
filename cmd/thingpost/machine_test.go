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

// onMachine names the file through which a test sets the program's disk and clock; see
// machine.
const onMachine = "THINGPOST_TEST_MACHINE"

// States of a disk.
const (
	diskWell  = iota
	diskFull  // existing bytes can be overwritten, but nothing grows
	diskError // every write and sync fails
)

// machine is the disk and the clock of the program under test, in memory shared with
// the test.
type machine struct {
	set    atomic.Int64 // seconds by which the clock was set
	passed atomic.Int64 // nanoseconds that passed beside the test's own

	does  atomic.Int64 // state of the disk, one of the above
	nth   atomic.Int64 // the operation from now at which it changes its state; 0 for none
	then  atomic.Int64 // that thing
	once  atomic.Int64 // 1: only for that operation
	room  atomic.Int64 // bytes by which files can still grow on a full disk
	delay atomic.Int64 // of each sync, in nanoseconds
	bad   atomic.Int64 // operations that failed so far
}

// openMachine maps a machine's state.
func openMachine(path string) (*machine, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size := int(unsafe.Sizeof(machine{}))
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*machine)(unsafe.Pointer(&b[0])), nil
}

// newMachine returns a healthy machine, and the environment that makes the program use
// it.
func newMachine(t *testing.T) (*machine, []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "machine")
	m, err := openMachine(path)
	must(t, err)
	return m, []string{onMachine + "=" + path}
}

// now is the machine's clock. Setting it changes wall time but not the monotonic time
// in a time.Time, as on a real machine. Writing into the time.Time is the only way to
// make such a value.
func (m *machine) now() time.Time {
	t := time.Now().Add(time.Duration(m.passed.Load()))
	const secondsShift = 30 // in the first word, beside the nanoseconds
	*(*uint64)(unsafe.Pointer(&t)) += uint64(m.set.Load()) << secondsShift
	return t
}

// setClock sets the clock by a whole number of seconds.
func (m *machine) setClock(by time.Duration) { m.set.Add(int64(by / time.Second)) }

// pass advances time.
func (m *machine) pass(d time.Duration) { m.passed.Add(int64(d)) }

func TestASetClockStaysSteady(t *testing.T) {
	m, _ := newMachine(t)
	began := time.Now()
	before := m.now()
	for _, by := range []time.Duration{24 * time.Hour, -48 * time.Hour, -50 * 365 * 24 * time.Hour} {
		was := m.now()
		m.setClock(by)
		after := m.now()
		if moved := after.Round(0).Sub(was.Round(0)) - after.Sub(was); (moved - by).Abs() > time.Second {
			t.Errorf("set by %s it shows %s more", by, moved)
		}
		if gone, most := after.Sub(before), time.Since(began); gone < 0 || gone > most {
			t.Errorf("set by %s it lets %s of %s go by", by, gone, most)
		}
	}
	m.pass(time.Hour)
	if gone := m.now().Sub(before); gone < time.Hour {
		t.Errorf("of an hour it lets %s go by", gone)
	}
}

// heal repairs the disk.
func (m *machine) heal() {
	m.nth.Store(0)
	m.delay.Store(0)
	m.does.Store(diskWell)
}

// failAt makes the n-th operation of the disk from now fail, and those after it unless
// only that one is to fail.
func (m *machine) failAt(n, does int64, once bool) {
	m.then.Store(does)
	m.once.Store(0)
	if once {
		m.once.Store(1)
	}
	m.nth.Store(n)
}

// fault returns SQLite's code for a failing operation, 0 if it is to be done. growth is
// by how much it enlarges a file, failed the error code.
func (m *machine) fault(growth int64, failed int32) int32 {
	does := m.does.Load()
	if m.nth.Load() > 0 && m.nth.Add(-1) == 0 {
		does = m.then.Load()
		if m.once.Load() == 0 {
			m.does.Store(does)
		} else {
			growth = 1 << 40
		}
	}
	switch {
	case does == diskError:
	case does == diskFull && growth > 0 && m.room.Add(-growth) < 0:
		m.room.Add(growth)
		failed = sqlite3.SQLITE_FULL
	default:
		return 0
	}
	m.bad.Add(1)
	return failed
}

// The intercepted functions of a SQLite file. The first parameter is the thread's
// state, which is passed on.
type (
	xOpen     = func(tls unsafe.Pointer, vfs, name, file uintptr, flags int32, out uintptr) int32
	xWrite    = func(tls unsafe.Pointer, file, from uintptr, n int32, at int64) int32
	xTruncate = func(tls unsafe.Pointer, file uintptr, size int64) int32
	xSync     = func(tls unsafe.Pointer, file uintptr, flags int32) int32
	xFileSize = func(tls unsafe.Pointer, file, size uintptr) int32
)

// pointer is a function in the form of SQLite's code, called the reverse.
func pointer[F any](f *F) uintptr { return *(*uintptr)(unsafe.Pointer(f)) }
func called[F any](p uintptr) F   { return *(*F)(unsafe.Pointer(&p)) }

// at is the value at an address of SQLite's memory.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// shim is between SQLite and the system.
type shim struct {
	machine *machine
	open    xOpen
	mu      sync.Mutex
	size    *int64                   // of a file, outside
	patched map[uintptr]*fileMethods // by the methods of SQLite's own
}

type fileMethods struct {
	table    *sqlite3.Tsqlite3_io_methods // outside
	write    xWrite
	truncate xTruncate
	sync     xSync
}

// outside returns memory that is not Go's: the race detector allows SQLite's code to
// use no other addresses.
func outside[T any]() (*T, error) {
	b, err := syscall.Mmap(-1, 0, int(unsafe.Sizeof(*new(T))), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, err
	}
	return (*T)(unsafe.Pointer(&b[0])), nil
}

// inPlace keeps the shim: only SQLite's code points to it.
var inPlace *shim

// use puts the machine's disk under all files of SQLite that this process opens from
// now on.
func (m *machine) use() error {
	// SQLite initializes itself at its first use.
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Ping(); err != nil {
		return err
	}
	// By reflection: the type of the thread's state is another module's.
	find := reflect.ValueOf(sqlite3.Xsqlite3_vfs_find)
	found := find.Call([]reflect.Value{reflect.New(find.Type().In(0).Elem()), reflect.ValueOf(uintptr(0))})
	vfs := at[sqlite3.Tsqlite3_vfs](uintptr(found[0].Uint()))
	open := called[xOpen](vfs.FxOpen)
	size, err := outside[int64]()
	if err != nil {
		return err
	}
	s := &shim{machine: m, size: size, patched: map[uintptr]*fileMethods{}}
	s.open = func(tls unsafe.Pointer, v, name, file uintptr, flags int32, out uintptr) int32 {
		code := open(tls, v, name, file, flags, out)
		if f := at[sqlite3.Tsqlite3_file](file); code == 0 && f.FpMethods != 0 {
			f.FpMethods = uintptr(unsafe.Pointer(s.methods(f.FpMethods).table))
		}
		return code
	}
	vfs.FxOpen = pointer(&s.open)
	inPlace = s
	return nil
}

// methods returns the functions of a file with faults.
func (s *shim) methods(own uintptr) *fileMethods {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.patched[own]; m != nil {
		return m
	}
	table, err := outside[sqlite3.Tsqlite3_io_methods]()
	if err != nil {
		panic(err)
	}
	*table = *at[sqlite3.Tsqlite3_io_methods](own)
	m := &fileMethods{table: table}
	s.patched[own] = m
	write, truncate, sync := called[xWrite](m.table.FxWrite), called[xTruncate](m.table.FxTruncate), called[xSync](m.table.FxSync)
	size := func(tls unsafe.Pointer, file uintptr) int64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		if called[xFileSize](at[sqlite3.Tsqlite3_io_methods](own).FxFileSize)(tls, file, uintptr(unsafe.Pointer(s.size))) != 0 {
			return 0
		}
		return *s.size
	}
	m.write = func(tls unsafe.Pointer, file, from uintptr, n int32, offset int64) int32 {
		growth := offset + int64(n) - size(tls, file)
		if code := s.machine.fault(growth, sqlite3.SQLITE_IOERR_WRITE); code != 0 {
			if n > 1 && growth <= 0 {
				write(tls, file, from, n/2, offset) // torn, as a disk can leave it
			}
			return code
		}
		return write(tls, file, from, n, offset)
	}
	m.truncate = func(tls unsafe.Pointer, file uintptr, to int64) int32 {
		if code := s.machine.fault(0, sqlite3.SQLITE_IOERR_TRUNCATE); code != 0 {
			return code
		}
		s.machine.room.Add(max(0, size(tls, file)-to))
		return truncate(tls, file, to)
	}
	m.sync = func(tls unsafe.Pointer, file uintptr, flags int32) int32 {
		if wait := time.Duration(s.machine.delay.Load()); wait > 0 {
			<-time.After(wait)
		}
		if code := s.machine.fault(0, sqlite3.SQLITE_IOERR_FSYNC); code != 0 {
			return code
		}
		return sync(tls, file, flags)
	}
	m.table.FxWrite, m.table.FxTruncate, m.table.FxSync = pointer(&m.write), pointer(&m.truncate), pointer(&m.sync)
	return m
}
