package lorawan

import "thingpost/internal/lorawan/wire"

// ReadDownlink checks that a JSON text has the form of an ApplicationDownlink: known
// members have the schema's types, with any values. It returns the JSON unchanged, with
// unknown members, but with snake_case for camelCase names of the schema. Errors as of
// ParseJSON.
func ReadDownlink(text []byte) ([]byte, error) {
	var v wire.ApplicationDownlink
	if err := ParseJSON(text, &v); err != nil {
		return nil, err
	}
	return snakeCase(text, v.ProtoReflect().Descriptor()), nil
}
