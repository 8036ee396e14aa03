package tts

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/internal/lorawan/wire"
)

// Codes of gRPC for the errors here.
const (
	codeCanceled      = 1
	codeInvalid       = 3
	codeNotFound      = 5
	codeExists        = 6
	codeDenied        = 7
	codeExhausted     = 8
	codePrecondition  = 9
	codeAborted       = 10
	codeUnimplemented = 12
	codeInternal      = 13
	codeUnavailable   = 14
	codeUnknownWho    = 16
)

// Error is an error of The Things Stack: a google.rpc.Status with its own ErrorDetails.
// An error without a name is only a status.
type Error struct {
	Code       uint32
	Namespace  string
	Name       string
	Format     string // with `{attribute}` or {attribute}
	Attributes map[string]any
	Cause      *Error
	// Plain is the status' message if there is no name.
	Plain string
}

// Message returns the status' message.
func (e *Error) Message() string {
	if e.Name == "" {
		return e.Plain
	}
	return "error:" + e.Namespace + ":" + e.Name + " (" + e.formatted() + ")"
}

func (e *Error) formatted() string {
	text := e.Format
	for name, value := range e.Attributes {
		text = strings.ReplaceAll(text, "{"+name+"}", fmt.Sprint(value))
	}
	return text
}

// Error returns the message, followed by those of the causes.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message() + ": " + e.Cause.Error()
	}
	return e.Message()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error {
	if e.Cause == nil {
		return nil
	}
	return e.Cause
}

// detail is ErrorDetails in JSON.
type detail struct {
	Type          string         `json:"@type,omitempty"`
	Namespace     string         `json:"namespace,omitempty"`
	Name          string         `json:"name,omitempty"`
	MessageFormat string         `json:"message_format"`
	Attributes    map[string]any `json:"attributes,omitempty"`
	CorrelationID string         `json:"correlation_id"`
	Cause         *detail        `json:"cause,omitempty"`
	Code          uint32         `json:"code"`
}

// status is google.rpc.Status in JSON.
type status struct {
	Code    uint32    `json:"code"`
	Message string    `json:"message"`
	Details []*detail `json:"details,omitempty"`
}

func (e *Error) detail() *detail {
	if e == nil {
		return nil
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	format := e.Format
	if e.Name == "" { // a cause that is only a text
		format = e.Plain
	}
	return &detail{Namespace: e.Namespace, Name: e.Name, MessageFormat: format, Attributes: e.Attributes,
		CorrelationID: hex.EncodeToString(id[:]), Cause: e.Cause.detail(), Code: e.Code}
}

// details returns the error as Protocol Buffers.
func (e *Error) details() *wire.ErrorDetails {
	if e == nil {
		return nil
	}
	d := e.detail()
	v := &wire.ErrorDetails{Namespace: d.Namespace, Name: d.Name, MessageFormat: d.MessageFormat, CorrelationId: d.CorrelationID,
		Cause: e.Cause.details(), Code: d.Code}
	if len(d.Attributes) > 0 {
		v.Attributes = attributesOf(d.Attributes)
	}
	return v
}

// attributesOf returns attributes, which are strings and lists of strings.
func attributesOf(list map[string]any) *structpb.Struct {
	s := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for name, value := range list {
		if texts, ok := value.([]string); ok {
			items := make([]*structpb.Value, len(texts))
			for i, text := range texts {
				items[i] = structpb.NewStringValue(text)
			}
			s.Fields[name] = structpb.NewListValue(&structpb.ListValue{Values: items})
			continue
		}
		s.Fields[name] = structpb.NewStringValue(fmt.Sprint(value))
	}
	return s
}

func (e *Error) status() status {
	s := status{Code: e.Code, Message: e.Message()}
	if e.Name != "" {
		d := e.detail()
		d.Type = "type.googleapis.com/ttn.lorawan.v3.ErrorDetails"
		s.Details = []*detail{d}
	}
	return s
}

// httpStatus returns the HTTP status for a code.
func httpStatus(code uint32) int {
	switch code {
	case codeCanceled:
		return 499
	case codeInvalid, codePrecondition:
		return http.StatusBadRequest
	case codeNotFound:
		return http.StatusNotFound
	case codeExists, codeAborted:
		return http.StatusConflict
	case codeDenied:
		return http.StatusForbidden
	case codeExhausted:
		return http.StatusTooManyRequests
	case codeUnimplemented:
		return http.StatusNotImplemented
	case codeUnavailable:
		return http.StatusServiceUnavailable
	case codeUnknownWho:
		return http.StatusUnauthorized
	}
	return http.StatusInternalServerError
}

// writeError answers an error, indented by tabs if indented is set.
func writeError(w http.ResponseWriter, e *Error, indented bool) {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	if indented {
		out.SetIndent("", "\t")
	}
	_ = out.Encode(e.status()) // strings, numbers and lists of strings: cannot fail
	status := httpStatus(e.Code)
	if e.Name == string(iot.UnsupportedMediaType) { // which no code of gRPC represents
		status = http.StatusUnsupportedMediaType
		w.Header().Set("Accept-Encoding", handlers.AcceptedEncodings)
	}
	handlers.WriteJSONBytes(w, status, b.Bytes())
}

// errorOf returns the part of an error that callers see: an error of this dialect, or
// the message of an iot.Error under its own code. Of other errors they see nothing.
func errorOf(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	e, ok := errors.AsType[*iot.Error](err)
	if !ok {
		e = &iot.Error{Code: iot.Internal}
	}
	message := e.Message
	var code uint32
	switch e.Code {
	case iot.Invalid:
		if len(e.Fields) > 0 {
			return fieldErrors(e.Fields)
		}
		code = codeInvalid
	case iot.TooLarge, iot.UnsupportedMediaType:
		code = codeInvalid
	case iot.Unauthorized:
		code = codeUnknownWho
	case iot.Forbidden:
		code = codeDenied
	case iot.NotFound:
		return errNotFound
	case iot.Conflict:
		code = codeAborted
	case iot.LimitReached:
		code = codePrecondition
	case iot.RateLimited:
		code = codeExhausted
	case iot.Unavailable, iot.StorageFull:
		code = codeUnavailable
	case iot.Internal:
		code, message = codeInternal, handlers.ErrorOf(e).Message
	default:
		code = codeInternal
	}
	return &Error{Code: code, Namespace: "thingpost", Name: string(e.Code), Format: message}
}

// fieldErrors returns the first of several field errors, as The Things Stack does.
func fieldErrors(fields map[string]string) *Error {
	name := slices.Sorted(maps.Keys(fields))[0]
	return invalidField(name, "", fields[name], nil)
}

// define makes errors of one name.
func define(code uint32, namespace, name, format string) *Error {
	return &Error{Code: code, Namespace: namespace, Name: name, Format: format}
}

// with returns the error with attributes, as name and value in turn.
func (e *Error) with(pairs ...any) *Error {
	c := *e
	c.Attributes = make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		c.Attributes[name] = pairs[i+1]
	}
	return &c
}

