package iot

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// MessageType is the kind of a message. iottly has two, The Things Stack eleven.
type MessageType string

// The message types, in the order of display.
const (
	User                   MessageType = "user"   // from the user's application; "userdefined" on iottly's wire
	Iottly                 MessageType = "iottly" // from the agent; "iottlyagent" on iottly's wire
	UplinkMessage          MessageType = "uplink_message"
	UplinkNormalized       MessageType = "uplink_normalized"
	JoinAccept             MessageType = "join_accept"
	DownlinkAck            MessageType = "downlink_ack"
	DownlinkNack           MessageType = "downlink_nack"
	DownlinkSent           MessageType = "downlink_sent"
	DownlinkFailed         MessageType = "downlink_failed"
	DownlinkQueued         MessageType = "downlink_queued"
	DownlinkQueueInvalided MessageType = "downlink_queue_invalidated"
	LocationSolved         MessageType = "location_solved"
	ServiceData            MessageType = "service_data"
)

// MessageTypes returns all types, iottly's two first.
func MessageTypes() []MessageType {
	return []MessageType{User, Iottly, UplinkMessage, UplinkNormalized, JoinAccept, DownlinkAck, DownlinkNack,
		DownlinkSent, DownlinkFailed, DownlinkQueued, DownlinkQueueInvalided, LocationSolved, ServiceData}
}

// ParseMessageType reads a type by our name or by iottly's name on the wire.
func ParseMessageType(s string) (MessageType, bool) {
	switch s {
	case "userdefined":
		return User, true
	case "iottlyagent":
		return Iottly, true
	}
	for _, t := range MessageTypes() {
		if string(t) == s {
			return t, true
		}
	}
	return "", false
}

// LoRaWAN reports whether t is one of The Things Stack's types.
func (t MessageType) LoRaWAN() bool { return t != User && t != Iottly }

// Wire returns the type's name in an envelope: iottly's own names for its two types,
// ours for the others.
func (t MessageType) Wire() string {
	switch t {
	case User:
		return "userdefined"
	case Iottly:
		return "iottlyagent"
	}
	return string(t)
}

// Limits of what a sender can send.
const (
	MaxMessageBytes = 1 << 20 // a request's body, and so a message
	MaxChannel      = 254     // characters
	MaxSenderID     = 254     // characters
)

// Message is one accepted message. It is never changed.
type Message struct {
	ID         ID     `json:"id"`
	ProjectKey int64  `json:"-"`
	DeviceKey  int64  `json:"-"`
	Device     string `json:"device"` // slug

	Type MessageType `json:"type"`
	// Channel is the channel that webhooks filter by; see ChannelOf.
	Channel string `json:"channel"`
	// SenderID is the sender's own id for the message, "" if none.
	SenderID string `json:"sender_id,omitempty"`
	// Fields is a JSON object of the fields beside the payload (from, to, timestamp,
	// devicetimestamp, type, channel), with their original bytes; empty if there were
	// none.
	Fields json.RawMessage `json:"fields,omitempty"`
	// Payload is the received JSON value, byte for byte. For a LoRaWAN type it is the
	// whole message.
	Payload json.RawMessage `json:"payload"`
	// InvalidUTF8 means that some bytes are not UTF-8, which early versions accepted.
	// Readers see U+FFFD in their place; the stored bytes stay.
	InvalidUTF8 bool    `json:"invalid_utf8,omitempty"`
	ReceivedAt  Instant `json:"received_at"`
	// Transient messages are stored only until they are delivered (profile with write
	// off).
	Transient bool `json:"-"`
}

// Mend makes a stored message valid UTF-8; see InvalidUTF8.
func (m *Message) Mend() {
	if utf8.Valid(m.Payload) && utf8.Valid(m.Fields) && utf8.ValidString(m.Channel) && utf8.ValidString(m.SenderID) {
		return
	}
	m.InvalidUTF8 = true
	m.Payload, m.Fields = MendText(m.Payload), MendText(m.Fields)
	m.Channel, m.SenderID = string(MendText([]byte(m.Channel))), string(MendText([]byte(m.SenderID)))
}

// MendText returns a text with U+FFFD for bytes that are not UTF-8, or text itself if
// all are.
func MendText(text []byte) []byte {
	if utf8.Valid(text) {
		return text
	}
	return bytes.ToValidUTF8(text, []byte("\uFFFD"))
}

// ChannelOf returns the payload's own channel if it has one (payload.webhook_channel, a
// string; iottly's document of March 2018), otherwise the message's. inPayload is true
// for the payload's.
func ChannelOf(payload []byte, own string) (channel string, inPayload bool) {
	if len(payload) > 0 && payload[0] == '{' {
		if r := gjson.GetBytes(payload, "webhook_channel"); r.Type == gjson.String {
			return r.Str, true
		}
	}
	return own, false
}
