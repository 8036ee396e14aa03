//go:build linux || darwin

package db

import "syscall"

// disk returns the free and the total bytes of the file system of a folder; free is what
// this user may fill.
func disk(folder string) (free, total int64, ok bool) {
	var s syscall.Statfs_t
	if syscall.Statfs(folder, &s) != nil {
		return 0, 0, false
	}
	size := uint64(s.Bsize)
	return int64(s.Bavail * size), int64(s.Blocks * size), true
}
