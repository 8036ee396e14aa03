package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"thingpost/internal/iot"
)

// Transformed is a payload after its profile was applied.
type Transformed struct {
	// Payload may share memory with the input. It is the same bytes if the profile asks
	// for nothing.
	Payload []byte
	// Time is the time that the device states; zero if it states none.
	Time time.Time
}

// Transform applies a profile to a payload, as Accept does. binary means SenML in CBOR;
// otherwise the payload must be valid JSON. at is the time of receipt. Errors are
// invalid or too_large, name the field "payload", and wrap ErrSenML if SenML was
// expected.
func Transform(p *iot.Profile, payload []byte, binary bool, at time.Time) (Transformed, error) {
	return compileTransformer(p).apply(payload, binary, at)
}

// transformer is a profile's content type and transformer, compiled. Nil leaves JSON as
// it is.
type transformer struct {
	senml    bool
	zero     bool // takes JSON objects unchanged
	field    []string
	kept     *keep
	timeAt   []string
	unit     time.Duration // 0: by layout
	layout   string
	noFormat bool // a number is Unix time, a text has the layout
	zone     *time.Location
}

// compileTransformer prepares everything that does not depend on the payload.
func compileTransformer(p *iot.Profile) *transformer {
	if p == nil || p.ContentType == iot.AnyJSON {
		return nil
	}
	o := p.Transformer
	t := &transformer{senml: p.ContentType.SenML(), zero: o.IsZero(), field: pathOf(o.DataField), timeAt: pathOf(o.TimeField),
		layout: iot.TimeLayout(o.TimeFormat), noFormat: o.TimeFormat == "", zone: time.UTC}
	t.unit, _ = iot.UnixUnit(o.TimeFormat)
	if zone, err := time.LoadLocation(o.TimeLocation); err == nil {
		t.zone = zone
	}
	if len(o.DataFilters) > 0 {
		t.kept = &keep{}
		for _, path := range o.DataFilters {
			t.kept.add(pathOf(path))
		}
	}
	return t
}

func pathOf(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, ".")
}

// apply applies the profile to a payload; see Transform.
func (t *transformer) apply(payload []byte, binary bool, at time.Time) (Transformed, error) {
	switch {
	case binary:
		records, err := decodeCBOR(payload)
		if err != nil {
			return Transformed{}, err
		}
		out, err := resolve(records, at)
		return Transformed{Payload: out}, err
	case t == nil:
		return Transformed{Payload: payload}, nil
	case t.senml:
		records, err := decodeJSONRecords(payload)
		if err != nil {
			return Transformed{}, err
		}
		out, err := resolve(records, at)
		return Transformed{Payload: out}, err
	}
	return t.objects(payload, at)
}

// bad returns an error about the payload.
func bad(format string, args ...any) error {
	return iot.FieldError("payload", fmt.Sprintf(format, args...))
}

// objects transforms a JSON object or a list of them.
func (t *transformer) objects(payload []byte, at time.Time) (Transformed, error) {
	root := gjson.ParseBytes(payload)
	if !isObjects(root) {
		return Transformed{}, bad("must be a JSON object or a list of objects: the device's profile requires it.")
	}
	if t.zero {
		return Transformed{Payload: payload}, nil
	}
	out := make([]byte, 0, len(payload)+64)
	if root.IsArray() {
		out, err := t.list(out, root, at, func(e gjson.Result) (gjson.Result, error) {
			v, err := t.extract(e)
			if err == nil && !v.IsObject() {
				return v, bad("must have an object at %s in each object of the list.", strings.Join(t.field, "."))
			}
			return v, err
		})
		return Transformed{Payload: out}, err
	}
	data, err := t.extract(root)
	if err != nil {
		return Transformed{}, err
	}
	if data.IsArray() {
		when, ok, err := t.timeIn(root)
		if err != nil {
			return Transformed{}, err
		}
		if !ok {
			when = at
		}
		out, err := t.list(out, data, when, func(e gjson.Result) (gjson.Result, error) { return e, nil })
		return Transformed{Payload: out}, err
	}
	when, ok, err := t.timeIn(data)
	if err == nil && !ok {
		when, _, err = t.timeIn(root)
	}
	return Transformed{Payload: t.kept.appendValue(out, data), Time: when}, err
}

func isObjects(v gjson.Result) bool {
	if !v.IsArray() {
		return v.IsObject()
	}
	all := true
	v.ForEach(func(_, e gjson.Result) bool {
		all = e.IsObject()
		return all
	})
	return all
}

// extract returns the value of the data field.
func (t *transformer) extract(v gjson.Result) (gjson.Result, error) {
	data, ok := at(v, t.field)
	if !ok || !isObjects(data) {
		return data, bad("must have an object or a list of objects at %s: the device's profile extracts it.", strings.Join(t.field, "."))
	}
	return data, nil
}

