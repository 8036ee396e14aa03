package downlink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tidwall/gjson"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan"
	"thingpost/internal/lorawan/wire"
)

// MaxForwarded bounds the bytes of a forwarded downlink.
const MaxForwarded = 128 << 10

// Forwards reports whether downlinks of a device are forwarded to an upstream. If so,
// they can be pushed as orders of Forward.
func (q *Queue) Forwards(ctx context.Context, p *iot.Project, v *iot.Device) (bool, error) {
	s, err := q.o.Ingest.Snapshot(ctx, p.Key)
	if err != nil {
		return false, err
	}
	return s.Upstream(v) != nil, nil
}

// Forward returns orders to forward JSON objects to an upstream, with unknown members.
// Push checks them.
func Forward(objects []json.RawMessage) []Order {
	orders := make([]Order, len(objects))
	for i, o := range objects {
		orders[i].Came = bytes.TrimSpace(o)
	}
	return orders
}

// ForwardWire returns orders to forward to an upstream. It leaves out fields of later
// versions of the schema, which have no names here.
func ForwardWire(list []*wire.ApplicationDownlink) ([]Order, error) {
	orders := make([]Order, len(list))
	for i, v := range list {
		b, err := lorawan.AppendJSON(nil, v)
		if err != nil {
			return nil, fmt.Errorf("write a downlink: %w", err)
		}
		orders[i].Came = b
	}
	return orders, nil
}

// cameAs makes the stored form of a forwarded downlink: all its members except our own
// payload, and one more correlation id. The error is lorawan.ReadDownlink's.
func cameAs(came json.RawMessage, id iot.ID) (*iot.Downlink, error) {
	object, err := lorawan.ReadDownlink(came)
	if err != nil {
		return nil, err
	}
	v := &iot.Downlink{ID: id}
	body := []byte{'{'}
	var correlation []byte
	gjson.ParseBytes(object).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "payload":
			v.Payload = json.RawMessage(value.Raw)
			return true
		case "correlation_ids":
			for _, id := range value.Array() { // none if it is null
				correlation = append(append(correlation, id.Raw...), ',')
			}
			return true
		case "confirmed":
			v.Confirmed = value.Bool()
		}
		body = append(append(append(append(body, key.Raw...), ':'), value.Raw...), ',')
		return true
	})
	body = append(append(append(body, `"correlation_ids":[`...), correlation...), '"')
	v.Body = append(append(append(body, CorrelationPrefix...), id.String()...), `"]}`...)
	return v, nil
}

// checkForm returns an Invalid error that names what is too large or not a downlink,
// among those to forward.
func checkForm(list []*iot.Downlink) error {
	var f iot.Faults
	for i, v := range list {
		prefix := prefixOf(i, len(list))
		if len(v.Body)+len(v.Payload) > MaxForwarded {
			return iot.NewError(iot.Invalid, fmt.Sprintf("A downlink must have at most 128 KiB. Number %d has more.", i+1))
		}
		if len(v.Payload) > 0 {
			for _, name := range []string{"decoded_payload", "frm_payload"} {
				f.Check(!gjson.GetBytes(v.Body, name).Exists(), prefix+"payload", "cannot be combined with frm_payload or decoded_payload.")
			}
		}
		if _, err := lorawan.ReadDownlink(v.Object()); err != nil {
			return formError(err, i, len(list))
		}
		if i%100 == 99 && f.Err() != nil {
			break // these are enough to report
		}
	}
	return f.Err()
}

// formError is the error of lorawan.ReadDownlink about one of n, in words.
func formError(err error, i, n int) error {
	if e, ok := errors.AsType[*lorawan.JSONError](err); ok && e.Path != "" {
		return iot.FieldError(prefixOf(i, n)+e.Path, "cannot be read: "+e.Reason+".")
	}
	return &iot.Error{Code: iot.Invalid, Message: fmt.Sprintf("Downlink %d cannot be read: %s.", i+1, err)}
}
