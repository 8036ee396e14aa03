package db

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A reader of a SQLite database in WAL mode has a shared lock on one of these bytes of the
// -shm file during its transaction (sqlite.org/walformat.html, 2.2).
const firstReadLock, lastReadLock = 123, 127

// readersOf returns the processes that read a database in a transaction, by their locks on
// its -shm file, as far as this process may see them. known is false if the system does not
// report locks.
func readersOf(shm string) (pids []int, known bool) {
	info, err := os.Stat(shm)
	if err != nil {
		return nil, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, false
	}
	f, err := os.Open("/proc/locks")
	if err != nil {
		return nil, false
	}
	defer func() { _ = f.Close() }()
	inode := ":" + strconv.FormatUint(stat.Ino, 10)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// 1: POSIX  ADVISORY  READ 4711 fd:01:262401 124 124
		field := strings.Fields(lines.Text())
		if len(field) != 8 || field[3] != "READ" || !strings.HasSuffix(field[5], inode) {
			continue
		}
		pid, err := strconv.Atoi(field[4])
		from, ferr := strconv.Atoi(field[6])
		if err != nil || ferr != nil || pid <= 0 || from < firstReadLock || from > lastReadLock || slices.Contains(pids, pid) ||
			!mayHaveOpen(pid, shm) {
			continue
		}
		pids = append(pids, pid)
	}
	return pids, true
}

// mayHaveOpen is false if a process is known not to have a file open: then the inode number
// is that of another file on another disk.
func mayHaveOpen(pid int, path string) bool {
	folder := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(folder)
	if err != nil {
		return true // another user's process, or it has ended
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return true
	}
	if target, err = filepath.Abs(target); err != nil {
		return true
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(folder, e.Name())); err == nil && to == target {
			return true
		}
	}
	return false
}

// programName returns the name of a process's program.
func programName(pid int) string {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	if err != nil {
		return "a program"
	}
	return strings.TrimSpace(string(b))
}
