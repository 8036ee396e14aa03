//go:build unix

package main

import (
	"syscall"

	"thingpost/web"
)

// maxConnections is how many connections a listener can have: at most half of the files
// that the system lets the process open, since the store and webhooks need some too.
func maxConnections() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return web.DefaultConnections
	}
	return int(min(limit.Cur/2, web.DefaultConnections))
}
