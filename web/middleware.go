package web

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// Bounds of a request's body. They are above those of handlers, which have better error
// messages.
const (
	maxAPIBody  = 16 << 20
	maxFormBody = 4 << 20 // a message of 1 MiB, encoded as a form

	maxInspectedBody = 4 << 20 // more than any delivery has
)

// bodyTimeout bounds how long a large request's body can take to arrive. Small ones
// have requestTimeout.
const (
	bodyTimeout = 5 * time.Minute
	smallBody   = 64 << 10
)

// answerHeaders are values of headers in net/http's form, made once: a device's message
// should not pay for them.
type answerHeaders struct{ pageCSP, frames, unkept, opener, secretive, permissions, nosniff, referrer, hsts []string }

func newAnswerHeaders() answerHeaders {
	return answerHeaders{
		pageCSP: []string{"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
		frames:      []string{"DENY"},
		unkept:      []string{"no-store"},
		opener:      []string{"same-origin"},
		secretive:   []string{"no-referrer"},
		permissions: []string{"camera=(), geolocation=(), microphone=()"},
		nosniff:     []string{"nosniff"},
		referrer:    []string{"same-origin"},
		hsts:        []string{"max-age=31536000"},
	}
}

// outer is what every request passes: its id, the headers of all answers, recovery from
// panics, and a log line at level debug.
func (s *Server) outer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(s.o.Proxies) > 0 {
			behindProxies(s.o.Proxies, r)
		}
		h := w.Header()
		h[handlers.RequestIDHeader] = []string{s.requestID()}
		setReadDeadline(w, r)
		if r.ProtoMajor == 1 && (len(r.TransferEncoding) > 0 || r.ProtoMinor == 0) {
			// net/http reads the chunks and drops a Content-Length beside them; in
			// HTTP/1.0 it drops the chunks. A proxy in front may see what follows as
			// part of the body. So nothing can follow (RFC 9112, 6.3).
			h["Connection"] = []string{"close"}
		}
		h["X-Content-Type-Options"] = s.headers.nosniff
		if r.TLS != nil {
			h["Strict-Transport-Security"] = s.headers.hsts
		}
		if s.o.Log.Enabled(r.Context(), slog.LevelDebug) {
			rec := &recorder{ResponseWriter: w}
			w = rec
			defer s.logRequest(rec, r, s.o.Now())
		}
		if s.o.Intake != nil && r.Body != nil && r.Body != http.NoBody {
			defer admit(w, r, s.o.Intake).give()
		}
		defer s.recovered(w, r)
		next.ServeHTTP(w, r)
	})
}

// requestID counts requests after a prefix that differs with each start.
func (s *Server) requestID() string {
	return s.idPrefix + strconv.FormatUint(s.requests.Add(1), 36)
}

// recovered answers 500 if a handler panicked before it answered.
func (s *Server) recovered(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	s.o.Log.Error("handler panicked", slog.String("request_id", w.Header().Get(handlers.RequestIDHeader)), slog.String("method", r.Method),
		slog.String("path", loggedPath(r.URL.Path)), slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
	for _, name := range []string{"Content-Encoding", "Content-Length", "Etag", "Last-Modified"} {
		w.Header().Del(name) // of the answer that is not given
	}
	s.fail(w, r, fmt.Errorf("panic: %v", v))
}

// fail answers with an error: people with a page, programs in JSON.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	first := firstOf(r.URL.Path)
	if _, ok := s.segments[first]; s.o.Failure != nil && (!ok || first == "embed") {
		s.o.Failure(w, r, err)
		return
	}
	e := handlers.ErrorOf(err)
	if e.Code == iot.Internal {
		e.Message += " The request's id is " + w.Header().Get(handlers.RequestIDHeader) + "."
	}
	handlers.SetRetryAfter(w.Header(), e.Code)
	writeError(w, iot.NewError(e.Code, e.Message), handlers.StatusOf(err))
}

// loggedPath leaves out secrets of a path: the link to an embedded log, and the address
// of an inspector.
func loggedPath(path string) string {
	for _, prefix := range []string{"/embed/", "/inspect/"} {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			_, rest, deeper := strings.Cut(rest, "/")
			if deeper {
				return prefix + iot.Mask + "/" + rest
			}
			return prefix + iot.Mask
		}
	}
	return path
}

