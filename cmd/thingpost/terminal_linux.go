package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// hideTyping makes a terminal hide what is typed until show is called. It fails for
// anything but a terminal.
func hideTyping(f *os.File) (show func(), err error) {
	fd := int(f.Fd())
	state, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	hidden := *state
	hidden.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &hidden); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, state) }, nil
}
