package handlers

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"thingpost/internal/iot"
)

// MaxForm is the maximum size of a form in bytes: a message and its encoding.
const MaxForm = 4 * iot.MaxMessageBytes

// Form is a person's input with its faults.
type Form struct {
	values  url.Values
	errors  map[string]string
	message string
}

// NewForm returns a form as first shown, from pairs of a field's name and value.
func NewForm(pairs ...string) *Form {
	f := &Form{values: url.Values{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.values.Add(pairs[i], pairs[i+1])
	}
	return f
}

// ReadForm reads the form in the body, without the address's parameters. Errors:
// too_large (more than MaxForm), invalid (not a form).
func ReadForm(w http.ResponseWriter, r *http.Request) (*Form, error) {
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	if err := r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, &iot.Error{Code: iot.TooLarge, Message: "The form is too large.", Err: err}
		}
		if e, ok := errors.AsType[*iot.Error](err); ok {
			return nil, e // no memory for it
		}
		return nil, &iot.Error{Code: iot.Invalid, Message: "The form could not be read. Go back and try again.", Err: err}
	}
	for _, values := range r.PostForm {
		if slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			return nil, iot.NewError(iot.Invalid, "The form is not UTF-8, so it could not be read. Go back and try again.")
		}
	}
	return &Form{values: r.PostForm}, nil
}

// Value returns a field's first value without surrounding space, "" if there is none.
func (f *Form) Value(field string) string { return strings.TrimSpace(f.values.Get(field)) }

// Raw returns a field's first value as typed, for passwords and payloads.
func (f *Form) Raw(field string) string { return f.values.Get(field) }

// All returns all values of a field.
func (f *Form) All(field string) []string { return f.values[field] }

// Has reports whether a field has a value, for checkboxes that share a name.
func (f *Form) Has(field, value string) bool {
	return slices.Contains(f.values[field], value)
}

// Checked reports whether a checkbox or switch was on.
func (f *Form) Checked(field string) bool { return f.values.Get(field) != "" }

// Set replaces a field's values.
func (f *Form) Set(field string, values ...string) { f.values[field] = values }

// Error returns the fault of a field as a sentence; "" if there is none.
func (f *Form) Error(field string) string { return f.errors[field] }

// Message returns the fault of the form as a whole; "" if there is none or if a field
// shows it.
func (f *Form) Message() string { return f.message }

// Faulty reports whether the form has a fault.
func (f *Form) Faulty() bool { return f.message != "" || len(f.errors) > 0 }

// Fail records an error in the form, to show it again. fields are the fields that the
// form shows; sentences of other fields go to the message. It returns false for an
// error that no form can show: only Invalid, Conflict and LimitReached are about the
// input.
func (f *Form) Fail(err error, fields ...string) bool {
	e, ok := errors.AsType[*iot.Error](err)
	if !ok || e.Code != iot.Invalid && e.Code != iot.Conflict && e.Code != iot.LimitReached {
		return false
	}
	f.errors = map[string]string{}
	shown := false
	for _, name := range fields {
		if text, ok := e.Fields[name]; ok {
			f.errors[name] = sentence(text)
			shown = true
		}
	}
	f.message = ""
	if !shown || len(f.errors) < len(e.Fields) {
		f.message = e.Message
	}
	return true
}

// sentence capitalizes a fault that would follow its field's name ("must be …"), for
// places without the name.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
