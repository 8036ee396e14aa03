package lorawan

import "thingpost/internal/lorawan/wire"

// ReadDownlink checks that a JSON text has the form of an ApplicationDownlink:
// what the schema knows is of its type there, whatever the values are. The JSON
// comes back as it is, with members that the schema does not know, but with
// snake_case names where a name of the schema came in camelCase. Errors as
// ParseJSON.
func ReadDownlink(text []byte) ([]byte, error) {
	var v wire.ApplicationDownlink
	if err := ParseJSON(text, &v); err != nil {
		return nil, err
	}
	return snakeCase(text, v.ProtoReflect().Descriptor()), nil
}
