package pages

import (
	"unicode/utf8"

	"thingpost/internal/iot"
)

// Libraries for JavaScript take the signature of a body's text, with U+FFFD for each
// byte that is no UTF-8. So they refuse a body that is no text whatever their options
// say (standardwebhooks 1.1.1, svix 2.5.0: sign begins with payload.toString()).
const (
	signedText = "The JavaScript libraries of Standard Webhooks (standardwebhooks, svix) convert a body to text before they verify it, so " +
		"they always reject "
	signedAdvice = ". Verify the bytes as received, as the Go library does, or choose another format."
)

// signingNote says where a signature meets a body that some libraries cannot verify.
// "" if it does not, or nothing is signed.
func signingNote(signed bool, format iot.Format, payloadOnly, lorawan bool) string {
	switch {
	case !signed:
		return ""
	case format == iot.Protobuf:
		return signedText + "Protocol Buffers" + signedAdvice
	case payloadOnly && lorawan:
		return signedText + "the raw bytes of an uplink without a decoded payload" + signedAdvice
	}
	return ""
}

// SignedNote is what a preview says of a webhook's signature and the body that it
// would send; "" if any library verifies it.
func SignedNote(w *iot.Webhook, body []byte) string {
	lorawan := false
	for _, t := range w.MessageTypes.Types() {
		lorawan = lorawan || t.LoRaWAN()
	}
	note := signingNote(w.Signed, w.Format, w.PayloadOnly, lorawan)
	if note == "" && w.Signed && !utf8.Valid(body) {
		note = signedText + "a body like this one" + signedAdvice
	}
	return note
}

// signingNote is what the form says beside its switch.
func (p WebhookFormPage) signingNote() string {
	f := p.Form
	lorawan := false
	for _, t := range lorawanTypes() {
		lorawan = lorawan || f.Has("message_types", string(t))
	}
	return signingNote(f.Checked("signed"), iot.Format(f.Value(FieldFormat)), f.Checked("payload_only"), lorawan)
}
