package lorawan

import (
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"thingpost/internal/lorawan/wire"
)

// form is how a value is written as JSON, if its kind does not determine it.
type form uint8

const (
	formPlain     form = iota
	formHex            // bytes as upper-case hex digits
	formTimestamp      // RFC 3339
	formDuration       // seconds with an s
	formWrapper        // the wrapped value itself
	formStruct         // plain JSON
	formValue
	formListValue
	formFieldMask // an object; a text with commas is read too
	formAny
)

// plan is what the codec needs of a message type.
type plan struct {
	fields map[string]*field // by both of their JSON names
	order  []*field          // in the order of the schema
}

type field struct {
	protoreflect.FieldDescriptor
	name string // as written
	form form
}

// plans has the plans made so far, by their message's descriptor. A plan depends only
// on the descriptor and never changes.
var plans sync.Map

func planOf(md protoreflect.MessageDescriptor) *plan {
	if p, ok := plans.Load(md); ok {
		return p.(*plan) //nolint:errcheck // nothing else is stored in it
	}
	p := &plan{fields: map[string]*field{}}
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		f := &field{FieldDescriptor: fd, name: string(fd.Name()), form: formOf(fd)}
		p.order = append(p.order, f)
		p.fields[f.name], p.fields[fd.JSONName()] = f, f
	}
	plans.Store(md, p)
	return p
}

// formOf returns the form of a field's value, or of the values of a list or map.
func formOf(fd protoreflect.FieldDescriptor) form {
	if fd.IsMap() {
		fd = fd.MapValue()
	}
	if fd.Kind() == protoreflect.MessageKind {
		return messageForm(fd.Message())
	}
	if hex, ok := proto.GetExtension(fd.Options(), wire.E_Hex).(bool); ok && hex {
		return formHex
	}
	return formPlain
}

func messageForm(md protoreflect.MessageDescriptor) form {
	switch md.FullName() {
	case "google.protobuf.Timestamp":
		return formTimestamp
	case "google.protobuf.Duration":
		return formDuration
	case "google.protobuf.Struct":
		return formStruct
	case "google.protobuf.Value":
		return formValue
	case "google.protobuf.ListValue":
		return formListValue
	case "google.protobuf.FieldMask":
		return formFieldMask
	case "google.protobuf.Any":
		return formAny
	case "google.protobuf.DoubleValue", "google.protobuf.FloatValue", "google.protobuf.Int64Value",
		"google.protobuf.UInt64Value", "google.protobuf.Int32Value", "google.protobuf.UInt32Value",
		"google.protobuf.BoolValue", "google.protobuf.StringValue", "google.protobuf.BytesValue":
		return formWrapper
	}
	return formPlain
}
