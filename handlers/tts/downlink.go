package tts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/tidwall/gjson"
	"google.golang.org/protobuf/proto"

	"thingpost/handlers"
	"thingpost/internal/downlink"
	"thingpost/internal/iot"
	"thingpost/internal/lorawan"
	"thingpost/internal/lorawan/wire"
)

// hookRoutes are a device's queue by a webhook's own paths. They are not methods of a
// service, as in The Things Stack.
func hookRoutes() []route {
	const hook = "/as/applications/{application}/webhooks/{webhook}/devices/{device}/down"
	return []route{
		{pattern: hook + "/push", handle: (*server).pushByWebhook, bare: true},
		{pattern: hook + "/replace", handle: (*server).replaceByWebhook, bare: true},
	}
}

func (s *server) pushByWebhook(w http.ResponseWriter, r *http.Request) error {
	return s.changeByWebhook(w, r, false)
}

func (s *server) replaceByWebhook(w http.ResponseWriter, r *http.Request) error {
	return s.changeByWebhook(w, r, true)
}

// changeByWebhook accepts ApplicationDownlinks in the webhook's own format, from its
// receiver.
func (s *server) changeByWebhook(w http.ResponseWriter, r *http.Request, replace bool) error {
	if r.Method != http.MethodPost {
		return onlyPost(w, r)
	}
	for _, id := range []struct{ path, field, message string }{
		{"application", "application_id", "ApplicationIdentifiers"}, {"webhook", "webhook_id", "ApplicationWebhookIdentifiers"},
		{"device", "device_id", "EndDeviceIdentifiers"}} {
		name := r.PathValue(id.path)
		if !idForm(name) && (id.path != "device" || iot.CheckDeviceID("", name) != nil) {
			return invalidField(id.field, id.message, idReason, nil)
		}
	}
	project, _, err := s.application(r.Context(), r.PathValue("application"), iot.SendDownlinks)
	if err != nil {
		return err
	}
	hook, err := s.DB.Webhook(r.Context(), project.Key, r.PathValue("webhook"))
	if err != nil {
		return err
	}
	if hook.Paused {
		w.WriteHeader(http.StatusNotAcceptable)
		return nil
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	var list wire.ApplicationDownlinks
	if hook.Format == iot.Protobuf {
		err = proto.Unmarshal(body, &list)
	} else {
		err = parseJSON(body, &list)
	}
	if err != nil {
		cause := errorOf(err)
		if _, ok := errors.AsType[*Error](err); !ok {
			cause = plain(codeInvalid, err.Error())
		}
		return errDecodeBody.because(cause)
	}
	if hook.Format == iot.Protobuf {
		body = nil
	}
	fault := checkDownlinks("ApplicationDownlinks", list.GetDownlinks())
	if fault != nil {
		fault = errValidateBody.because(fault)
	}
	if err := s.push(r.Context(), project, r.PathValue("device"), downlinks{list.GetDownlinks(), body, fault}, replace); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// downlinks are the downlinks of a push.
type downlinks struct {
	list []*wire.ApplicationDownlink
	json []byte // the body with the list; nil if it was Protocol Buffers
	// fault is why our own queue refuses them. An upstream decides for itself.
	fault *Error
}

// orders returns the pushed downlinks, unchanged if they are forwarded.
func (v *downlinks) orders(forwards bool) ([]downlink.Order, error) {
	if !forwards {
		return downlink.FromWire(v.list)
	}
	var objects []json.RawMessage
	for _, o := range gjson.GetBytes(v.json, "downlinks").Array() {
		objects = append(objects, json.RawMessage(o.Raw))
	}
	if len(objects) != len(v.list) { // Protocol Buffers, or a list in parts
		return downlink.ForwardWire(v.list)
	}
	return downlink.Forward(objects), nil
}

// push queues downlinks for a device, or forwards them to its upstream.
func (s *server) push(ctx context.Context, p *iot.Project, device string, list downlinks, replace bool) error {
	d, err := s.device(ctx, p, device)
	forwards := false
	if err == nil {
		forwards, err = s.Downlinks.Forwards(ctx, p, d)
	}
	if !forwards {
		if list.fault != nil {
			return list.fault
		}
		for _, v := range list.list {
			if v.GetFPort() == 0 {
				return errNoFPort
			}
		}
	}
	if err != nil {
		return err
	}
	orders, err := list.orders(forwards)
	if err != nil {
		return err
	}
	_, err = s.Downlinks.Push(ctx, p, d, orders, replace)
	if iot.CodeOf(err) == iot.LimitReached {
		return errQueueFull
	}
	if iot.CodeOf(err) == iot.NotFound {
		return noDevice(p, device)
	}
	return err
}

// device returns a project's device, with The Things Stack's error if there is none.
func (s *server) device(ctx context.Context, p *iot.Project, name string) (*iot.Device, error) {
	d, err := s.DB.Device(ctx, p.Key, name)
	if iot.CodeOf(err) == iot.NotFound {
		return nil, noDevice(p, name)
	}
	return d, err
}

// noDevice is the error for an unknown device. By The Things Stack's rule the name may
// not even be an id.
func noDevice(p *iot.Project, name string) error {
	if reason := checkID(name); reason != "" {
		return invalidField("device_id", "EndDeviceIdentifiers", reason, nil)
	}
	return errDeviceMissing.with("device_uid", p.ID+"."+name)
}

// maxBody bounds a request's body.
const maxBody = 16 << 20

func readBody(r *http.Request) ([]byte, error) {
	body, err := handlers.ReadBody(r, maxBody)
	switch {
	case err == nil:
		return body, nil
	case iot.CodeOf(err) == iot.TooLarge:
		return nil, errBodyTooLarge
	case iot.CodeOf(err) == iot.RateLimited, iot.CodeOf(err) == iot.Unavailable:
		return nil, err // no memory for it at the moment
	case r.Header.Get("Content-Encoding") != "":
		return nil, err // The Things Stack unpacks nothing, and has no error for it
	}
	return nil, errReadBody
}

// parseJSON reads a message as The Things Stack does. An empty body is an empty
// message.
func parseJSON(body []byte, into proto.Message) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	body, bad := iot.ReadJSON(body)
	err := lorawan.ParseJSON(body, into)
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return plain(codeInvalid, e.Error())
	}
	if bad != nil {
		return plain(codeInvalid, handlers.ErrorOf(bad).Message)
	}
	if e, ok := errors.AsType[*lorawan.JSONError](err); ok {
		if e.Field == "" {
			return plain(codeInvalid, e.Reason)
		}
		return plain(codeInvalid, fmt.Sprintf("unmarshal error at path %q: %s", e.Field, e.Reason))
	}
	return err
}

