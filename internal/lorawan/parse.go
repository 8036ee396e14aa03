package lorawan

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"thingpost/internal/iot"
)

// JSONError names a value of a JSON text that cannot be read.
type JSONError struct {
	// Field is the outermost member that contains the value, "" for the text itself.
	Field string
	// Path is the path to the value, like downlinks[0].priority; "" for the text
	// itself.
	Path   string
	Reason string // such as: unknown value for enum: "URGENT"
}

// Error returns path and reason.
func (e *JSONError) Error() string {
	if e.Path == "" {
		return e.Reason
	}
	return e.Path + ": " + e.Reason
}

var (
	errDeep = errors.New("is nested deeper than 100 levels")
	errKind = errors.New("is of a message type that was not generated")
)

// ParseJSON reads a message of package wire, which must be empty. It accepts what The
// Things Stack accepts: names in snake_case or camelCase, unknown members (ignored),
// numbers as strings, integers with a fraction of zero, base64 of either alphabet with
// or without padding, and null for anything but a boolean.
//
// The error is a *json.SyntaxError, or a *JSONError with the path to a value.
func ParseJSON(b []byte, m proto.Message) error {
	if !json.Valid(b) {
		var v json.RawMessage
		return json.Unmarshal(b, &v)
	}
	return parseValid(b, m)
}

// parseValid reads valid JSON.
func parseValid(b []byte, m proto.Message) error {
	r := reader{cursor: cursor{b: b}}
	if err := r.known(messageForm(m.ProtoReflect().Descriptor()), m.ProtoReflect()); err != nil {
		return r.fault(err)
	}
	return nil
}

type reader struct {
	cursor
	depth int
	path  []string // the place of the fault, the innermost name first
}

// fault records the place of an error. in adds a step at each level on its way up.
func (r *reader) fault(err error) error {
	e := &JSONError{Reason: err.Error()}
	for _, step := range slices.Backward(r.path) {
		if e.Path != "" && !strings.HasPrefix(step, "[") {
			e.Path += "."
		}
		e.Path += step
	}
	if len(r.path) > 0 {
		e.Field = r.path[len(r.path)-1]
	}
	return e
}

func (r *reader) in(step string, err error) error {
	r.path = append(r.path, step)
	return err
}

func (r *reader) deeper() error {
	if r.depth++; r.depth > maxDepth {
		return errDeep
	}
	return nil
}

// null steps over a null.
func (r *reader) null() bool {
	if r.peek() != 'n' {
		return false
	}
	r.value()
	return true
}

func (r *reader) message(m protoreflect.Message) error {
	if !r.open('{') {
		return errors.New("expected an object, got " + r.what())
	}
	if err := r.deeper(); err != nil {
		return err
	}
	p := planOf(m.Descriptor())
	for r.more() {
		key := r.key()
		f := p.fields[string(key)]
		if f == nil {
			if f = p.fields[unescaped(key)]; f == nil {
				r.value()
				continue
			}
		}
		if err := r.field(m, f); err != nil {
			return r.in(f.name, err)
		}
	}
	r.depth--
	return nil
}

// unescaped returns a string without its escapes, "" if it has none.
func unescaped(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return ""
	}
	return unquote(raw)
}

func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return strings.ToValidUTF8(string(raw), "\uFFFD")
	}
	var s string
	_ = json.Unmarshal(append(append([]byte{'"'}, raw...), '"'), &s) // valid: it was checked
	return s
}

func (r *reader) field(m protoreflect.Message, f *field) error {
	if f.form != formValue && f.Kind() != protoreflect.BoolKind && r.null() {
		return nil
	}
	if of := f.ContainingOneof(); of != nil {
		if set := m.WhichOneof(of); set != nil && set.Number() != f.Number() {
			return errors.New("is given together with " + string(set.Name()))
		}
	}
	switch {
	case f.IsList():
		return r.list(m, f)
	case f.IsMap():
		return r.mapped(m, f)
	case f.Kind() == protoreflect.MessageKind:
		return r.known(f.form, m.Mutable(f.FieldDescriptor).Message())
	}
	v, err := r.scalar(f.FieldDescriptor, f.form)
	if err == nil {
		m.Set(f.FieldDescriptor, v)
	}
	return err
}

func (r *reader) list(m protoreflect.Message, f *field) error {
	if !r.open('[') {
		return errors.New("expected an array, got " + r.what())
	}
	list := m.Mutable(f.FieldDescriptor).List()
	for r.more() {
		var err error
		if f.Kind() == protoreflect.MessageKind {
			err = r.known(f.form, list.AppendMutable().Message())
		} else {
			var v protoreflect.Value
			if v, err = r.scalar(f.FieldDescriptor, f.form); err == nil {
				list.Append(v)
			}
		}
		if err != nil {
			return r.in("["+strconv.Itoa(list.Len()-1)+"]", err)
		}
	}
	return nil
}

func (r *reader) mapped(m protoreflect.Message, f *field) error {
	if !r.open('{') {
		return errors.New("expected an object, got " + r.what())
	}
	if f.MapKey().Kind() != protoreflect.StringKind {
		return errKind
	}
	values, of := m.Mutable(f.FieldDescriptor).Map(), f.MapValue()
	for r.more() {
		name := unquote(r.key())
		key := protoreflect.ValueOfString(name).MapKey()
		v := values.NewValue()
		var err error
		if of.Kind() == protoreflect.MessageKind {
			err = r.known(f.form, v.Message())
		} else {
			v, err = r.scalar(of, f.form)
		}
		if err != nil {
			return r.in(name, err)
		}
		values.Set(key, v)
	}
	return nil
}

