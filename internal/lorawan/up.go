package lorawan

import (
	"google.golang.org/protobuf/proto"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan/wire"
)

// Type returns the type of a message; false if it has none.
func Type(up *wire.ApplicationUp) (iot.MessageType, bool) {
	m := up.ProtoReflect()
	set := m.WhichOneof(m.Descriptor().Oneofs().ByName("up"))
	if set == nil {
		return "", false
	}
	return iot.MessageType(set.Name()), true
}

// ParseProtobuf reads an ApplicationUp of Protocol Buffers. It keeps unknown fields,
// but JSON cannot represent them. Invalid if the bytes are not one.
func ParseProtobuf(b []byte) (*wire.ApplicationUp, error) {
	up := &wire.ApplicationUp{}
	if err := parseBinary(b, up); err != nil {
		return nil, &iot.Error{Code: iot.Invalid, Message: "The body is not an ApplicationUp in Protocol Buffers.", Err: err}
	}
	return up, nil
}

// Protobuf returns an ApplicationUp, in valid JSON, as Protocol Buffers. It leaves out
// unknown members. Invalid, with the value at fault, if the JSON does not fit the
// schema.
func Protobuf(json []byte) ([]byte, error) {
	up := &wire.ApplicationUp{}
	if err := parseValid(json, up); err != nil {
		return nil, &iot.Error{Code: iot.Invalid, Message: "The message does not fit the schema of Protocol Buffers: " + err.Error() + ".",
			Err: err}
	}
	b, err := proto.Marshal(up)
	if err != nil {
		return nil, &iot.Error{Code: iot.Invalid, Message: "The message cannot be written as Protocol Buffers.", Err: err}
	}
	return b, nil
}
