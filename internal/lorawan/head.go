package lorawan

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"thingpost/internal/iot"
)

// Head is what is needed to accept a message.
type Head struct {
	Type          iot.MessageType
	ApplicationID string
	DeviceID      string
	// DevEUI and JoinEUI are 16, DevAddr 8 upper-case hex digits, or "".
	DevEUI, JoinEUI, DevAddr string
}

// ReadHead reads the JSON of an ApplicationUp (see iot.ReadJSON). It returns the JSON
// unchanged, but with snake_case for camelCase names of the schema. Invalid, with all
// faults, if it is not JSON or not a message of one type.
func ReadHead(text []byte) (Head, []byte, error) {
	text, err := iot.ReadJSON(text)
	if err != nil {
		return Head{}, nil, err
	}
	if c := (cursor{b: text}); c.peek() != '{' {
		return Head{}, nil, iot.NewError(iot.Invalid, "The body must be a JSON object: an ApplicationUp.")
	}
	text = snakeCase(text, upDescriptor())
	var h Head
	var f iot.Faults
	var seen bool
	eachMember(text, func(name, value []byte) {
		switch key := string(name); {
		case key == "end_device_ids":
			f.Check(!seen, key, "must appear only once.")
			seen = true
			h.readIDs(&f, value)
		case !isUpType(key) || value[0] == 'n':
		case value[0] != '{':
			f.Add(key, "must be an object.")
		case h.Type != "":
			f.Add(key, "cannot be combined with "+string(h.Type)+". A message has one type.")
		default:
			h.Type = iot.MessageType(key)
		}
	})
	if h.Type == "" && f.Err() == nil {
		return h, nil, iot.NewError(iot.Invalid, "The body has no message. It must have one of "+upTypeNames()+".")
	}
	return h, text, f.Err()
}

func (h *Head) readIDs(f *iot.Faults, raw []byte) {
	const in = "end_device_ids."
	object := eachMember(raw, func(name, value []byte) {
		switch key := string(name); key {
		case "device_id":
			h.DeviceID = textOf(f, in+key, value)
		case "dev_eui":
			h.DevEUI = hexOf(f, in+key, value, 8)
		case "join_eui":
			h.JoinEUI = hexOf(f, in+key, value, 8)
		case "dev_addr":
			h.DevAddr = hexOf(f, in+key, value, 4)
		case "application_ids":
			eachMember(value, func(name, value []byte) {
				if string(name) == "application_id" {
					h.ApplicationID = textOf(f, in+key+".application_id", value)
				}
			})
		}
	})
	f.Check(object || raw[0] == 'n', "end_device_ids", "must be an object.")
}

// eachMember calls visit with each member's name, as written between its quotes, and
// value. It returns false if raw is not an object.
func eachMember(raw []byte, visit func(name, value []byte)) bool {
	c := cursor{b: raw}
	if !c.open('{') {
		return false
	}
	for c.more() {
		name := c.key()
		visit(name, c.value())
	}
	return true
}

func textOf(f *iot.Faults, name string, raw []byte) string {
	switch raw[0] {
	case '"':
		return unquote(raw[1 : len(raw)-1])
	case 'n':
		return ""
	}
	f.Add(name, "must be a text.")
	return ""
}

func hexOf(f *iot.Faults, name string, raw []byte, size int) string {
	s := strings.ToUpper(textOf(f, name, raw))
	if s == "" {
		return ""
	}
	if b, err := hex.DecodeString(s); err != nil || len(b) != size {
		f.Add(name, "must be "+strconv.Itoa(2*size)+" hex digits.")
		return ""
	}
	return s
}

func isUpType(name string) bool {
	return upDescriptor().Oneofs().ByName("up").Fields().ByName(protoreflect.Name(name)) != nil
}

func upTypeNames() string {
	var names []string
	for _, t := range iot.MessageTypes() {
		if t.LoRaWAN() {
			names = append(names, string(t))
		}
	}
	return strings.Join(names, ", ")
}

// snakeCase returns the JSON of a message with the schema's names instead of camelCase
// ones. It returns text itself if there are none.
func snakeCase(text []byte, md protoreflect.MessageDescriptor) []byte {
	w := renamer{cursor: cursor{b: text}}
	w.message(md, 0)
	if w.out == nil {
		return text
	}
	return append(w.out, text[w.copied:]...)
}

type renamer struct {
	cursor
	out    []byte // nil until something is renamed
	copied int    // bytes of the text already in out
}

func (w *renamer) message(md protoreflect.MessageDescriptor, depth int) {
	if depth > maxDepth || !w.open('{') {
		w.value()
		return
	}
	p := planOf(md)
	for w.more() {
		w.peek()
		from := w.i
		key := w.key()
		f := p.fields[string(key)]
		if f == nil {
			f = p.fields[unescaped(key)]
		}
		if f == nil {
			w.value()
			continue
		}
		if string(key) != f.name {
			w.out = append(append(append(w.out, w.b[w.copied:from+1]...), f.name...), '"')
			w.copied = from + len(key) + 2
		}
		w.within(f, depth+1)
	}
}

func (w *renamer) within(f *field, depth int) {
	switch {
	case f.Kind() != protoreflect.MessageKind || f.form != formPlain:
		w.value()
	case f.IsMap() && w.open('{'):
		for w.more() {
			w.key()
			if of := f.MapValue(); of.Kind() == protoreflect.MessageKind {
				w.message(of.Message(), depth)
			} else {
				w.value()
			}
		}
	case f.IsList() && w.open('['):
		for w.more() {
			w.message(f.Message(), depth)
		}
	case f.IsMap() || f.IsList():
		w.value()
	default:
		w.message(f.Message(), depth)
	}
}

// Simulated returns the JSON of a message from ReadHead as one that a person made:
// marked as simulated, from the device, received now unless it states another time. The
// device's other identifiers stay.
func Simulated(text []byte, application, device string, now time.Time) []byte {
	b := make([]byte, 0, len(text)+256)
	b = append(b, `{"end_device_ids":{"device_id":`...)
	b = append(appendText(b, device), `,"application_ids":{"application_id":`...)
	b = append(appendText(b, application), '}')
	var received bool
	var rest []byte
	eachMember(text, func(name, value []byte) {
		switch string(name) {
		case "end_device_ids":
			eachMember(value, func(name, value []byte) {
				if string(name) != "device_id" && string(name) != "application_ids" {
					b = appendMember(b, name, value)
				}
			})
			return
		case "simulated":
			return
		case "received_at":
			if received = value[0] == '"'; !received {
				return
			}
		}
		rest = appendMember(rest, name, value)
	})
	b = append(append(b, '}'), rest...)
	if !received {
		b = now.UTC().AppendFormat(append(b, `,"received_at":"`...), time.RFC3339Nano)
		b = append(b, '"')
	}
	return append(b, `,"simulated":true}`...)
}

func appendMember(b, key, value []byte) []byte {
	return append(append(append(append(b, `,"`...), key...), `":`...), value...)
}
