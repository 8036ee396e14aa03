//go:build unix

package egress

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// readsAtOnce means that a read that waits for nothing takes no time.
const readsAtOnce = true

// instantReader reads from a connection what has already arrived.
type instantReader struct {
	raw syscall.RawConn
	try func(fd uintptr) bool // read; made once
	p   []byte
	n   int
	err error
}

func newInstantReader(conn net.Conn) *instantReader {
	r := &instantReader{}
	if c, ok := conn.(syscall.Conn); ok {
		r.raw, r.err = c.SyscallConn()
	}
	r.try = r.read
	return r
}

func (r *instantReader) read(fd uintptr) bool {
	for {
		r.n, r.err = syscall.Read(int(fd), r.p)
		if !errors.Is(r.err, syscall.EINTR) {
			return true
		}
	}
}

// Read returns errNothing instead of waiting.
func (r *instantReader) Read(p []byte) (int, error) {
	if r.raw == nil {
		return 0, io.EOF
	}
	r.p = p
	err := r.raw.Read(r.try)
	r.p = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(r.err, syscall.EAGAIN):
		return 0, errNothing
	case r.err != nil:
		return 0, r.err
	case r.n == 0:
		return 0, io.EOF
	}
	return r.n, nil
}