const idReason = `value does not match regex pattern "^[a-z0-9](?:[-]?[a-z0-9]){2,}$"`

// idForm reports whether a text has the form of an id of The Things Stack.
func idForm(s string) bool { return iot.CheckSlug("", s) == nil || iot.LooksLikeUUID(s) }

// checkDownlinks returns the first fault of the downlinks in a message of a name.
func checkDownlinks(message string, list []*wire.ApplicationDownlink) *Error {
	for i, v := range list {
		if e := checkDownlink(v); e != nil {
			return invalidField(fmt.Sprintf("downlinks[%d]", i), message, embedded, e)
		}
	}
	return nil
}

func checkDownlink(v *wire.ApplicationDownlink) *Error {
	fault := func(field, reason string) *Error { return invalidField(field, "ApplicationDownlink", reason, nil) }
	switch {
	case v.GetFPort() > downlink.MaxFPort:
		return fault("f_port", "value must be less than or equal to 255")
	case v.GetFPort() == downlink.ReservedFPort:
		return fault("f_port", "value must not be in list [224]")
	case len(v.GetFrmPayload()) > downlink.MaxFRMPayload:
		return fault("frm_payload", "value length must be at most 255 bytes")
	case wire.TxSchedulePriority_name[int32(v.GetPriority())] == "":
		return fault("priority", "value must be one of the defined enum values")
	}
	for i, g := range v.GetClassBC().GetGateways() {
		if id := g.GetGatewayIds().GetGatewayId(); id != "" && !idForm(id) {
			return invalidField("class_b_c", "ApplicationDownlink", embedded,
				invalidField(fmt.Sprintf("gateways[%d]", i), "ApplicationDownlink_ClassBC", embedded,
					invalidField("gateway_ids", "ClassBCGatewayIdentifiers", embedded, invalidField("gateway_id", "GatewayIdentifiers", idReason, nil))))
		}
	}
	for i, id := range v.GetCorrelationIds() {
		if iot.TextLength(id) > downlink.MaxCorrelationID {
			return fault(fmt.Sprintf("correlation_ids[%d]", i), "value length must be at most 100 runes")
		}
	}
	if most := v.GetConfirmedRetry().GetMaxAttempts(); most != nil && (most.GetValue() < 1 || most.GetValue() > downlink.MaxAttempts) {
		return invalidField("confirmed_retry", "ApplicationDownlink", embedded,
			invalidField("max_attempts", "ApplicationDownlink_ConfirmedRetry", "value must be inside range [1, 100]", nil))
	}
	return nil
}