// known reads a message in its form.
func (r *reader) known(form form, m protoreflect.Message) error {
	switch form {
	case formTimestamp, formDuration:
		s, ok := r.string()
		switch {
		case !ok:
			return errors.New("expected a text, got " + r.what())
		case form == formTimestamp:
			return parseTimestamp(s, m)
		}
		return parseDuration(s, m)
	case formWrapper:
		fd := m.Descriptor().Fields().ByNumber(1)
		v, err := r.scalar(fd, formPlain)
		if err == nil {
			m.Set(fd, v)
		}
		return err
	case formStruct:
		s, ok := m.Interface().(*structpb.Struct)
		if !ok {
			return errKind
		}
		return r.object(s)
	case formValue:
		v, ok := m.Interface().(*structpb.Value)
		if !ok {
			return errKind
		}
		return r.plain(v)
	case formListValue:
		l, ok := m.Interface().(*structpb.ListValue)
		if !ok {
			return errKind
		}
		return r.array(l)
	case formFieldMask:
		return r.fieldMask(m)
	case formAny:
		a, ok := m.Interface().(*anypb.Any)
		if !ok {
			return errKind
		}
		return r.any(a)
	case formPlain, formHex:
	}
	return r.message(m)
}

// fieldMask reads {"paths":[…]} or a text with commas between its paths.
func (r *reader) fieldMask(m protoreflect.Message) error {
	s, ok := r.string()
	if !ok {
		return r.message(m)
	}
	paths := m.Mutable(m.Descriptor().Fields().ByName("paths")).List()
	for path := range strings.SplitSeq(s, ",") {
		if path = strings.TrimSpace(path); path != "" {
			paths.Append(protoreflect.ValueOfString(path))
		}
	}
	return nil
}

// any reads the message of the type that it names, or the bytes of an unknown type.
func (r *reader) any(a *anypb.Any) error {
	if r.peek() != '{' {
		return errors.New("expected an object, got " + r.what())
	}
	if err := r.deeper(); err != nil {
		return err
	}
	raw := r.value()
	head := anyHead{}
	if err := json.Unmarshal(raw, &head); err != nil {
		return errors.New("has no @type that is a text")
	}
	a.TypeUrl = head.Type
	inner := anyMessage(head.Type)
	if inner == nil {
		var bytes []byte
		if json.Unmarshal(head.Value, &bytes) == nil {
			a.Value = bytes
		}
		r.depth--
		return nil
	}
	form := messageForm(inner.ProtoReflect().Descriptor())
	if form != formPlain {
		raw = head.Value
	}
	in := reader{cursor: cursor{b: raw}, depth: r.depth}
	err := in.known(form, inner.ProtoReflect())
	if err == nil {
		a.Value, err = proto.Marshal(inner)
	}
	r.path = append(r.path, in.path...)
	r.depth--
	return err
}

type anyHead struct {
	Type  string          `json:"@type"`
	Value json.RawMessage `json:"value"`
}

// string steps over a string; false if none begins here.
func (r *reader) string() (string, bool) {
	if r.peek() != '"' {
		return "", false
	}
	raw := r.text()
	return unquote(raw[1:max(1, len(raw)-1)]), true
}

// what names what begins here, for an error.
func (r *reader) what() string {
	switch r.peek() {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a text"
	case 't', 'f':
		return "a truth value"
	case 'n':
		return "null"
	case 0:
		return "nothing"
	}
	return "a number"
}

func (r *reader) scalar(fd protoreflect.FieldDescriptor, form form) (v protoreflect.Value, err error) {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		switch r.peek() {
		case 't', 'f':
			return protoreflect.ValueOfBool(r.value()[0] == 't'), nil
		}
		return v, errors.New("expected true or false, got " + r.what())
	case protoreflect.StringKind:
		if s, ok := r.string(); ok {
			return protoreflect.ValueOfString(s), nil
		}
		return v, errors.New("expected a text, got " + r.what())
	case protoreflect.BytesKind:
		return r.bytes(form)
	case protoreflect.EnumKind:
		return r.enum(fd.Enum())
	}
	return r.number(fd.Kind())
}

func (r *reader) bytes(form form) (v protoreflect.Value, err error) {
	s, ok := r.string()
	if !ok {
		return v, errors.New("expected a text, got " + r.what())
	}
	if form == formHex {
		b, err := hex.DecodeString(s)
		if err != nil {
			return v, errors.New("is not made of pairs of hex digits")
		}
		return protoreflect.ValueOfBytes(b), nil
	}
	b, err := iot.DecodeBase64(s)
	if err != nil {
		return v, errors.New("is not base64")
	}
	return protoreflect.ValueOfBytes(b), nil
}

func (r *reader) enum(ed protoreflect.EnumDescriptor) (v protoreflect.Value, err error) {
	if s, ok := r.string(); ok {
		e := ed.Values().ByName(protoreflect.Name(s))
		if e == nil {
			return v, errors.New("unknown value for enum: " + strconv.Quote(s))
		}
		return protoreflect.ValueOfEnum(e.Number()), nil
	}
	v, err = r.number(protoreflect.Int32Kind)
	if err != nil {
		return v, err
	}
	return protoreflect.ValueOfEnum(protoreflect.EnumNumber(v.Int())), nil
}
