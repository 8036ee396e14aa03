package dashboard

import (
	"testing"

	"thingpost/views/pages"
)

// TestSigningSaysWhichLibrariesCannotVerify: where a signature meets a body that is
// no text, the preview says so while the form is filled, and the saved form does.
func TestSigningSaysWhichLibrariesCannotVerify(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	form := with(c.get(panel+"/new").is(200).values(), "url", "https://x.example/")
	const note = ".alert[data-tone=warning]:contains('JavaScript libraries')"
	for _, k := range []struct {
		name    string
		changes []string
		words   string // "" is no note
	}{
		{"plain", nil, ""},
		{"signed", []string{"signed", "on"}, ""},
		{"protobuf", []string{"format", "protobuf"}, ""},
		{"signed protobuf", []string{"signed", "on", "format", "protobuf"}, "they always reject Protocol Buffers. Verify the bytes"},
		{"signed payload", []string{"signed", "on", "payload_only", "on"}, ""},
		{"signed payload of uplinks", []string{"signed", "on", "payload_only", "on", "message_types", "uplink_message", "format", "json"},
			"the raw bytes of an uplink without a decoded payload"},
		{"signed json of uplinks", []string{"signed", "on", "message_types", "uplink_message", "format", "json"}, ""},
	} {
		p := c.postAs(preview, pages.WebhookPreviewID, with(form, k.changes...)...).is(200)
		if k.words == "" {
			p.lacks(note)
		} else {
			p.reads("#webhook-preview "+note, k.words)
		}
	}
	saved := with(form, "description", "Bytes", "signed", "on", "format", "protobuf")
	c.post(panel+"/new", saved...).leadsTo(panel + "/bytes")
	p := c.get(panel + "/bytes").is(200)
	p.reads("#webhook-form "+note, "they always reject Protocol Buffers").
		reads("#webhook-preview "+note, "they always reject Protocol Buffers")
	c.get(panel + "/" + w.webhook.ID).is(200).lacks(note)
}
