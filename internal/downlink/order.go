package downlink

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"thingpost/internal/iot"
)

// Order is a downlink as pushed, with the names of The Things Stack's
// ApplicationDownlink. A device that is not a LoRaWAN device gets any JSON value as
// Payload instead.
type Order struct {
	FPort          int             `json:"f_port,omitempty"`          // 1 to 255 but not 224; optional with Payload
	FRMPayload     Bytes           `json:"frm_payload,omitempty"`     // at most 255 bytes
	DecodedPayload json.RawMessage `json:"decoded_payload,omitempty"` // an object
	Payload        json.RawMessage `json:"payload,omitempty"`
	Confirmed      bool            `json:"confirmed,omitempty"`
	ClassBC        *ClassBC        `json:"class_b_c,omitempty"`
	Priority       Priority        `json:"priority,omitempty"`
	CorrelationIDs []string        `json:"correlation_ids,omitempty"` // at most 100 characters each
	ConfirmedRetry *ConfirmedRetry `json:"confirmed_retry,omitempty"`
	// Came is the whole object as received, for a downlink to forward; the fields above
	// are then empty. See Forward.
	Came json.RawMessage `json:"-"`
}

// ConfirmedRetry is how often a confirmed downlink is tried.
type ConfirmedRetry struct {
	// MaxAttempts is 1 to 100, of which at most 32 are made; 0 means the default of
	// eight.
	MaxAttempts int `json:"max_attempts,omitempty"`
}

// ClassBC is from where and when a downlink is sent, for devices of class B and C.
type ClassBC struct {
	Gateways     []Gateway  `json:"gateways,omitempty"`
	AbsoluteTime *time.Time `json:"absolute_time,omitempty"`
}

// Gateway is a gateway that sends a downlink, and its antenna.
type Gateway struct {
	IDs          GatewayIDs `json:"gateway_ids"`
	AntennaIndex int        `json:"antenna_index,omitempty"`
	GroupIndex   int        `json:"group_index,omitempty"`
}

// GatewayIDs name a gateway.
type GatewayIDs struct {
	ID  string `json:"gateway_id,omitempty"`
	EUI string `json:"eui,omitempty"`
}

// Bytes are base64 in JSON. Reading accepts the forms of iot.DecodeBase64. Writing uses
// the standard alphabet with padding.
type Bytes []byte

// UnmarshalText reads base64.
func (b *Bytes) UnmarshalText(text []byte) error {
	v, err := iot.DecodeBase64(string(text))
	if err != nil {
		return iot.NewError(iot.Invalid, "must be base64.")
	}
	*b = v
	return nil
}

// MarshalText writes base64.
func (b Bytes) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, b), nil
}

// Priority is the name of a priority in The Things Stack, "" for the lowest.
type Priority string

// Priorities returns the names of all, the lowest first.
func Priorities() []Priority {
	return []Priority{"LOWEST", "LOW", "BELOW_NORMAL", "NORMAL", "ABOVE_NORMAL", "HIGH", "HIGHEST"}
}

// UnmarshalText reads a name as written; the lowest becomes "".
func (p *Priority) UnmarshalText(text []byte) error {
	v := Priority(text)
	if !slices.Contains(Priorities(), v) {
		return iot.NewError(iot.Invalid, "must be LOWEST, LOW, BELOW_NORMAL, NORMAL, ABOVE_NORMAL, HIGH or HIGHEST.")
	}
	if v == Priorities()[0] {
		v = ""
	}
	*p = v
	return nil
}

// Bounds of an order.
const (
	MaxFRMPayload    = 255
	MaxFPort         = 255
	ReservedFPort    = 224      // of LoRaWAN's own tests
	MaxCorrelationID = 100      // characters
	MaxAttempts      = 100      // that can be requested
	MaxPayload       = 64 << 10 // bytes of Payload and of DecodedPayload
)

