package iot

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// Code is the kind of an Error. It is stable: the API answers it as error.code, and
// handlers map each to one HTTP status.
type Code string

// The codes, with the HTTP status that the API answers for each.
const (
	Invalid      Code = "invalid"       // 400; 422 for HTML forms
	Unauthorized Code = "unauthorized"  // 401
	Forbidden    Code = "forbidden"     // 403
	NotFound     Code = "not_found"     // 404
	Conflict     Code = "conflict"      // 409
	LimitReached Code = "limit_reached" // 409
	TooLarge     Code = "too_large"     // 413
	// UnsupportedMediaType is a body in a form that is not accepted.
	UnsupportedMediaType Code = "unsupported_media_type" // 415
	RateLimited          Code = "rate_limited"           // 429
	Internal             Code = "internal"               // 500
	Unavailable          Code = "unavailable"            // 503
	StorageFull          Code = "storage_full"           // 507
)

// Error is the only error type that reaches people. Message is a sentence for them:
// what is wrong, where, and what to do. Fields has a sentence for each bad field, by
// its JSON name. Err is the cause, for operators only.
type Error struct {
	Code    Code
	Message string
	Fields  map[string]string
	Err     error
}

// Error returns the message, the fields ordered by name, and the cause. It is for logs;
// people see only Message and Fields.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code) + ": " + e.Message)
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		b.WriteString("; " + name + ": " + e.Fields[name])
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// NewError returns an Error with a code and a sentence for people.
func NewError(code Code, message string) *Error { return &Error{Code: code, Message: message} }

// FieldError returns an Invalid error about one field. The message begins with the
// field's name, so that it also reads well without a form.
func FieldError(field, message string) *Error {
	return &Error{Code: Invalid, Message: field + ": " + message, Fields: map[string]string{field: message}}
}

// CodeOf returns the code of the first Error in err's chain, Internal for any other
// error, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// Faults collects field errors, so that a form or request names all of them. The zero
// value is ready to use.
type Faults struct{ fields map[string]string }

// Add records a fault of a field. The first fault of a field stays.
func (f *Faults) Add(field, message string) {
	if f.fields == nil {
		f.fields = map[string]string{}
	}
	if _, ok := f.fields[field]; !ok {
		f.fields[field] = message
	}
}

// Check adds the fault unless ok is true.
func (f *Faults) Check(ok bool, field, message string) {
	if !ok {
		f.Add(field, message)
	}
}

// Err returns an Invalid error with all faults, or nil if there are none.
func (f *Faults) Err() error {
	if len(f.fields) == 0 {
		return nil
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(f.fields)) {
		parts = append(parts, name+": "+f.fields[name])
	}
	return &Error{Code: Invalid, Message: strings.Join(parts, " "), Fields: f.fields}
}
