package downlink

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/tidwall/gjson"

	"thingpost/db"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
)

// composer makes the messages about a device's downlinks.
type composer struct {
	now      func() time.Time
	snapshot *ingest.Snapshot
	device   *iot.Device
	upstream *iot.Webhook // nil if its downlinks stay here
}

// maxListed bounds the bytes of downlinks in one message that lists many.
const maxListed = iot.MaxMessageBytes / 2

// messages returns a message for each downlink. Those removed from the queue share as
// few messages as possible.
func (c *composer) messages(kind iot.MessageType, about []*iot.Downlink) []*db.Accept {
	if kind == iot.DownlinkQueueInvalided {
		return c.invalidated(about)
	}
	list := make([]*db.Accept, len(about))
	for i, v := range about {
		object := v.Object()
		if kind == iot.DownlinkFailed {
			object = failed(v, object)
		}
		list[i] = c.message(kind, object, gjson.GetBytes(v.Body, "correlation_ids").Raw)
	}
	return list
}

func (c *composer) invalidated(about []*iot.Downlink) []*db.Accept {
	var list []*db.Accept
	const begin = `{"downlinks":[`
	b := []byte(begin)
	done := func() {
		list = append(list, c.message(iot.DownlinkQueueInvalided, append(b, "]}"...), ""))
		b = []byte(begin)
	}
	for _, v := range about {
		if len(b) > len(begin) {
			b = append(b, ',')
		}
		if b = append(b, v.Object()...); len(b) >= maxListed {
			done()
		}
	}
	if len(b) > len(begin) || len(list) == 0 {
		done()
	}
	return list
}

// failure is The Things Stack's ErrorDetails of a downlink that failed.
type failure struct {
	Namespace     string            `json:"namespace"`
	Name          string            `json:"name"`
	MessageFormat string            `json:"message_format"`
	Attributes    map[string]string `json:"attributes,omitempty"`
	CorrelationID string            `json:"correlation_id"`
	Code          int               `json:"code"`
}

// Codes of gRPC, which ErrorDetails use.
const (
	codeUnknown  = 2
	codeExceeded = 8
)

func failed(v *iot.Downlink, object json.RawMessage) json.RawMessage {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	why := failure{Namespace: "pkg/applicationserver", Name: "max_retries_reached", MessageFormat: "maximum retries reached",
		Code: codeExceeded}
	if v.Error != db.TooManyAttempts {
		why = failure{Namespace: "thingpost", Name: "device_failed", MessageFormat: "{reason}", Attributes: map[string]string{"reason": v.Error},
			Code: codeUnknown}
	}
	why.CorrelationID = hex.EncodeToString(id[:])
	b := append([]byte(`{"downlink":`), object...)
	return append(append(append(b, `,"error":`...), text(why)...), '}')
}

// text encodes a value that cannot fail to encode, without escapes for HTML.
func text(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // only strings and numbers
	return bytes.TrimSpace(b.Bytes())
}

// ids are The Things Stack's EndDeviceIdentifiers.
type ids struct {
	DeviceID    string `json:"device_id"`
	Application struct {
		ID string `json:"application_id"`
	} `json:"application_ids"`
	DevEUI  string `json:"dev_eui,omitempty"`
	JoinEUI string `json:"join_eui,omitempty"`
	DevAddr string `json:"dev_addr,omitempty"`
}

// message returns an ApplicationUp as JSON, matched. object is the value under the
// type's name, correlation a JSON list or "".
func (c *composer) message(kind iot.MessageType, object json.RawMessage, correlation string) *db.Accept {
	d, at := c.device, iot.At(c.now())
	of := ids{DeviceID: d.ID, DevEUI: d.DevEUI, JoinEUI: d.JoinEUI, DevAddr: d.DevAddr}
	of.Application.ID = c.snapshot.Project().ID
	b := append([]byte(`{"end_device_ids":`), text(of)...)
	if correlation != "" {
		b = append(append(b, `,"correlation_ids":`...), correlation...)
	}
	b = at.Time().AppendFormat(append(b, `,"received_at":"`...), "2006-01-02T15:04:05.000Z")
	b = append(append(append(b, `","`...), kind...), `":`...)
	b = append(append(b, object...), '}')
	a := c.snapshot.Match(&iot.Message{ProjectKey: d.ProjectKey, DeviceKey: d.Key, Device: d.ID, Type: kind, Payload: b, ReceivedAt: at}, d)
	if c.upstream != nil && (kind == iot.DownlinkQueued || kind == iot.DownlinkQueueInvalided) {
		c.snapshot.Carry(a, c.upstream)
	}
	return a
}
