//go:build !linux

package main

import (
	"errors"
	"os"
)

// hideTyping cannot hide typed text on this system. Pass the password on standard input
// instead.
func hideTyping(*os.File) (show func(), err error) { return nil, errors.ErrUnsupported }
