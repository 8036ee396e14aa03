//go:build !unix

package egress

import (
	"errors"
	"net"
	"os"
	"time"
)

// readsAtOnce means that a read that waits for nothing takes no time.
const readsAtOnce = false

// instantReader reads from a connection what has already arrived.
type instantReader struct{ conn net.Conn }

func newInstantReader(conn net.Conn) *instantReader { return &instantReader{conn} }

// Read returns errNothing instead of waiting for more than a moment: a deadline in the past
// would not even look.
func (r *instantReader) Read(p []byte) (int, error) {
	if err := r.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil { //nolint:forbidigo // connections use the system's clock
		return 0, err
	}
	n, err := r.conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errNothing
	}
	if e := r.conn.SetReadDeadline(time.Time{}); e != nil {
		return n, e
	}
	return n, err
}
