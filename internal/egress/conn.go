package egress

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// bufferSize is that of a connection's buffers. A request that fits is written at once,
// by the caller's goroutine: the system takes that much without a reader at the other end.
const bufferSize = 4 << 10

// Connections without an exchange need no buffers.
var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, bufferSize) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, bufferSize) }}
)

// errHeaders ends an exchange whose answer has more than maxHeaderBytes of headers.
var errHeaders = errors.New("the answer's headers are too large")

// past is a deadline that ends what waits.
var past = time.Unix(1, 0)

// conn is a connection for HTTP/1.1. It has no goroutine: an exchange runs on that of its
// caller. Only one exchange uses it at a time, and only while it is not in the pool.
type conn struct {
	stream net.Conn // a *tls.Conn, or raw
	raw    *patientConn
	pool   *pool
	host   hostKey
	used   bool      // it carried a request
	since  time.Time // it is idle
	one    [1]byte   // of quiet

	// Of the exchange in progress:
	in       *bufio.Reader
	left     int64         // bytes that may be read
	stop     func() bool   // ends the watch on the context
	written  chan struct{} // closed when the goroutine that writes has ended; nil without one
	writeErr error         // why the request was not written; after written, if there is one
}

// newConn makes a connection of a dialled one that does not speak HTTP/2.
func newConn(stream net.Conn, p *pool, host hostKey) *conn {
	c := &conn{stream: stream, pool: p, host: host}
	if secure, ok := stream.(*tls.Conn); ok {
		c.raw, _ = secure.NetConn().(*patientConn)
	} else {
		c.raw, _ = stream.(*patientConn)
	}
	c.raw.hasty = true
	return c
}

// roundTrip sends a request, and returns its answer when the answer's head is there. The
// answer's body must be closed; then the connection is free. After an error it is closed.
func (c *conn) roundTrip(x *exchange, req *http.Request) (*http.Response, error) {
	x.conn, x.reused = c.stream, c.used
	x.connected = x.elapsed()
	c.used, c.written, c.writeErr = true, nil, nil
	c.in, _ = readers.Get().(*bufio.Reader)
	c.in.Reset(c)
	c.stop = context.AfterFunc(x.Context, c.interrupt)
	if requestSize(req) <= bufferSize {
		c.write(x, req)
	} else {
		// The receiver can answer before it has read everything.
		c.written = make(chan struct{})
		go func() { // ends with the exchange; see finish
			defer close(c.written)
			c.write(x, req)
		}()
	}
	resp, err := c.readHead(x, req)
	if err != nil {
		c.finish(false)
		if x.Err() == nil && errors.Is(err, os.ErrDeadlineExceeded) { // see write
			err = cmp.Or(c.writeErr, err)
		}
		return nil, err
	}
	resp.Body = &answerBody{body: resp.Body, conn: c, ended: resp.Body == http.NoBody,
		keep: !resp.Close && !req.Close && resp.StatusCode >= 200}
	return resp, nil
}

// requestSize is about the number of bytes of a request; not less.
func requestSize(req *http.Request) int {
	const more = 256 // what the writer adds
	n := more + len(req.Method) + 3*(len(req.URL.Path)+len(req.URL.RawQuery)+len(req.URL.Host)) + int(req.ContentLength)
	for name, values := range req.Header {
		for _, v := range values {
			n += len(name) + len(v) + 4
		}
	}
	return n
}

// write writes a request. An answer can be there though the write failed: it is read
// then, for a moment.
func (c *conn) write(x *exchange, req *http.Request) {
	out, _ := writers.Get().(*bufio.Writer)
	out.Reset(c.stream)
	err := req.Write(out)
	if err == nil {
		err = out.Flush()
	} else if _, first := out.Write(nil); first != nil {
		err = first // Request.Write hides it if it came inside the body
	}
	out.Reset(nil)
	writers.Put(out)
	if err == nil {
		x.wrote.Store(int64(x.elapsed()))
		return
	}
	c.writeErr = err
	until := past
	if broken(err) {
		until = time.Now().Add(lateAnswer) //nolint:forbidigo // connections use the system's clock
	}
	_ = c.raw.SetReadDeadline(until) // a closed connection ends the read as well
	if x.Err() != nil {
		c.interrupt()
	}
}

// interrupt ends what waits for the connection.
func (c *conn) interrupt() { _ = c.raw.SetDeadline(past) }

// readHead reads the head of the final answer.
func (c *conn) readHead(x *exchange, req *http.Request) (*http.Response, error) {
	c.left = maxHeaderBytes
	if _, err := c.in.Peek(1); err != nil {
		return nil, err
	}
	x.firstByte()
	for {
		resp, err := http.ReadResponse(c.in, req)
		switch {
		case err != nil && c.left <= 0:
			return nil, errHeaders
		case err != nil:
			return nil, err
		case resp.StatusCode >= 200 || resp.StatusCode < 100 || resp.StatusCode == http.StatusSwitchingProtocols:
			c.left = math.MaxInt64 // Result.read bounds the body
			return resp, nil
		}
		if err := x.gotInterim(resp.StatusCode, nil); err != nil {
			return nil, err
		}
		c.left = maxHeaderBytes
	}
}

// Read reads for the buffer, no more than is left.
func (c *conn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errHeaders
	}
	n, err := c.stream.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// answerBody is the body of an answer. It holds the connection until it is closed.
type answerBody struct {
	body  io.Reader
	conn  *conn
	keep  bool // both sides want to keep the connection
	ended bool // everything was read
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if errors.Is(err, io.EOF) {
		b.ended = true
	}
	return n, err
}

// Close frees the connection: it is kept if the whole answer was read and both sides want
// it.
func (b *answerBody) Close() error {
	if b.conn != nil {
		b.conn.finish(b.ended && b.keep)
		b.conn = nil
	}
	return nil
}

// finish ends the exchange. It keeps the connection if that is wanted and possible, and
// closes it otherwise. Nothing is written any more then.
func (c *conn) finish(keep bool) {
	// If the watch has begun to interrupt, it could interrupt the next exchange.
	keep = c.stop() && keep && c.in.Buffered() == 0 && c.sent()
	c.in.Reset(nil)
	readers.Put(c.in)
	c.in = nil
	switch {
	case !keep:
		_ = c.raw.Close()
		if c.written != nil {
			<-c.written
		}
	case !c.pool.put(c):
		c.close()
	}
}

// close closes an idle connection. TLS says goodbye, for which it may wait.
func (c *conn) close() {
	if c.stream == net.Conn(c.raw) {
		_ = c.raw.Close()
		return
	}
	go func() { _ = c.stream.Close() }() // ends in 5 s at the latest
}

// sent reports whether the request was written, also if that is just ending.
func (c *conn) sent() bool {
	if c.written != nil {
		timer := time.NewTimer(writeEnds)
		defer timer.Stop()
		select {
		case <-c.written:
		case <-timer.C:
			return false
		}
	}
	return c.writeErr == nil
}

// quiet reports whether an idle connection can carry a request: it is open, and nothing
// came that no request asked for. TLS may read its own messages, such as session tickets,
// but not answer them: a receiver that reads nothing could make that wait.
func (c *conn) quiet() bool {
	c.raw.instant = true
	n, err := c.stream.Read(c.one[:])
	c.raw.instant = false
	return n == 0 && errors.Is(err, errNothing) && !c.raw.refused
}
