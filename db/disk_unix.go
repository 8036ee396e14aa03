//go:build linux || darwin

package db

import "syscall"

// disk returns the free and the whole size of the file system that a folder is
// on, in bytes; free is what this user may fill.
func disk(folder string) (free, total int64, ok bool) {
	var s syscall.Statfs_t
	if syscall.Statfs(folder, &s) != nil {
		return 0, 0, false
	}
	size := uint64(s.Bsize)
	return int64(s.Bavail * size), int64(s.Blocks * size), true
}
