package tts

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan/wire"
)

// Bounds that The Things Stack sets on webhooks (its applicationserver_web.proto).
// Lengths are in characters.
const (
	maxID          = 36
	maxFormat      = 20
	maxPath        = 64
	maxHeaders     = 50
	maxHeaderName  = 64
	maxHeaderValue = 4096
	maxDownlinkKey = 128
)

func tooLong(most int) string {
	return fmt.Sprintf("value length must be at most %d runes", most)
}

// checkID returns the reason why a text is not an id, "" if it is one.
func checkID(id string) string {
	switch {
	case iot.TextLength(id) > maxID:
		return tooLong(maxID)
	case !idForm(id):
		return idReason
	}
	return ""
}

func checkApplicationIDs(v *wire.ApplicationIdentifiers) *Error {
	if reason := checkID(v.GetApplicationId()); reason != "" {
		return invalidField("application_id", "ApplicationIdentifiers", reason, nil)
	}
	return nil
}

func checkWebhookIDs(v *wire.ApplicationWebhookIdentifiers) *Error {
	if e := checkApplicationIDs(v.GetApplicationIds()); e != nil {
		return invalidField("application_ids", "ApplicationWebhookIdentifiers", embedded, e)
	}
	if reason := checkID(v.GetWebhookId()); reason != "" {
		return invalidField("webhook_id", "ApplicationWebhookIdentifiers", reason, nil)
	}
	return nil
}

// webhookFault is a fault of a field of a webhook.
func webhookFault(field, reason string) *Error {
	return invalidField(field, "ApplicationWebhook", reason, nil)
}

// checkSet finds the first fault of a webhook to set: of its ids, and of the fields in
// the mask.
func checkSet(v *wire.ApplicationWebhook, p paths) *Error {
	if e := checkWebhookIDs(v.GetIds()); e != nil {
		return invalidField("ids", "ApplicationWebhook", embedded, e)
	}
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if e := checkField(v, name); e != nil {
			return e
		}
	}
	return nil
}

func checkField(v *wire.ApplicationWebhook, name protoreflect.Name) *Error {
	switch name {
	case "base_url":
		return checkBaseURL(v.GetBaseUrl())
	case "headers":
		return checkHeaderMap(v.GetHeaders())
	case "format":
		return checkFormat(v.GetFormat())
	case "template_ids":
		if v.GetTemplateIds() == nil {
			return nil
		}
		// Ids of existing templates have other forms too, so only their length is
		// checked.
		if id := v.GetTemplateIds().GetTemplateId(); iot.TextLength(id) > maxID {
			return invalidField("template_ids", "ApplicationWebhook", embedded,
				invalidField("template_id", "ApplicationWebhookTemplateIdentifiers", tooLong(maxID), nil))
		}
	case "downlink_api_key":
		if iot.TextLength(v.GetDownlinkApiKey()) > maxDownlinkKey {
			return webhookFault("downlink_api_key", tooLong(maxDownlinkKey))
		}
	}
	fd := messageField(v, iot.MessageType(name))
	if fd == nil || fd.Message() == nil || fd.Message().Name() != "Message" || !v.ProtoReflect().Has(fd) {
		return nil
	}
	path := v.ProtoReflect().Get(fd).Message().Get(fd.Message().Fields().ByName("path")).String()
	if iot.TextLength(path) > maxPath {
		return invalidField(string(name), "ApplicationWebhook", embedded, invalidField("path", "ApplicationWebhook_Message", tooLong(maxPath),
			nil))
	}
	return nil
}

func checkFormat(format string) *Error {
	switch {
	case iot.TextLength(format) > maxFormat:
		return webhookFault("format", tooLong(maxFormat))
	case !idForm(format):
		return webhookFault("format", idReason)
	}
	return nil
}

func checkBaseURL(base string) *Error {
	u, err := url.Parse(base)
	if err != nil {
		cause := errURL.with("op", "parse", "url", base)
		return invalidField("base_url", "ApplicationWebhook", "value must be a valid URI", cause)
	}
	if !u.IsAbs() {
		return webhookFault("base_url", "value must be absolute")
	}
	return nil
}

func checkHeaderMap(headers map[string]string) *Error {
	if len(headers) > maxHeaders {
		return webhookFault("headers", fmt.Sprintf("value must contain no more than %d pair(s)", maxHeaders))
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		field := "headers[" + name + "]"
		if iot.TextLength(name) > maxHeaderName {
			return webhookFault(field, tooLong(maxHeaderName))
		}
		if iot.TextLength(headers[name]) > maxHeaderValue {
			return webhookFault(field, tooLong(maxHeaderValue))
		}
	}
	return nil
}

// checkWhole finds what a new webhook lacks: it is checked completely, whatever the
// mask is.
func checkWhole(w *iot.Webhook) *Error {
	if e := checkFormat(string(w.Format)); e != nil {
		return e
	}
	return checkBaseURL(w.URL)
}

// faultsOf returns the first of our own rules that a webhook breaks, with The Things
// Stack's name of the field.
func faultsOf(err error) error {
	e, ok := errors.AsType[*iot.Error](err)
	if !ok || len(e.Fields) == 0 {
		return err
	}
	name := slices.Sorted(maps.Keys(e.Fields))[0]
	field, rest, _ := strings.Cut(name, ".")
	fault := webhookFault(field, e.Fields[name])
	switch field {
	case "url":
		fault = webhookFault("base_url", e.Fields[name])
	case "message_types":
		kind, _, _ := strings.Cut(rest, ".")
		fault = invalidField(kind, "ApplicationWebhook", embedded, invalidField("path", "ApplicationWebhook_Message", e.Fields[name], nil))
	case "downlink_key":
		fault = webhookFault("downlink_api_key", e.Fields[name])
	}
	return invalidField("webhook", "SetApplicationWebhookRequest", embedded, fault)
}
