package lorawan

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// number reads a number, or a number in a string.
func (r *reader) number(kind protoreflect.Kind) (v protoreflect.Value, err error) {
	s, ok := r.string()
	if !ok {
		switch r.peek() {
		case '{', '[', 't', 'f', 'n', 0:
			return v, errors.New("expected a number, got " + r.what())
		}
		s = string(r.value())
	}
	bad := errors.New("is no number that fits here")
	switch kind {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		n, ok := parseInt(s, 32)
		if !ok {
			return v, bad
		}
		return protoreflect.ValueOfInt32(int32(n)), nil
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		n, ok := parseInt(s, 64)
		if !ok {
			return v, bad
		}
		return protoreflect.ValueOfInt64(n), nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		n, ok := parseUint(s, 32)
		if !ok {
			return v, bad
		}
		return protoreflect.ValueOfUint32(uint32(n)), nil
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		n, ok := parseUint(s, 64)
		if !ok {
			return v, bad
		}
		return protoreflect.ValueOfUint64(n), nil
	case protoreflect.FloatKind:
		n, err := strconv.ParseFloat(s, 32)
		if err != nil || unusual(s) {
			return v, bad
		}
		return protoreflect.ValueOfFloat32(float32(n)), nil
	case protoreflect.DoubleKind:
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || unusual(s) {
			return v, bad
		}
		return protoreflect.ValueOfFloat64(n), nil
	}
	return v, errKind
}

// unusual reports whether Go reads a number that JSON does not allow.
func unusual(s string) bool {
	switch s {
	case "NaN", "Infinity", "-Infinity":
		return false
	}
	return strings.ContainsFunc(s, func(c rune) bool { return !strings.ContainsRune("0123456789+-.eE", c) })
}

func parseInt(s string, bits int) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, bits)
	if err == nil {
		return n, true
	}
	f, ok := whole(s)
	return int64(f), ok && f >= -math.Ldexp(1, bits-1) && f < math.Ldexp(1, bits-1)
}

func parseUint(s string, bits int) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, bits)
	if err == nil {
		return n, true
	}
	f, ok := whole(s)
	return uint64(f), ok && f >= 0 && f < math.Ldexp(1, bits)
}

// whole reads an integer written with a fraction or exponent.
func whole(s string) (float64, bool) {
	if unusual(s) {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && f == math.Trunc(f)
}