// because returns the error with a cause.
func (e *Error) because(cause *Error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// plain returns a status without details.
func plain(code uint32, message string) *Error { return &Error{Code: code, Plain: message} }

// The errors that The Things Stack has names for.
var (
	errNoRoute  = plain(codeNotFound, "Not Found")
	errNoMethod = plain(codeUnimplemented, "Method Not Allowed")

	errValidation    = define(codeInvalid, "pkg/errors", "validation", "invalid `{field}`: {reason}")
	errForbiddenMask = define(codeInvalid, "pkg/rpcmiddleware/validator", "field_mask_paths", "forbidden path(s) in field mask")
	errNotFound      = define(codeNotFound, "pkg/redis", "not_found", "entity not found")

	errNoRights      = define(codeDenied, "pkg/auth/rights", "no_application_rights", "no rights for application `{uid}`")
	errFewRights     = define(codeDenied, "pkg/auth/rights", "insufficient_application_rights", "insufficient rights for application `{uid}`")
	errUnsupported   = define(codeUnknownWho, "pkg/identityserver", "unsupported_authorization", "unsupported authorization method")
	errKeyNotFound   = define(codeUnknownWho, "pkg/identityserver", "api_key_not_found", "API key not found")
	errMalformedKey  = define(codeInvalid, "pkg/auth", "token", "invalid token")
	errFetch         = define(codeNotFound, "pkg/applicationserver/io/web", "fetch", "fetching failed")
	errFileNotFound  = define(codeNotFound, "pkg/fetch", "file_not_found", "file `{filename}` not found")
	errDeviceMissing = define(codeNotFound, "pkg/applicationserver", "device_not_found", "device `{device_uid}` not found")
	errNoFPort       = define(codeInvalid, "pkg/applicationserver", "no_f_port", "no FPort")
	errQueueFull     = define(codeExhausted, "pkg/networkserver", "downlink_queue_capacity", "downlink queue capacity exceeded")
	errDecodeBody    = define(codeInvalid, "pkg/applicationserver/io/web", "decode_body", "decode body")
	errValidateBody  = define(codeInvalid, "pkg/applicationserver/io/web", "validate_body", "validate body")
	errKeyMissing    = define(codeNotFound, "pkg/identityserver", "api_key_not_found", "API key not found")
	errRightMissing  = define(codeInvalid, "thingpost", "unknown_rights", "a key here can only have RIGHT_APPLICATION_ALL and the rights "+
		"of TRAFFIC, SETTINGS_BASIC, SETTINGS_API_KEYS and DEVICES, not all of `{rights}`")
	errURL          = define(codeInvalid, "pkg/errors", "url", "invalid url `{url}`")
	errDelivery     = define(codeUnavailable, "pkg/applicationserver/io/web/sink", "request", "request failed: {reason}")
	errReadBody     = define(codeCanceled, "pkg/applicationserver/io/web", "read_body", "read body")
	errBodyTooLarge = define(codeInvalid, "pkg/applicationserver/io/web", "request_body_too_large", "request body too large")
)

// invalidField is the error for a bad field of a message. cause is the fault of a field
// inside it.
func invalidField(field, message, reason string, cause *Error) *Error {
	name := message
	if name != "" {
		name += "ValidationError"
	}
	return errValidation.with("field", field, "name", name, "reason", reason).because(cause)
}

// embedded is the reason if the fault is inside a field.
const embedded = "embedded message failed validation"

// forbiddenMask is the error for paths that a field mask cannot have.
func forbiddenMask(paths ...string) *Error {
	return errForbiddenMask.with("forbidden_paths", paths)
}

// fewRights is the error for rights that a key lacks for an application.
func fewRights(application string, missing iot.Rights) *Error {
	names := missing.Names()
	slices.Sort(names)
	return errFewRights.with("missing", names, "uid", application)
}

// templateMissing is the error for an unknown template.
func templateMissing(id string) *Error {
	return errFetch.because(errFileNotFound.with("filename", id+".yml"))
}