// logRequest leaves out the query: a set-up link has its token there.
func (s *Server) logRequest(rec *recorder, r *http.Request, start time.Time) {
	status := rec.status
	if status == 0 {
		status = http.StatusOK // net/http's default for a handler that wrote nothing
	}
	s.o.Log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("request_id", rec.Header().Get(handlers.RequestIDHeader)),
		slog.String("method", r.Method), slog.String("path", loggedPath(r.URL.Path)), slog.Int("status", status),
		slog.Int64("size_bytes", rec.size),
		slog.Int64("duration_ms", s.o.Now().Sub(start).Milliseconds()), slog.String("remote", r.RemoteAddr))
}

// recorder remembers the answer's status and size.
type recorder struct {
	http.ResponseWriter
	status int
	size   int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.size += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController flush and set deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// limitBody bounds the size of a request's body. A body with a smaller known length
// needs no reader of its own.
func limitBody(w http.ResponseWriter, r *http.Request, size int64) {
	if r.ContentLength >= 0 && r.ContentLength <= size {
		return
	}
	if b, ok := r.Body.(*intake); ok {
		b.ReadCloser = http.MaxBytesReader(w, b.ReadCloser, size)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, size)
}

// setReadDeadline sets the deadline of a large body, and removes it for a request
// without a body (live events, an export). A small body, as most requests of devices
// have, keeps the connection's requestTimeout: setting a deadline costs as much as
// decoding the message.
func setReadDeadline(w http.ResponseWriter, r *http.Request) {
	var at time.Time
	switch {
	case r.Body == nil || r.Body == http.NoBody:
	case r.ContentLength > 0 && r.ContentLength <= smallBody:
		return
	default:
		at = time.Now().Add(bodyTimeout) //nolint:forbidigo // connections use the system's clock
	}
	// A test's recorder has no deadline, and no client to wait for.
	_ = http.NewResponseController(w).SetReadDeadline(at)
}

// newCrossOrigin refuses changes sent from other sites' pages. The public URL is ours
// too: a proxy in front may change the Host header.
func (s *Server) newCrossOrigin() *http.CrossOriginProtection {
	p := http.NewCrossOriginProtection()
	if s.o.PublicURL != "" {
		// Invalid addresses are reported when options are checked.
		_ = p.AddTrustedOrigin(s.o.PublicURL)
	}
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, iot.NewError(iot.Forbidden, "This form was sent from another site, so nothing was changed. Send it from Thingpost’s own "+
			"page. If it was Thingpost’s own page, the operator must start Thingpost with -public-url and the address that browsers use."))
	}))
	return p
}

// withAccount puts the account that is signed in into the context.
func (s *Server) withAccount(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.o.Sessions == nil {
			next.ServeHTTP(w, r)
			return
		}
		a, err := s.o.Sessions.account(w, r)
		if err != nil {
			level := slog.LevelError
			if r.Context().Err() != nil {
				level = slog.LevelDebug // the client is gone
			}
			s.o.Log.LogAttrs(r.Context(), level, "read session", slog.String("request_id", w.Header().Get(handlers.RequestIDHeader)),
				slog.Any("error", err))
			s.fail(w, r, iot.NewError(iot.Unavailable, "Thingpost cannot read its database at the moment. Try again shortly."))
			return
		}
		if a != nil {
			r = r.WithContext(handlers.WithAccount(r.Context(), a))
		}
		next.ServeHTTP(w, r)
	})
}

// bearer allows requests that have the token.
func bearer(token iot.Secret, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		given = strings.TrimSpace(given)
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare([]byte(given), []byte(token.Reveal())) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeError(w, iot.NewError(iot.Unauthorized, "Send the token as Authorization: Bearer."), http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// readyFor is how long a check of the store is valid, so that frequent checks cost
// nothing. readyTimeout is how long a check can take.
const (
	readyFor     = 5 * time.Second
	readyTimeout = 5 * time.Second
)

// notReady returns why the server accepts no messages, or nil.
func (s *Server) notReady(ctx context.Context) error {
	if s.stopping.Load() {
		return iot.NewError(iot.Unavailable, "Thingpost is stopping.")
	}
	if s.o.Ready == nil {
		return nil
	}
	s.readyMu.Lock()
	defer s.readyMu.Unlock()
	if now := s.o.Now(); s.readyAt.IsZero() || now.Sub(s.readyAt) >= readyFor {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
		defer cancel()
		s.readyErr, s.readyAt = s.o.Ready(ctx), now
	}
	return s.readyErr
}

// Accepting reports whether messages can be stored, as of at most five seconds ago.
func (s *Server) Accepting(ctx context.Context) bool { return s.notReady(ctx) == nil }
