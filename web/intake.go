package web

import (
	"hash/maphash"
	"io"
	"net"
	"net/http"
	"time"

	"thingpost/internal/budget"
	"thingpost/internal/iot"
)

// intakeWait is how long a request waits for memory for its body before it is refused
// with Retry-After.
const intakeWait = time.Second

// bodyStep is how much a body of unknown length reserves at a time.
const bodyStep = 64 << 10

// intake is a request's body that reserves memory from the budget before it is read,
// until the request ends. It reserves twice its length, since its results take some
// too. The sender is identified by the address until a handler sets the project.
type intake struct {
	io.ReadCloser
	w     http.ResponseWriter
	r     *http.Request
	part  *budget.Part
	of    int64 // the holder of its share; 0: unknown yet
	taken int64
	read  int64
	grown int64 // unpacked bytes
	room  int64 // reserved bytes for unpacking
}

// admit makes a request's body one that reserves memory. Call its give when the request
// has ended.
func admit(w http.ResponseWriter, r *http.Request, part *budget.Part) *intake {
	b := &intake{ReadCloser: r.Body, w: w, r: r, part: part}
	r.Body = b
	return b
}

// Share sets the project of the body; see handlers.Share.
func (b *intake) Share(project int64) {
	if b.taken == 0 {
		b.of = project
	}
}

// Read implements io.Reader. Its error is an iot.Error if there is no memory.
func (b *intake) Read(p []byte) (int, error) {
	switch {
	case b.taken == 0 && b.r.ContentLength > 0:
		if err := b.take(b.r.ContentLength); err != nil {
			return 0, err
		}
	case b.r.ContentLength < 0 && 2*b.read >= b.taken:
		if err := b.take(bodyStep); err != nil {
			return 0, err
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	return n, err
}

// Grow reserves memory for n more unpacked bytes. Its error is an iot.Error if there is
// none.
func (b *intake) Grow(n int64) error {
	for b.grown += n; b.grown > b.room; b.room += bodyStep {
		if err := b.take(bodyStep); err != nil {
			return err
		}
	}
	return nil
}

var addressSeed = maphash.MakeSeed()

func (b *intake) take(length int64) error {
	if b.of == 0 {
		host, _, err := net.SplitHostPort(b.r.RemoteAddr)
		if err != nil {
			host = b.r.RemoteAddr
		}
		b.of = -1 - int64(maphash.String(addressSeed, host)>>2) // not a project's key
	}
	n, why := b.part.Wait(b.r.Context(), b.of, 2*length, intakeWait)
	if why == budget.Granted {
		b.taken += n
		return nil
	}
	b.w.Header().Set("Retry-After", "1")
	if why == budget.Share {
		return iot.NewError(iot.RateLimited, "Too many messages of this sender are being stored at once. Nothing of this request was; try "+
			"again in 1 s.")
	}
	return iot.NewError(iot.Unavailable, "Too many messages are being stored at once. Nothing of this request was; try again in 1 s.")
}

func (b *intake) give() {
	b.part.Give(b.of, b.taken)
	b.taken = 0
}
