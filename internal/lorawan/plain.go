package lorawan

import (
	"errors"
	"strconv"

	"google.golang.org/protobuf/types/known/structpb"
)

// object reads plain JSON into a Struct.
func (r *reader) object(s *structpb.Struct) error {
	if !r.open('{') {
		return errors.New("expected an object, got " + r.what())
	}
	if err := r.deeper(); err != nil {
		return err
	}
	s.Fields = map[string]*structpb.Value{}
	for r.more() {
		name := unquote(r.key())
		v := &structpb.Value{}
		if err := r.plain(v); err != nil {
			return r.in(name, err)
		}
		s.Fields[name] = v
	}
	r.depth--
	return nil
}

func (r *reader) array(l *structpb.ListValue) error {
	if !r.open('[') {
		return errors.New("expected an array, got " + r.what())
	}
	if err := r.deeper(); err != nil {
		return err
	}
	for r.more() {
		v := &structpb.Value{}
		if err := r.plain(v); err != nil {
			return r.in("["+strconv.Itoa(len(l.Values))+"]", err)
		}
		l.Values = append(l.Values, v)
	}
	r.depth--
	return nil
}

func (r *reader) plain(v *structpb.Value) error {
	switch r.peek() {
	case '{':
		s := &structpb.Struct{}
		v.Kind = &structpb.Value_StructValue{StructValue: s}
		return r.object(s)
	case '[':
		l := &structpb.ListValue{}
		v.Kind = &structpb.Value_ListValue{ListValue: l}
		return r.array(l)
	case '"':
		s, _ := r.string()
		v.Kind = &structpb.Value_StringValue{StringValue: s}
	case 't', 'f':
		v.Kind = &structpb.Value_BoolValue{BoolValue: r.value()[0] == 't'}
	case 'n':
		r.value()
		v.Kind = &structpb.Value_NullValue{}
	default:
		f, err := strconv.ParseFloat(string(r.value()), 64)
		if err != nil {
			return errors.New("is no number that fits here")
		}
		v.Kind = &structpb.Value_NumberValue{NumberValue: f}
	}
	return nil
}
