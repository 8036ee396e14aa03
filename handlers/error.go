package handlers

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"thingpost/internal/iot"
)

// statusOf returns the HTTP status of a code in the API. HTML forms answer Invalid with
// 422 instead. An unknown code counts as internal.
func statusOf(c iot.Code) int {
	switch c {
	case iot.Invalid:
		return http.StatusBadRequest
	case iot.Unauthorized:
		return http.StatusUnauthorized
	case iot.Forbidden:
		return http.StatusForbidden
	case iot.NotFound:
		return http.StatusNotFound
	case iot.Conflict, iot.LimitReached:
		return http.StatusConflict
	case iot.TooLarge:
		return http.StatusRequestEntityTooLarge
	case iot.UnsupportedMediaType:
		return http.StatusUnsupportedMediaType
	case iot.RateLimited:
		return http.StatusTooManyRequests
	case iot.Unavailable:
		return http.StatusServiceUnavailable
	case iot.StorageFull:
		return http.StatusInsufficientStorage
	case iot.Internal:
	}
	return http.StatusInternalServerError
}

// StatusOf returns the HTTP status of an error in the API.
func StatusOf(err error) int { return statusOf(iot.CodeOf(err)) }

// Problem is an error as shown to people.
type Problem struct {
	Status  int
	Code    iot.Code
	Title   string // two or three words
	Message string // a sentence that says what to do
}

// problemOf returns how to show an error to people. For an error that is not an
// iot.Error it is a neutral sentence with the request's id.
func problemOf(w http.ResponseWriter, err error) Problem {
	e := ErrorOf(err)
	if e.Code == iot.Internal {
		e.Message += " The request's id is " + requestID(w) + "."
	}
	return Problem{Status: statusOf(e.Code), Code: e.Code, Title: titleOf(e.Code), Message: e.Message}
}

// SetRetryAfter sets the header Retry-After for errors that pass: most do in a moment,
// but a full disk needs an operator. Other errors get no header. An existing header is
// kept: it is more precise.
func SetRetryAfter(h http.Header, c iot.Code) {
	if h.Get("Retry-After") != "" {
		return
	}
	switch c {
	case iot.Unavailable:
		h.Set("Retry-After", "5")
	case iot.StorageFull:
		h.Set("Retry-After", "60")
	case iot.Invalid, iot.Unauthorized, iot.Forbidden, iot.NotFound, iot.Conflict, iot.LimitReached, iot.TooLarge, iot.UnsupportedMediaType,
		iot.RateLimited, iot.Internal:
	}
}

func titleOf(c iot.Code) string {
	switch c {
	case iot.Invalid:
		return "That cannot be"
	case iot.Unauthorized:
		return "Not signed in"
	case iot.Forbidden:
		return "Not allowed"
	case iot.NotFound:
		return "Not found"
	case iot.Conflict:
		return "Not possible now"
	case iot.LimitReached:
		return "Limit reached"
	case iot.TooLarge:
		return "Too large"
	case iot.UnsupportedMediaType:
		return "Unsupported format"
	case iot.RateLimited:
		return "Too many requests"
	case iot.Unavailable:
		return "Not available"
	case iot.StorageFull:
		return "The disk is full"
	case iot.Internal:
	}
	return "Something went wrong"
}

// logFailure logs an error for operators: at level error if it needs action, otherwise
// with the details of requests.
func logFailure(log *slog.Logger, r *http.Request, err error) {
	level := slog.LevelDebug
	switch iot.CodeOf(err) {
	case iot.Internal, iot.Unavailable, iot.StorageFull:
		level = slog.LevelError
	case iot.Invalid, iot.Unauthorized, iot.Forbidden, iot.NotFound, iot.Conflict, iot.LimitReached, iot.TooLarge, iot.UnsupportedMediaType,
		iot.RateLimited:
	}
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		level = slog.LevelDebug // the client is gone
	}
	log.LogAttrs(r.Context(), level, "request failed", slog.String("method", r.Method), slog.String("pattern", r.Pattern),
		slog.Any("error", err))
}
