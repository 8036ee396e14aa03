//go:build unix

package main

import "syscall"

// maxConnections is how many connections a listener may have: half of the files
// that the system lets the process open, since the store and webhooks need some
// too. 0 is as many as usual.
func maxConnections() int {
	const most = 8192
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur/2 >= most {
		return 0
	}
	return int(limit.Cur / 2)
}
