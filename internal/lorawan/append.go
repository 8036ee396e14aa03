package lorawan

import (
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"thingpost/internal/lorawan/wire"
)

// maxDepth bounds the nesting of messages and plain JSON.
const maxDepth = 100

// AppendJSON appends a message of package wire as The Things Stack's JSON: names and
// order of the schema, 64-bit integers as strings, enumerations by name, without empty
// and unknown fields. The error names a value that JSON cannot represent, such as NaN;
// b is then unusable.
func AppendJSON(b []byte, m proto.Message) ([]byte, error) {
	w := writer{b: b}
	if err := w.known(messageForm(m.ProtoReflect().Descriptor()), m.ProtoReflect()); err != nil {
		return nil, fmt.Errorf("write %s as JSON: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return w.b, nil
}

type writer struct {
	b     []byte
	depth int
}

func (w *writer) deeper() error {
	if w.depth++; w.depth > maxDepth {
		return errDeep
	}
	return nil
}

func (w *writer) message(m protoreflect.Message) error {
	if err := w.deeper(); err != nil {
		return err
	}
	w.b = append(w.b, '{')
	if err := w.members(m, true); err != nil {
		return err
	}
	w.b = append(w.b, '}')
	w.depth--
	return nil
}

func (w *writer) members(m protoreflect.Message, first bool) error {
	for _, f := range planOf(m.Descriptor()).order {
		if !m.Has(f.FieldDescriptor) {
			continue
		}
		if !first {
			w.b = append(w.b, ',')
		}
		first = false
		w.b = append(append(append(w.b, '"'), f.name...), `":`...)
		if err := w.field(f, m.Get(f.FieldDescriptor)); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

func (w *writer) field(f *field, v protoreflect.Value) error {
	switch {
	case f.IsList():
		list := v.List()
		w.b = append(w.b, '[')
		for i := range list.Len() {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			if err := w.value(f.FieldDescriptor, f.form, list.Get(i)); err != nil {
				return err
			}
		}
		w.b = append(w.b, ']')
		return nil
	case f.IsMap():
		return w.mapped(f, v.Map())
	}
	return w.value(f.FieldDescriptor, f.form, v)
}

func (w *writer) mapped(f *field, m protoreflect.Map) error {
	var keys []string
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k.String())
		return true
	})
	slices.Sort(keys)
	w.b = append(w.b, '{')
	for i, key := range keys {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = append(appendText(w.b, key), ':')
		if err := w.value(f.MapValue(), f.form, m.Get(protoreflect.ValueOfString(key).MapKey())); err != nil {
			return err
		}
	}
	w.b = append(w.b, '}')
	return nil
}

func (w *writer) value(fd protoreflect.FieldDescriptor, form form, v protoreflect.Value) error {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return w.known(form, v.Message())
	case protoreflect.BoolKind:
		w.b = strconv.AppendBool(w.b, v.Bool())
	case protoreflect.EnumKind:
		if e := fd.Enum().Values().ByNumber(v.Enum()); e != nil {
			w.b = append(append(append(w.b, '"'), e.Name()...), '"')
		} else {
			w.b = strconv.AppendInt(w.b, int64(v.Enum()), 10)
		}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		w.b = strconv.AppendInt(w.b, v.Int(), 10)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		w.b = strconv.AppendUint(w.b, v.Uint(), 10)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		w.b = append(strconv.AppendInt(append(w.b, '"'), v.Int(), 10), '"')
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		w.b = append(strconv.AppendUint(append(w.b, '"'), v.Uint(), 10), '"')
	case protoreflect.FloatKind:
		w.b = appendFloat(w.b, v.Float(), 32)
	case protoreflect.DoubleKind:
		w.b = appendFloat(w.b, v.Float(), 64)
	case protoreflect.StringKind:
		w.b = appendText(w.b, v.String())
	case protoreflect.BytesKind:
		w.b = append(w.b, '"')
		if form == formHex {
			w.b = appendHex(w.b, v.Bytes())
		} else {
			w.b = base64.StdEncoding.AppendEncode(w.b, v.Bytes())
		}
		w.b = append(w.b, '"')
	}
	return nil
}

