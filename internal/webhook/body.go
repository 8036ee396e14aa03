package webhook

import (
	"github.com/tidwall/gjson"
	"google.golang.org/protobuf/proto"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan"
	"thingpost/internal/lorawan/wire"
)

// Skip means that there is nothing to send: the delivery ends as skipped.
type Skip struct {
	Reason string // a few words, such as "no payload.webhook_payload"
}

// Error returns the reason.
func (s *Skip) Error() string { return "skipped: " + s.Reason }

// Content types of bodies, unless a person's own header sets another.
const (
	typeJSON   = "application/json"
	typeBinary = "application/octet-stream"
)

// body returns the body for a message. It may share memory with the message.
func (c *Compiled) body(in *Input) (body []byte, contentType string, err error) {
	m := in.Message
	switch {
	case c.upstream:
		return c.downlinks(m)
	case c.payloadOnly && m.Type.LoRaWAN():
		return lorawanPayload(m)
	case c.payloadOnly:
		body, err = c.payload(m)
		return body, typeJSON, err
	case c.format == iot.Protobuf:
		body, err = lorawan.Protobuf(c.applicationUp(in))
		return body, typeBinary, err
	case c.format == iot.JSON:
		return c.applicationUp(in), typeJSON, nil
	}
	payload := []byte(m.Payload)
	if m.Type.LoRaWAN() {
		if payload, err = lorawanObject(m); err != nil {
			return nil, "", err
		}
	}
	return envelope(in, payload), typeJSON, nil
}

// payload returns the payload-only body of a user or iottly message.
func (c *Compiled) payload(m *iot.Message) ([]byte, error) {
	if c.filter.channel == "" {
		return m.Payload, nil
	}
	if channel, inPayload := iot.ChannelOf(m.Payload, ""); !inPayload || channel != c.filter.channel {
		return m.Payload, nil
	}
	value, ok := member(m.Payload, "webhook_payload")
	if !ok {
		return nil, &Skip{Reason: "no payload.webhook_payload"}
	}
	return value, nil
}

// lorawanPayload returns the payload-only body of a LoRaWAN message: the decoded
// payload, otherwise the device's bytes, otherwise the object under the type's name.
func lorawanPayload(m *iot.Message) (body []byte, contentType string, err error) {
	object, err := lorawanObject(m)
	if err != nil {
		return nil, "", err
	}
	if decoded, ok := member(object, "decoded_payload"); ok && string(decoded) != "null" {
		return decoded, typeJSON, nil
	}
	if text := gjson.GetBytes(object, "frm_payload"); text.Type == gjson.String {
		if raw, err := iot.DecodeBase64(text.Str); err == nil {
			return raw, typeBinary, nil
		}
	}
	return object, typeJSON, nil
}

// downlinks returns the body for another system's queue: the downlink of the message,
// or no downlinks, which empties the queue.
func (c *Compiled) downlinks(m *iot.Message) (body []byte, contentType string, err error) {
	body = []byte(`{"downlinks":[`)
	if m.Type == iot.DownlinkQueued {
		object, err := lorawanObject(m)
		if err != nil {
			return nil, "", err
		}
		body = append(body, object...)
	}
	body = append(body, "]}"...)
	if c.format != iot.Protobuf {
		return body, typeJSON, nil
	}
	var list wire.ApplicationDownlinks
	if err := lorawan.ParseJSON(body, &list); err != nil {
		return nil, "", iot.NewError(iot.Invalid, "The downlink cannot be written as Protocol Buffers: "+err.Error()+".")
	}
	body, err = proto.Marshal(&list)
	return body, typeBinary, err
}

// lorawanObject returns the object under the type's name.
func lorawanObject(m *iot.Message) ([]byte, error) {
	object, ok := member(m.Payload, string(m.Type))
	if !ok {
		return nil, &Skip{Reason: "no " + string(m.Type)}
	}
	return object, nil
}

