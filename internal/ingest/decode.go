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

// received is a message as received, checked.
type received struct {
	kind     iot.MessageType
	senderID string
	from     string
	channel  string
	fields   []byte // a JSON object of the fields beside the payload; nil if there are none
	payload  []byte // shares memory with the body
	binary   bool   // the payload is SenML in CBOR
}

// maxText bounds short texts of a message, in characters: a channel, an ID, a
// timestamp.
const maxText = iot.MaxChannel

// decode reads a message in the form of the native API or of iottly. The error names
// all faults.
func decode(body []byte) (received, error) {
	m := received{kind: iot.User}
	body, err := iot.ReadJSON(body)
	if err != nil {
		return m, err
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
			f.Add(key.Str, "unknown field. A message has payload, type, channel, devicetimestamp, id, from, to and timestamp.")
			return true
		}
		if seen[i] {
			f.Add(key.Str, "must appear only once.")
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

// fieldNames are the fields that a message can have, payload first.
var fieldNames = [...]string{"payload", "type", "channel", "devicetimestamp", "id", "from", "to", "timestamp", "_id"}

func fieldIndex(name string) int {
	for i, n := range fieldNames {
		if n == name {
			return i
		}
	}
	return -1
}

// take reads one field. keep reports whether the field goes into an envelope with its
// original bytes.
func (m *received) take(f *iot.Faults, name string, value gjson.Result, body []byte) (keep bool) {
	switch name {
	case "payload":
		m.payload = body[value.Index : value.Index+len(value.Raw)]
		return false
	case "_id":
		return false
	}
	text := value.Str
	switch {
	case value.Type == gjson.Number && (name == "devicetimestamp" || name == "timestamp"):
		text = value.Raw // seconds or milliseconds since 1970; see iot.UnixTime
	case value.Type != gjson.String && name == "devicetimestamp":
		f.Add(name, "must be a text or a number.")
		return false
	case value.Type != gjson.String:
		f.Add(name, "must be a text.")
		return false
	}
	if iot.TextLength(text) > maxText {
		f.Add(name, fmt.Sprintf("must have at most %d characters.", maxText))
		return false
	}
	switch name {
	case "type":
		kind, ok := iot.ParseMessageType(value.Str)
		f.Check(ok && !kind.LoRaWAN(), "type", "must be user or iottly (userdefined or iottlyagent in iottly's form).")
		m.kind = kind
		// The envelope has iottly's name of the type instead of ours.
		return value.Str == kind.Wire()
	case "channel":
		m.channel = value.Str
	case "id":
		m.senderID = value.Str
		return false
	case "from":
		m.from = value.Str
		// The envelope has the device's UUID instead of its slug.
		return iot.LooksLikeUUID(value.Str)
	}
	return true
}

// NDJSON is the content type of one JSON value per line, in the form we send.
const NDJSON = "application/x-ndjson"

// isLines reports whether a content type is one of the names of NDJSON.
func isLines(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case NDJSON, "application/ndjson", "application/jsonlines", "application/x-jsonlines", "application/jsonl", "application/x-jsonl":
		return true
	}
	return false
}

// Split separates the messages of a request's body. The body holds one object, an array
// of objects or, if its content type says so, one object per line. The parts share
// memory with the body.
//
// Errors: invalid if an array is not JSON, or if there is no line. A bad line fails
// alone, in Accept; so does a message of an array that exceeds the bounds of
// iot.ReadJSON.
func Split(body []byte, contentType string) (messages [][]byte, err error) {
	if isLines(contentType) {
		return splitLines(body)
	}
	text := bytes.TrimSpace(iot.TrimMark(body))
	if len(text) == 0 || text[0] != '[' {
		return [][]byte{body}, nil // Accept reports what is wrong with it
	}
	if _, err := iot.ReadJSON(body); err != nil && (!errors.Is(err, iot.ErrJSONBounds) || !json.Valid(text)) {
		return nil, err
	}
	gjson.ParseBytes(text).ForEach(func(_, value gjson.Result) bool {
		messages = append(messages, text[value.Index:value.Index+len(value.Raw)])
		return true
	})
	return messages, nil
}

func splitLines(body []byte) (messages [][]byte, err error) {
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			messages = append(messages, line)
		}
	}
	if len(messages) == 0 {
		return nil, iot.NewError(iot.Invalid, "The body is empty. NDJSON has one message per line.")
	}
	return messages, nil
}
