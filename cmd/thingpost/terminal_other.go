//go:build !linux

package main

import (
	"errors"
	"os"
)

// hideTyping cannot hide what is typed on this system; give the password on
// standard input instead.
func hideTyping(*os.File) (show func(), err error) { return nil, errors.ErrUnsupported }