// check adds the faults of an order, by names that begin with prefix.
func (o *Order) check(f *iot.Faults, prefix string) {
	native := len(o.Payload) > 0
	f.Check(o.FPort >= 0 && o.FPort <= MaxFPort && o.FPort != ReservedFPort && (o.FPort > 0 || native), prefix+"f_port",
		"must be 1 to 255, but not 224.")
	f.Check(len(o.FRMPayload) <= MaxFRMPayload, prefix+"frm_payload", "must have at most 255 bytes.")
	decoded := bytes.TrimSpace(o.DecodedPayload)
	f.Check(len(decoded) == 0 || decoded[0] == '{', prefix+"decoded_payload", "must be an object.")
	f.Check(len(decoded) <= MaxPayload, prefix+"decoded_payload", "must have at most 64 KiB.")
	f.Check(len(o.Payload) <= MaxPayload, prefix+"payload", "must have at most 64 KiB.")
	checkJSON(f, prefix+"decoded_payload", decoded)
	checkJSON(f, prefix+"payload", o.Payload)
	f.Check(!native || len(decoded) == 0 && len(o.FRMPayload) == 0, prefix+"payload",
		"cannot be combined with frm_payload or decoded_payload.")
	for i, id := range o.CorrelationIDs {
		f.Check(iot.TextLength(id) <= MaxCorrelationID, fmt.Sprintf("%scorrelation_ids.%d", prefix, i), "must have at most 100 characters.")
	}
	if r := o.ConfirmedRetry; r != nil {
		f.Check(r.MaxAttempts >= 0 && r.MaxAttempts <= MaxAttempts, prefix+"confirmed_retry.max_attempts", "must be 1 to 100.")
	}
	if o.ClassBC == nil {
		return
	}
	for i, g := range o.ClassBC.Gateways {
		at := fmt.Sprintf("%sclass_b_c.gateways.%d.", prefix, i)
		f.Check(g.AntennaIndex >= 0 && g.GroupIndex >= 0, at+"antenna_index", "and group_index must not be negative.")
		f.Check(g.IDs.ID == "" || iot.CheckSlug("", g.IDs.ID) == nil, at+"gateway_ids.gateway_id",
			"must be 3 to 36 lower-case letters, digits and single dashes.")
	}
}

// checkJSON adds why a payload cannot be read, for payloads from Protocol Buffers.
// Payloads of a JSON body were checked with it.
func checkJSON(f *iot.Faults, name string, text []byte) {
	if len(text) == 0 {
		return
	}
	if _, err := iot.ReadJSON(text); err != nil {
		e, _ := errors.AsType[*iot.Error](err)
		f.Add(name, strings.Replace(e.Message, "The body", "It", 1))
	}
}

// Check returns an Invalid error that names everything wrong with orders for our own
// queue. Fields of a single order have their names, of one of many
// "downlinks.0.f_port". Conflict for orders of Forward, which the queue cannot take.
func Check(orders []Order) error {
	var f iot.Faults
	for i := range orders {
		if orders[i].Came != nil {
			return iot.NewError(iot.Conflict, "Downlinks of this device were forwarded to another system until now. Push again.")
		}
		orders[i].check(&f, prefixOf(i, len(orders)))
		if i%100 == 99 && f.Err() != nil {
			break // these are enough to report
		}
	}
	return f.Err()
}

// prefixOf is the prefix of field names of one order among many.
func prefixOf(i, n int) string {
	if n > 1 {
		return fmt.Sprintf("downlinks.%d.", i)
	}
	return ""
}

// downlink makes the stored form of an order.
func (o Order) downlink(id iot.ID) (*iot.Downlink, error) {
	if o.Came != nil {
		return cameAs(o.Came, id)
	}
	v := &iot.Downlink{ID: id, Payload: bytes.TrimSpace(o.Payload), Confirmed: o.Confirmed}
	if o.ConfirmedRetry != nil {
		v.MaxAttempts = o.ConfirmedRetry.MaxAttempts
	}
	o.Payload, o.ConfirmedRetry = nil, nil
	o.CorrelationIDs = append(slices.Clip(o.CorrelationIDs), CorrelationPrefix+id.String())
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(o); err != nil {
		return nil, fmt.Errorf("encode a downlink: %w", err)
	}
	v.Body = bytes.TrimSpace(b.Bytes())
	return v, nil
}

// CorrelationPrefix and a downlink's id make the correlation id that identifies its
// messages.
const CorrelationPrefix = "as:downlink:"