// member returns the bytes of an object's member as written in json.
func member(json []byte, name string) ([]byte, bool) {
	r := gjson.GetBytes(json, name)
	if !r.Exists() {
		return nil, false
	}
	return json[r.Index : r.Index+len(r.Raw)], true
}

// applicationUp returns the message as The Things Stack's JSON, reduced by the field
// mask. A LoRaWAN message has that form already. Any other becomes the decoded payload
// of an uplink.
func (c *Compiled) applicationUp(in *Input) []byte {
	up := []byte(in.Message.Payload)
	if !in.Message.Type.LoRaWAN() {
		up = asUplink(in)
	}
	if c.mask == nil {
		return up
	}
	return c.mask.Append(make([]byte, 0, len(up)), up)
}

func asUplink(in *Input) []byte {
	m := in.Message
	const room = 400 // for all but the payload
	b := make([]byte, 0, len(m.Payload)+room)
	b = append(b, `{"end_device_ids":{`...)
	b = appendField(b, "device_id", in.Device.ID)
	b = append(b, `"application_ids":{`...)
	b = appendField(b, "application_id", in.Project.ID)
	b[len(b)-1] = '}'
	b = append(b, ',')
	for _, id := range [...]struct{ name, value string }{{"dev_eui", in.Device.DevEUI}, {"join_eui", in.Device.JoinEUI},
		{"dev_addr", in.Device.DevAddr}} {
		if id.value != "" {
			b = appendField(b, id.name, id.value)
		}
	}
	b[len(b)-1] = '}'
	b = append(b, `,"received_at":`...)
	at := len(b)
	b = m.ReceivedAt.Time().AppendFormat(b, `"2006-01-02T15:04:05.000Z"`)
	received := b[at:]
	b = append(b, `,"uplink_message":{"decoded_payload":`...)
	if len(m.Payload) > 0 && m.Payload[0] == '{' {
		b = append(b, m.Payload...)
	} else {
		b = append(append(append(b, `{"value":`...), m.Payload...), '}')
	}
	b = append(append(b, `,"received_at":`...), received...)
	return append(b, "}}"...)
}

// envelope returns {"msg":{…}} of the received fields, the missing ones and the
// payload, whose bytes stay unchanged.
func envelope(in *Input, payload []byte) []byte {
	m := in.Message
	const room = 320 // for the missing fields
	b := make([]byte, 0, len(m.Fields)+len(payload)+room)
	b = append(b, `{"msg":{`...)

	var from, to, timestamp, deviceTime, kind bool
	var timestampRaw string
	fields := gjson.ParseBytes(m.Fields)
	fields.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "from":
			from = true
		case "to":
			to = true
		case "timestamp":
			timestamp, timestampRaw = true, value.Raw
		case "devicetimestamp":
			deviceTime = true
		case "type":
			kind = true
		}
		b = append(b, key.Raw...)
		b = append(b, ':')
		b = append(b, value.Raw...)
		b = append(b, ',')
		return true
	})
	if !from {
		b = appendField(b, "from", in.Device.UUID)
	}
	if !to {
		b = appendField(b, "to", in.Project.UUID)
	}
	if !timestamp {
		b = append(b, `"timestamp":`...)
		at := len(b)
		b = m.ReceivedAt.Time().AppendFormat(b, `"2006-01-02T15:04:05.000"`)
		timestampRaw = string(b[at:])
		b = append(b, ',')
	}
	if !deviceTime {
		b = append(b, `"devicetimestamp":`...)
		b = append(b, timestampRaw...)
		b = append(b, ',')
	}
	if !kind {
		b = appendField(b, "type", m.Type.Wire())
	}
	b = append(b, `"payload":`...)
	b = append(b, payload...)
	return append(b, "}}"...)
}

// appendField appends a member whose text needs no escapes.
func appendField(b []byte, name, text string) []byte {
	b = append(b, '"')
	b = append(b, name...)
	b = append(b, `":"`...)
	b = append(b, text...)
	return append(b, `",`...)
}