// known writes a message in its form.
func (w *writer) known(form form, m protoreflect.Message) (err error) {
	switch form {
	case formTimestamp:
		w.b, err = appendTimestamp(w.b, m)
		return err
	case formDuration:
		w.b, err = appendDuration(w.b, m)
		return err
	case formWrapper:
		fd := m.Descriptor().Fields().ByNumber(1)
		return w.value(fd, formPlain, m.Get(fd))
	case formStruct:
		s, ok := m.Interface().(*structpb.Struct)
		if !ok {
			return errKind
		}
		return w.object(s)
	case formValue:
		v, ok := m.Interface().(*structpb.Value)
		if !ok {
			return errKind
		}
		return w.plain(v)
	case formListValue:
		l, ok := m.Interface().(*structpb.ListValue)
		if !ok {
			return errKind
		}
		return w.array(l)
	case formAny:
		a, ok := m.Interface().(*anypb.Any)
		if !ok {
			return errKind
		}
		return w.any(a)
	case formPlain, formHex, formFieldMask:
	}
	return w.message(m)
}

func (w *writer) object(s *structpb.Struct) error {
	if err := w.deeper(); err != nil {
		return err
	}
	keys := make([]string, 0, len(s.GetFields()))
	for key := range s.GetFields() {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	w.b = append(w.b, '{')
	for i, key := range keys {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = append(appendText(w.b, key), ':')
		if err := w.plain(s.GetFields()[key]); err != nil {
			return err
		}
	}
	w.b = append(w.b, '}')
	w.depth--
	return nil
}

func (w *writer) array(l *structpb.ListValue) error {
	if err := w.deeper(); err != nil {
		return err
	}
	w.b = append(w.b, '[')
	for i, v := range l.GetValues() {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		if err := w.plain(v); err != nil {
			return err
		}
	}
	w.b = append(w.b, ']')
	w.depth--
	return nil
}

func (w *writer) plain(v *structpb.Value) error {
	switch k := v.GetKind().(type) {
	case *structpb.Value_BoolValue:
		w.b = strconv.AppendBool(w.b, k.BoolValue)
	case *structpb.Value_NumberValue:
		if math.IsNaN(k.NumberValue) || math.IsInf(k.NumberValue, 0) {
			return fmt.Errorf("%v is no number in JSON", k.NumberValue)
		}
		w.b = appendFloat(w.b, k.NumberValue, 64)
	case *structpb.Value_StringValue:
		w.b = appendText(w.b, k.StringValue)
	case *structpb.Value_StructValue:
		return w.object(k.StructValue)
	case *structpb.Value_ListValue:
		return w.array(k.ListValue)
	default: // null, or nothing at all
		w.b = append(w.b, "null"...)
	}
	return nil
}

// any writes the message inside if the schema knows its type, otherwise its bytes.
func (w *writer) any(a *anypb.Any) error {
	if err := w.deeper(); err != nil {
		return err
	}
	w.b = appendText(append(w.b, `{"@type":`...), a.GetTypeUrl())
	inner := anyMessage(a.GetTypeUrl())
	switch {
	case inner == nil || parseBinary(a.GetValue(), inner) != nil:
		w.b = append(w.b, `,"value":"`...)
		w.b = append(base64.StdEncoding.AppendEncode(w.b, a.GetValue()), '"')
	case messageForm(inner.ProtoReflect().Descriptor()) != formPlain:
		w.b = append(w.b, `,"value":`...)
		if err := w.known(messageForm(inner.ProtoReflect().Descriptor()), inner.ProtoReflect()); err != nil {
			return err
		}
	default:
		if err := w.members(inner.ProtoReflect(), false); err != nil {
			return err
		}
	}
	w.b = append(w.b, '}')
	w.depth--
	return nil
}

// anyMessage returns an empty message of the type that an Any names, or nil if neither
// our schema nor Protocol Buffers has it.
func anyMessage(typeURL string) proto.Message {
	t, err := protoregistry.GlobalTypes.FindMessageByURL(typeURL)
	if err != nil {
		return nil
	}
	switch t.Descriptor().FullName().Parent() {
	case wire.File_lorawan_wire_up_proto.Package(), "google.protobuf":
		return t.New().Interface()
	}
	return nil
}

// parseBinary reads Protocol Buffers with at most the nesting of JSON: each level of
// plain JSON is up to three of them.
func parseBinary(b []byte, m proto.Message) error {
	return proto.UnmarshalOptions{RecursionLimit: min(3*maxDepth, protowire.DefaultRecursionLimit)}.Unmarshal(b, m)
}

func appendFloat(b []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(b, `"-Infinity"`...)
	}
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) {
		return strconv.AppendFloat(b, f, 'e', -1, bits)
	}
	return strconv.AppendFloat(b, f, 'f', -1, bits)
}

func appendHex(b, value []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range value {
		b = append(b, digits[c>>4], digits[c&15])
	}
	return b
}

// appendText appends a JSON string. Invalid UTF-8 becomes U+FFFD.
func appendText(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	return append(append(b, s[from:]...), '"')
}