// list appends a list of objects. If the profile has a time field each gets the member
// Created: its time, or the time otherwise, in nanoseconds since 1970.
func (t *transformer) list(out []byte, list gjson.Result, otherwise time.Time, take func(gjson.Result) (gjson.Result, error)) ([]byte,
	error) {
	out = append(out, '[')
	var failed error
	first := true
	list.ForEach(func(_, e gjson.Result) bool {
		var data gjson.Result
		if data, failed = take(e); failed != nil {
			return false
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		if t.timeAt == nil {
			out = t.kept.appendValue(out, data)
			return true
		}
		var when time.Time
		var ok bool
		if when, ok, failed = t.timeIn(data); failed == nil && !ok {
			when, ok, failed = t.timeIn(e)
		}
		if !ok {
			when = otherwise
		}
		out = t.appendCreated(out, data, when)
		return failed == nil
	})
	if failed != nil {
		return nil, failed
	}
	if len(out) > iot.MaxMessageBytes {
		return nil, errTooLong
	}
	return append(out, ']'), nil
}

var errTooLong = &iot.Error{Code: iot.TooLarge, Message: "The payload has more than 1 MiB after the device's profile transformed it."}

// created is the member that each object of a list gets.
const created = "Created"

func (t *transformer) appendCreated(out []byte, data gjson.Result, when time.Time) []byte {
	start := len(out)
	out = t.kept.appendMembers(append(out, '{'), data, created)
	if len(out) > start+1 {
		out = append(out, ',')
	}
	out = append(append(append(out, '"'), created...), `":`...)
	return append(strconv.AppendInt(out, when.UnixNano(), 10), '}')
}

// at returns the value at a path. An empty path is the value itself.
func at(v gjson.Result, path []string) (gjson.Result, bool) {
	for _, name := range path {
		if !v.IsObject() {
			return v, false
		}
		found := false
		v.ForEach(func(key, value gjson.Result) bool {
			if key.Str == name {
				v, found = value, true
			}
			return !found
		})
		if !found {
			return v, false
		}
	}
	return v, true
}

// timeIn returns the time at the time field; ok is false if there is none.
func (t *transformer) timeIn(v gjson.Result) (when time.Time, ok bool, err error) {
	if t.timeAt == nil {
		return when, false, nil
	}
	value, ok := at(v, t.timeAt)
	if !ok || value.Type == gjson.Null {
		return when, false, nil
	}
	when, ok = t.parseTime(value)
	if ok {
		ok = when.After(time.Unix(0, math.MinInt64)) && when.Before(time.Unix(0, math.MaxInt64))
	}
	if !ok {
		return when, false, bad("needs a time at %s in the format of the device's profile.", strings.Join(t.timeAt, "."))
	}
	return when.UTC(), true, nil
}

func (t *transformer) parseTime(v gjson.Result) (time.Time, bool) {
	unit := t.unit
	if t.noFormat && v.Type == gjson.Number {
		unit = time.Second
	}
	if unit == 0 {
		when, err := time.ParseInLocation(t.layout, v.Str, t.zone)
		return when, err == nil && v.Type == gjson.String
	}
	text := v.Raw
	if v.Type == gjson.String {
		text = strings.Replace(v.Str, ",", ".", 1)
	}
	d, ok := parseDecimal(text)
	if !ok {
		return time.Time{}, false
	}
	ns, ok := d.times(int64(unit))
	return time.Unix(0, ns), ok
}

// keep is a tree of the names on kept paths. Nil keeps everything.
type keep struct {
	whole bool // this value and everything in it
	names map[string]*keep
}

func (k *keep) add(path []string) {
	if len(path) == 0 {
		k.whole = true
		return
	}
	if k.names == nil {
		k.names = map[string]*keep{}
	}
	next := k.names[path[0]]
	if next == nil {
		next = &keep{}
		k.names[path[0]] = next
	}
	next.add(path[1:])
}

// appendValue appends the kept part of a value: the members of an object that are on
// the paths, and the same of each object in a list. Order and bytes stay.
func (k *keep) appendValue(out []byte, v gjson.Result) []byte {
	switch {
	case k == nil || k.whole:
		return append(out, v.Raw...)
	case v.IsObject():
		return append(k.appendMembers(append(out, '{'), v, ""), '}')
	}
	out = append(out, '[')
	start := len(out)
	v.ForEach(func(_, e gjson.Result) bool {
		if !e.IsObject() {
			return true
		}
		if len(out) > start {
			out = append(out, ',')
		}
		out = k.appendValue(out, e)
		return true
	})
	return append(out, ']')
}

// appendMembers appends the kept members of an object, except the member with the name
// except.
func (k *keep) appendMembers(out []byte, object gjson.Result, except string) []byte {
	start := len(out)
	object.ForEach(func(key, value gjson.Result) bool {
		if except != "" && key.Str == except {
			return true
		}
		var next *keep
		if k != nil && !k.whole {
			next = k.names[key.Str]
			if next == nil || !next.whole && !value.IsObject() && !value.IsArray() {
				return true
			}
		}
		if len(out) > start {
			out = append(out, ',')
		}
		out = append(append(out, key.Raw...), ':')
		out = next.appendValue(out, value)
		return true
	})
	return out
}

// ErrSenML is wrapped by errors about a payload that should be SenML.
var ErrSenML = errors.New("senml")

// appendText appends a text as JSON.
func appendText(out []byte, s string) []byte {
	b, _ := json.Marshal(s) // a string cannot fail
	return append(out, b...)
}
