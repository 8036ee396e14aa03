package iot

import (
	"encoding/json"
	"strconv"

	"github.com/tidwall/gjson"
)

// DownlinkStatus is the state of a downlink.
type DownlinkStatus string

// The states. A downlink is queued until its device takes it (sent). The device's
// answer ends it. Forwarded means that another system has it, and that system's
// messages report what became of it. Cancelled means that it was removed from the
// queue.
const (
	DownlinkIsQueued    DownlinkStatus = "queued"
	DownlinkIsSent      DownlinkStatus = "sent"
	DownlinkIsForwarded DownlinkStatus = "forwarded"
	DownlinkIsAcked     DownlinkStatus = "acked"
	DownlinkIsFailed    DownlinkStatus = "failed"
	DownlinkIsCancelled DownlinkStatus = "cancelled"
)

// DownlinkStatuses returns all states in the order of display.
func DownlinkStatuses() []DownlinkStatus {
	return []DownlinkStatus{DownlinkIsQueued, DownlinkIsSent, DownlinkIsForwarded, DownlinkIsAcked, DownlinkIsFailed, DownlinkIsCancelled}
}

// Bounds of downlinks.
const (
	MaxDownlinks        = 10_000 // queued for one device
	MaxDownlinkAttempts = 32     // of a confirmed one, at most
	DownlinkAttempts    = 8      // of a confirmed one that states no number
)

// Downlink is one message for a device.
type Downlink struct {
	ID         ID
	ProjectKey int64
	DeviceKey  int64
	Device     string // slug
	Status     DownlinkStatus
	// Position orders a device's queue. It is a key like an ID's.
	Position int64
	// Body is a JSON object: The Things Stack's ApplicationDownlink without
	// confirmed_retry, which is in the three fields below.
	Body json.RawMessage
	// Payload is the pushed JSON value of a downlink without a LoRaWAN payload; empty
	// for others.
	Payload     json.RawMessage
	Confirmed   bool
	Attempt     int // how often the device has refused it
	MaxAttempts int // as requested; 0 means DownlinkAttempts
	// Error is why it failed.
	Error     string
	CreatedAt Instant
	SentAt    Instant // when it was last taken; 0 if never
	ChangedAt Instant // when its state last changed
}

// LastAttempt reports whether the next refusal of a confirmed downlink is its last.
func (d *Downlink) LastAttempt() bool {
	most := d.MaxAttempts
	if most == 0 {
		most = DownlinkAttempts
	}
	return d.Attempt+1 >= min(most, MaxDownlinkAttempts)
}

// Object returns the downlink as an ApplicationDownlink in JSON. A payload that is not
// a LoRaWAN payload becomes decoded_payload, inside {"value": …} unless it is an
// object.
func (d *Downlink) Object() json.RawMessage {
	b := d.open(nil)
	if len(d.Payload) > 0 {
		b = comma(b)
		if d.Payload[0] == '{' {
			b = append(append(b, `"decoded_payload":`...), d.Payload...)
		} else {
			b = append(append(append(b, `"decoded_payload":{"value":`...), d.Payload...), '}')
		}
	}
	return append(d.appendRetry(b), '}')
}

// MarshalJSON encodes the downlink for our own API: the fields of an
// ApplicationDownlink, the payload as pushed, and the downlink's state.
func (d *Downlink) MarshalJSON() ([]byte, error) {
	know, err := json.Marshal(struct {
		ID        ID             `json:"id"`
		Device    string         `json:"device"`
		Status    DownlinkStatus `json:"status"`
		Error     string         `json:"error,omitempty"`
		CreatedAt Instant        `json:"created_at"`
		SentAt    Instant        `json:"sent_at"`
		ChangedAt Instant        `json:"changed_at"`
	}{d.ID, d.Device, d.Status, d.Error, d.CreatedAt, d.SentAt, d.ChangedAt})
	if err != nil {
		return nil, err
	}
	b := know[:len(know)-1]
	if d.Status == DownlinkIsForwarded {
		// The body may have members with the names of ours: those are left out.
		ours := gjson.ParseBytes(know)
		gjson.ParseBytes(d.Body).ForEach(func(key, value gjson.Result) bool {
			if !ours.Get(gjson.Escape(key.Str)).Exists() && key.Str != "error" {
				b = append(append(append(comma(b), key.Raw...), ':'), value.Raw...)
			}
			return true
		})
	} else {
		b = d.open(b)
	}
	if len(d.Payload) > 0 {
		b = append(append(comma(b), `"payload":`...), d.Payload...)
	}
	return append(d.appendRetry(b), '}'), nil
}

// open begins an object, or continues one, with the members of the body.
func (d *Downlink) open(b []byte) []byte {
	if len(b) == 0 {
		b = append(b, '{')
	}
	if len(d.Body) > len(`{}`) {
		b = append(comma(b), d.Body[1:len(d.Body)-1]...)
	}
	return b
}

func comma(b []byte) []byte {
	if len(b) > 1 {
		b = append(b, ',')
	}
	return b
}

func (d *Downlink) appendRetry(b []byte) []byte {
	if d.Attempt == 0 && d.MaxAttempts == 0 {
		return b
	}
	b = append(comma(b), `"confirmed_retry":{`...)
	if d.Attempt > 0 {
		b = strconv.AppendInt(append(b, `"attempt":`...), int64(d.Attempt), 10)
	}
	if d.MaxAttempts > 0 {
		if d.Attempt > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `"max_attempts":`...), int64(d.MaxAttempts), 10)
	}
	return append(b, '}')
}
