package handlers

import (
	"bytes"
	"crypto/rand"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"thingpost/internal/iot"
)

// MaxJSONBytes bounds the body of a JSON request.
const MaxJSONBytes = 1 << 20

// RequestIDHeader names a request in answers and logs. The server sets it on the
// response. If it is missing, JSON makes one for a failure.
const RequestIDHeader = "X-Request-Id"

// JSON turns a handler's error into the status and body of the JSON API. It logs errors
// other than iot.Error, and answers them neutrally with the request's id.
func JSON(f Func, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			answerError(w, r, err, log)
		}
	})
}

// ErrorBody is an error in JSON APIs, inside {"error": …}.
type ErrorBody struct {
	Code    iot.Code          `json:"code"`
	Message string            `json:"message"`
	Fields  map[string]string `json:"fields,omitempty"`
}

// ErrorOf returns the part of an error that people can see.
func ErrorOf(err error) ErrorBody {
	e, ok := errors.AsType[*iot.Error](err)
	if !ok || e.Code == iot.Internal {
		return ErrorBody{Code: iot.Internal, Message: "Thingpost has an internal error. Try again, or ask the operator to check " +
			"its log."}
	}
	return ErrorBody{e.Code, e.Message, e.Fields}
}

func answerError(w http.ResponseWriter, r *http.Request, err error, log *slog.Logger) {
	body := ErrorOf(err)
	status := statusOf(body.Code)
	if status >= http.StatusInternalServerError {
		id := requestID(w)
		logFailure(log.With("request_id", id), r, err)
		if body.Code == iot.Internal {
			body.Message += " The request's id is " + id + "."
		}
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="thingpost"`)
	}
	if status == http.StatusUnsupportedMediaType {
		w.Header().Set("Accept-Encoding", AcceptedEncodings)
	}
	SetRetryAfter(w.Header(), body.Code)
	_ = WriteJSON(w, status, map[string]ErrorBody{"error": body}) // only strings: cannot fail
}

// NoMethod answers a method that a path does not accept, and OPTIONS, which asks for
// those it accepts: allowed, as in the header Allow.
func NoMethod(w http.ResponseWriter, r *http.Request, allowed string) error {
	w.Header().Set("Allow", allowed)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return WriteJSON(w, http.StatusMethodNotAllowed, map[string]ErrorBody{
		"error": {Code: iot.Invalid, Message: "This path does not accept " + r.Method + ". It accepts " + allowed + "."}})
}

func requestID(w http.ResponseWriter) string {
	id := w.Header().Get(RequestIDHeader)
	if id == "" {
		id = rand.Text()
		w.Header().Set(RequestIDHeader, id)
	}
	return id
}

// WriteJSON answers a value. The error is one of encoding; there is no answer then.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	w.Header()["Cache-Control"] = []string{"no-store"}
	WriteJSONBytes(w, status, b.Bytes())
	return nil
}

// WriteJSONBytes answers encoded JSON: of a POST, which no cache stores, or of
// something that every cache can store.
func WriteJSONBytes(w http.ResponseWriter, status int, body []byte) {
	values := []string{"application/json", strconv.Itoa(len(body))} // one allocation for each accepted message
	h := w.Header()
	h["Content-Type"], h["Content-Length"] = values[0:1:1], values[1:2:2]
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone: nobody to notify
}

// firstRead is how much of a body must arrive before its announced length is trusted.
const firstRead = 64 << 10

// Share sets the project of a request's body before it is read: projects share the
// memory for incoming bodies.
func Share(r *http.Request, p *iot.Project) {
	if b, ok := r.Body.(interface{ Share(project int64) }); ok && p != nil {
		b.Share(p.Key)
	}
}

// ReadBody returns a request's body, unpacked if it is gzip, in a slice that the caller
// owns. Errors: too_large if it exceeds limit bytes, unsupported_media_type for another
// Content-Encoding, invalid.
func ReadBody(r *http.Request, limit int64) ([]byte, error) {
	packed, err := isPacked(r)
	if err != nil {
		return nil, err
	}
	if packed {
		return unpack(r.Body, limit)
	}
	return readPlain(r, limit)
}

func readPlain(r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	size := r.ContentLength
	if size < 0 {
		size = 4 << 10
	}
	var b []byte
	for int64(len(b)) != r.ContentLength {
		switch {
		case b == nil && size > firstRead:
			b = make([]byte, 0, firstRead)
		case b == nil:
			b = make([]byte, 0, size)
		case len(b) == firstRead && size > firstRead:
			b = append(make([]byte, 0, size), b...) // the body does arrive, and memory was granted
		case len(b) == cap(b):
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if int64(len(b)) > limit {
			return nil, tooLarge(limit)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, tooLarge(limit)
		}
		if e, ok := errors.AsType[*iot.Error](err); ok {
			return nil, e // no memory for it
		}
		if err != nil {
			return nil, &iot.Error{Code: iot.Invalid, Message: "The body ended too early.", Err: err}
		}
	}
	if cap(b) > len(b)+len(b)/4 {
		b = bytes.Clone(b)
	}
	return b, nil
}

func tooLarge(limit int64) error {
	return iot.NewError(iot.TooLarge, fmt.Sprintf("The body has more than %d bytes.", limit))
}

// DecodeJSON reads a request's body of at most limit bytes into the value that into
// points to. See ParseJSON.
func DecodeJSON(r *http.Request, into any, limit int64) error {
	body, err := ReadBody(r, limit)
	if err != nil {
		return err
	}
	return ParseJSON(body, into)
}

// DecodeOptionalJSON is DecodeJSON for a body that can be empty.
func DecodeOptionalJSON(r *http.Request, into any, limit int64) error {
	body, err := ReadBody(r, limit)
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return err
	}
	return ParseJSON(body, into)
}

// ParseJSON reads exactly one JSON value (see iot.ReadJSON) into the value that into
// points to. Its error names, as Invalid fields, every unknown, repeated or null name
// and every value of a wrong type, inner ones by their path, such as "headers.0.name".
func ParseJSON(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return iot.NewError(iot.Invalid, "The body is empty. It must be a JSON object.")
	}
	body, err := iot.ReadJSON(body)
	if err != nil {
		return err
	}
	var s shape
	s.check("", gjson.ParseBytes(body), reflect.TypeOf(into))
	if err := s.faults.Err(); err != nil {
		return err
	}
	if s.whole != "" {
		return iot.NewError(iot.Invalid, "The body "+s.whole)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return &iot.Error{Code: iot.Invalid, Message: "The body cannot be read.", Err: err}
	}
	return nil
}

// shape compares a JSON value with the Go type that it is read into.
type shape struct {
	faults iot.Faults
	count  int
	whole  string // the fault of the value without a name
}

// maxFaults bounds an answer: a body can have 100,000 unknown names.
const maxFaults = 20

func (s *shape) add(path, message string) {
	s.count++
	switch {
	case path == "":
		s.whole = message
	case s.count <= maxFaults:
		s.faults.Add(path, message)
	}
}

func (s *shape) check(path string, v gjson.Result, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[json.RawMessage]() {
		return
	}
	switch u := reflect.New(t).Interface().(type) {
	case json.Unmarshaler:
		if err := u.UnmarshalJSON([]byte(v.Raw)); err != nil {
			s.add(path, reason(err))
		}
		return
	case encoding.TextUnmarshaler:
		if v.Type != gjson.String {
			s.add(path, "must be a text.")
		} else if err := u.UnmarshalText([]byte(v.Str)); err != nil {
			s.add(path, reason(err))
		}
		return
	}
	if v.Type == gjson.Null {
		s.add(path, "must not be null. Leave it out instead.")
		return
	}
	switch t.Kind() {
	case reflect.String:
		s.expect(v.Type == gjson.String, path, "must be a text.")
	case reflect.Bool:
		s.expect(v.IsBool(), path, "must be true or false.")
	case reflect.Int, reflect.Int64:
		_, err := strconv.ParseInt(v.Raw, 10, t.Bits())
		s.expect(err == nil, path, "must be a whole number.")
	case reflect.Slice:
		s.elements(path, v, t.Elem())
	case reflect.Map:
		s.names(path, v, func(string) (reflect.Type, bool) { return t.Elem(), true })
	case reflect.Struct:
		fields := fieldTypes(t)
		s.names(path, v, func(name string) (reflect.Type, bool) { f, ok := fields[name]; return f, ok })
	default:
		panic("handlers: JSON requests have no values of type " + t.String())
	}
}

func (s *shape) expect(ok bool, path, message string) {
	if !ok {
		s.add(path, message)
	}
}

func (s *shape) elements(path string, v gjson.Result, t reflect.Type) {
	if !v.IsArray() {
		s.add(path, "must be a list.")
		return
	}
	i := 0
	v.ForEach(func(_, e gjson.Result) bool {
		s.check(join(path, strconv.Itoa(i)), e, t)
		i++
		return s.count < maxFaults
	})
}

func (s *shape) names(path string, v gjson.Result, typeOf func(string) (reflect.Type, bool)) {
	if !v.IsObject() {
		s.add(path, "must be an object.")
		return
	}
	seen := map[string]bool{}
	v.ForEach(func(key, e gjson.Result) bool {
		at := join(path, shorten(key.Str))
		t, ok := typeOf(key.Str)
		switch {
		case !ok:
			s.add(at, "unknown field.")
		case seen[key.Str]:
			s.add(at, "must appear only once.")
		default:
			s.check(at, e, t)
		}
		seen[key.Str] = true
		return s.count < maxFaults
	})
}

// fieldTypes returns a struct's fields by their JSON names, including those of embedded
// structs.
func fieldTypes(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			fields[name] = f.Type
		}
	}
	return fields
}

func join(path, name string) string {
	if name == "" {
		name = `""`
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// shorten shortens an unknown name for an answer.
func shorten(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}

// reason returns the sentence of an error about one value.
func reason(err error) string {
	e, ok := errors.AsType[*iot.Error](err)
	if !ok {
		return "cannot be read."
	}
	for _, sentence := range e.Fields {
		return sentence
	}
	return e.Message
}
