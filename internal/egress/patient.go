package egress

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// lateAnswer is how long to wait, after a write has failed, for what the receiver wrote
// before it closed its connection.
const lateAnswer = 250 * time.Millisecond

// writeEnds is how long a read that found the end waits for the write in progress.
const writeEnds = 50 * time.Millisecond

// patientConn reports a failed write a moment later, unless it is hasty. net/http ends a
// request at once, though an unread answer or TLS alert may say why.
//
// The kernel reports a reset once: to the write or to the read. A read after such a write
// finds the end of the stream. patientConn reports the reset to both.
type patientConn struct {
	net.Conn
	once    sync.Once
	ended   chan struct{} // nothing more will be read
	writing chan struct{} // holds one element during a write
	reset   atomic.Bool   // a write found that the receiver reset the connection
	hasty   bool          // set before the first use
	instant bool          // reads do not wait, and writes are refused; set while idle
	refused bool          // a write was
	arrived *instantReader
}

func newPatientConn(conn net.Conn) *patientConn {
	return &patientConn{Conn: conn, ended: make(chan struct{}), writing: make(chan struct{}, 1), arrived: newInstantReader(conn)}
}

func (c *patientConn) Read(p []byte) (int, error) {
	if c.instant {
		return c.arrived.Read(p)
	}
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.EOF) && c.wasReset() {
		err = &net.OpError{Op: "read", Net: "tcp", Addr: c.RemoteAddr(), Err: syscall.ECONNRESET}
	}
	if err != nil {
		c.once.Do(func() { close(c.ended) })
	}
	return n, err
}

// wasReset reports whether a write, also one that is just ending, found a reset.
func (c *patientConn) wasReset() bool {
	timer := time.NewTimer(writeEnds)
	defer timer.Stop()
	select {
	case c.writing <- struct{}{}:
		<-c.writing
	case <-timer.C:
	}
	return c.reset.Load()
}

func (c *patientConn) Write(p []byte) (int, error) {
	if c.instant {
		c.refused = true
		return 0, errNothing
	}
	n, err := c.write(p)
	if err != nil && !c.hasty && broken(err) {
		timer := time.NewTimer(lateAnswer)
		select {
		case <-c.ended:
		case <-timer.C:
		}
		timer.Stop()
	}
	return n, err
}

func (c *patientConn) write(p []byte) (int, error) {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	n, err := c.Conn.Write(p)
	if errors.Is(err, syscall.ECONNRESET) {
		c.reset.Store(true)
	}
	return n, err
}

func (c *patientConn) Close() error {
	c.once.Do(func() { close(c.ended) })
	return c.Conn.Close()
}

// errNothing is what an instant read returns if nothing has arrived. TLS goes on after it.
// It is also that of a refused write.
var errNothing net.Error = nothingError{}

type nothingError struct{}

func (nothingError) Error() string   { return "nothing has arrived" }
func (nothingError) Timeout() bool   { return true }
func (nothingError) Temporary() bool { return true }
