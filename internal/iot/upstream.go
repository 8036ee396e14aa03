package iot

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// WebhookKind is whom a webhook belongs to.
type WebhookKind string

// The kinds. An upstream is the program's own: it forwards downlinks to another system.
// It is neither counted nor listed among a project's webhooks.
const (
	KindWebhook  WebhookKind = "webhook"
	KindUpstream WebhookKind = "upstream"
)

// MaxUpstreams is to how many systems a project can forward downlinks.
const MaxUpstreams = 16

// Upstream is an application of a The Things Stack that downlinks are forwarded to.
type Upstream struct {
	// URL is the part before /devices/{device}/down/push.
	URL      string `json:"url"`
	Key      Secret `json:"key"`
	Protobuf bool   `json:"-"` // it takes Protocol Buffers instead of JSON
}

// KeptKey returns the key of a stored upstream, from its Authorization header, for a
// replacement that names no key of its own. Invalid if the replacement has another
// scheme or host.
func (u Upstream) KeptKey(stored, authorization string) (Secret, error) {
	if !SameHost(u.URL, stored) {
		return "", FieldError("key", "Enter the key again"+OtherHost)
	}
	return Secret(strings.TrimPrefix(authorization, "Bearer ")), nil
}

// UpstreamOf returns the upstream of a push URL and the ID of the device in it; false
// if the URL has another form.
func UpstreamOf(push string) (base, device string, ok bool) {
	rest, ok := strings.CutSuffix(push, "/down/push")
	at := strings.LastIndex(rest, "/devices/")
	if !ok || at < 0 {
		return "", "", false
	}
	return rest[:at], rest[at+len("/devices/"):], true
}

// Check returns an Invalid error that names every field out of bounds.
func (u Upstream) Check() error {
	var f Faults
	a, err := url.Parse(u.URL)
	f.Check(err == nil && (a.Scheme == "http" || a.Scheme == "https") && a.Host != "" && a.User == nil && a.RawQuery == "" &&
		a.Fragment == "" &&
		len(u.URL) <= 2000 && utf8.ValidString(u.URL) && !strings.ContainsAny(u.URL, "{}?#") && !HasControl(u.URL), "url",
		"must be the http or https address of an application, like https://eu1.cloud.thethings.network/api/v3/as/applications/my-app.")
	key := u.Key.Reveal()
	f.Check(key != "" && len(key) <= 1024 && utf8.ValidString(key) && !HasControl(key) && key == strings.TrimSpace(key), "key",
		"must be an API key.")
	return f.Err()
}

// Webhook returns the hidden webhook that forwards downlinks: queued ones to push, and
// emptied queues to replace.
func (u Upstream) Webhook(projectKey int64) *Webhook {
	w := &Webhook{ProjectKey: projectKey, Kind: KindUpstream, Description: "Upstream", URL: strings.TrimSuffix(u.URL, "/"), Format: JSON,
		FieldMask: []string{},
		MessageTypes: Routes{DownlinkQueued: {Path: "/devices/{deviceID}/down/push"},
			DownlinkQueueInvalided: {Path: "/devices/{deviceID}/down/replace"}},
		Headers: []Header{{Name: "Authorization", Value: "Bearer " + u.Key, Secret: true}}, Settings: DefaultSettings()}
	if u.Protobuf {
		w.Format = Protobuf
	}
	w.Settings.InOrder = true // emptying a queue must arrive before what fills it again
	return w
}

// SameUpstream reports whether a stored webhook belongs to the upstream.
func (u Upstream) SameUpstream(w *Webhook) bool {
	v := u.Webhook(w.ProjectKey)
	return w.URL == v.URL && w.Format == v.Format && len(w.Headers) == 1 && w.Headers[0].Value == v.Headers[0].Value
}
