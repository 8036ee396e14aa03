package handlers

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"thingpost/internal/iot"
)

// AcceptedEncodings is the value of an answer's header Accept-Encoding: the accepted
// encodings of bodies (RFC 9110, section 12.5.3).
const AcceptedEncodings = "gzip, identity"

// isPacked reports whether a request's body is gzip; unsupported_media_type if it has
// another encoding, or several.
func isPacked(r *http.Request) (bool, error) {
	packed := false
	for _, line := range r.Header["Content-Encoding"] {
		for name := range strings.SplitSeq(line, ",") {
			switch name = strings.ToLower(strings.TrimSpace(name)); {
			case name == "" || name == "identity":
			case (name == "gzip" || name == "x-gzip") && !packed:
				packed = true
			default:
				return false, iot.NewError(iot.UnsupportedMediaType, "Unknown Content-Encoding. Send the body unpacked, or packed "+
					"once with gzip.")
			}
		}
	}
	return packed, nil
}

// unpackers is a pool of gzip readers: each has some 40 KiB.
var unpackers = sync.Pool{New: func() any { return new(gzip.Reader) }}

// unpack returns the content of a gzip body; too_large as soon as the content or the
// body exceeds limit.
func unpack(body io.Reader, limit int64) ([]byte, error) {
	// Incompressible bytes grow a little when packed. Without this bound a body of
	// empty members would cost time and never reach the other bound.
	in := &io.LimitedReader{R: body, N: limit + limit/64 + 1<<10}
	z, _ := unpackers.Get().(*gzip.Reader)
	defer func() {
		in.R = nil // z stays in the pool with in, and must not keep the request
		unpackers.Put(z)
	}()
	err := z.Reset(in)
	var b []byte
	if err == nil {
		var out io.Reader = z
		if g, ok := body.(grower); ok {
			out = &growing{z, g}
		}
		b, err = io.ReadAll(io.LimitReader(out, limit+1))
	}
	if e, ok := errors.AsType[*iot.Error](err); ok {
		return nil, e // no memory for it
	}
	_, cut := errors.AsType[*http.MaxBytesError](err)
	switch {
	case int64(len(b)) > limit || cut || err != nil && in.N <= 0:
		return nil, tooLarge(limit)
	case err != nil:
		return nil, &iot.Error{Code: iot.Invalid, Message: "The body is not gzip as its Content-Encoding says, or it ends too early.",
			Err: err}
	}
	return b, nil
}

// grower is a body that reserves memory for its unpacked bytes. Its errors are
// iot.Errors.
type grower interface{ Grow(n int64) error }

// growing reports each piece that it returns to a grower.
type growing struct {
	io.Reader
	body grower
}

func (g *growing) Read(p []byte) (int, error) {
	n, err := g.Reader.Read(p)
	if grown := g.body.Grow(int64(n)); grown != nil {
		return n, grown
	}
	return n, err
}
