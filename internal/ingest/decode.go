package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"thingpost/internal/iot"
)

// received is a message as it came, checked.
type received struct {
	kind     iot.MessageType
	senderID string
	from     string
	channel  string
	fields   []byte // a JSON object of what came beside the payload; nil if nothing did
	payload  []byte // shares memory with the body
	binary   bool   // the payload is SenML in CBOR
}

// maxText bounds a short text of a message in characters: a channel, an id, a
// timestamp.
const maxText = iot.MaxChannel

// decode reads a message of the native API, or of iottly's own form. All faults
// are named at once.
func decode(body []byte) (received, error) {
	m := received{kind: iot.User}
	if !json.Valid(body) {
		return m, notJSON(body)
	}
	root := gjson.ParseBytes(body)
	if !root.IsObject() {
		return m, iot.NewError(iot.Invalid, `A message is a JSON object, like {"payload": {"temperature": 21.5}}.`)
	}
	var f iot.Faults
	var seen [len(fieldNames)]bool
	fields := make([]byte, 0, 64)
	root.ForEach(func(key, value gjson.Result) bool {
		i := fieldIndex(key.Str)
		if i < 0 {
			f.Add(key.Str, "is not a field of a message; there are payload, type, channel, devicetimestamp, id, from, to and timestamp.")
			return true
		}
		if seen[i] {
			f.Add(key.Str, "must be given once.")
			return true
		}
		seen[i] = true
		if m.take(&f, key.Str, value, body) {
			sep := byte(',')
			if len(fields) == 0 {
				sep = '{'
			}
			fields = append(fields, sep)
			fields = append(append(append(fields, key.Raw...), ':'), value.Raw...)
		}
		return true
	})
	f.Check(seen[0], "payload", "is missing.")
	if len(fields) > 0 {
		m.fields = append(fields, '}')
	}
	return m, f.Err()
}

// fieldNames are the names that a message may have, payload first.
var fieldNames = [...]string{"payload", "type", "channel", "devicetimestamp", "id", "from", "to", "timestamp", "_id"}

func fieldIndex(name string) int {
	for i, n := range fieldNames {
		if n == name {
			return i
		}
	}
	return -1
}

// take reads one field. keep says that it goes into an envelope with the bytes
// that came.
func (m *received) take(f *iot.Faults, name string, value gjson.Result, body []byte) (keep bool) {
	switch name {
	case "payload":
		m.payload = body[value.Index : value.Index+len(value.Raw)]
		return false
	case "_id":
		return false
	}
	if value.Type != gjson.String {
		f.Add(name, "must be a text.")
		return false
	}
	if iot.TextLength(value.Str) > maxText {
		f.Add(name, fmt.Sprintf("must have at most %d characters.", maxText))
		return false
	}
	switch name {
	case "type":
		kind, ok := iot.ParseMessageType(value.Str)
		f.Check(ok && !kind.LoRaWAN(), "type", "must be user or iottly (userdefined or iottlyagent in iottly's form).")
		m.kind = kind
		// Our own name of the type becomes iottly's in an envelope.
		return value.Str == kind.Wire()
	case "channel":
		m.channel = value.Str
	case "id":
		m.senderID = value.Str
		return false
	case "from":
		m.from = value.Str
		// A device's slug becomes its UUID in an envelope.
		return iot.LooksLikeUUID(value.Str)
	}
	return true
}

// notJSON says where a text stops being JSON.
func notJSON(body []byte) error {
	var v json.RawMessage
	err := json.Unmarshal(body, &v)
	where := ""
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		line := 1 + bytes.Count(body[:min(int(e.Offset), len(body))], []byte("\n"))
		where = fmt.Sprintf(" (byte %d, line %d: %s)", e.Offset, line, strings.TrimPrefix(e.Error(), "json: "))
	}
	return &iot.Error{Code: iot.Invalid, Message: "The body is not valid JSON" + where + "."}
}

// NDJSON is the content type of one JSON value on each line.
const NDJSON = "application/x-ndjson"

// Split takes a request's body apart into its messages: one object, an array of
// them, or, by its content type, one on each line. many is false for one object.
// Invalid if nothing of it is JSON; a bad line among good ones fails alone, in
// Accept. The parts share memory with the body.
func Split(body []byte, contentType string) (messages [][]byte, many bool, err error) {
	media, _, _ := strings.Cut(contentType, ";")
	if strings.EqualFold(strings.TrimSpace(media), NDJSON) {
		return splitLines(body)
	}
	trimmed := bytes.TrimSpace(body)
	if len(trimmed) == 0 || trimmed[0] != '[' {
		return [][]byte{body}, false, nil
	}
	if !json.Valid(body) {
		return nil, false, notJSON(body)
	}
	gjson.ParseBytes(trimmed).ForEach(func(_, value gjson.Result) bool {
		messages = append(messages, trimmed[value.Index:value.Index+len(value.Raw)])
		return true
	})
	return messages, true, nil
}

func splitLines(body []byte) (messages [][]byte, many bool, err error) {
	good := false
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			messages = append(messages, line)
			good = good || json.Valid(line)
		}
	}
	if !good {
		return nil, false, iot.NewError(iot.Invalid, "No line of the body is JSON. NDJSON is one message on each line.")
	}
	return messages, true, nil
}
