package iot

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// WebhookKind says whose a webhook is.
type WebhookKind string

// The kinds. An upstream is the program's own: it carries downlinks on to another
// system, and is neither counted nor listed among a project's webhooks.
const (
	KindWebhook  WebhookKind = "webhook"
	KindUpstream WebhookKind = "upstream"
)

// MaxUpstreams is the most systems that a project's downlinks go on to.
const MaxUpstreams = 16

// Upstream is an application of a The Things Stack that downlinks go on to.
type Upstream struct {
	// URL is what stands before /devices/{device}/down/push.
	URL      string `json:"url"`
	Key      Secret `json:"key"`
	Protobuf bool   `json:"-"` // it takes Protocol Buffers and not JSON
}

// KeptKey returns the key of a stored upstream, whose Authorization header is
// given, for one that is to replace it and names no key of its own. Invalid if it
// would go to another scheme or host than it was given for.
func (u Upstream) KeptKey(stored, authorization string) (Secret, error) {
	if !SameHost(u.URL, stored) {
		return "", FieldError("key", "Enter the key again"+OtherHost)
	}
	return Secret(strings.TrimPrefix(authorization, "Bearer ")), nil
}

// UpstreamOf returns the upstream that a push URL belongs to, and the id of the
// device that it names; false if it has another form.
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

// Webhook returns the hidden webhook that carries downlinks on: what is queued to
// push, and what empties the queue to replace.
func (u Upstream) Webhook(projectID int64) *Webhook {
	w := &Webhook{ProjectID: projectID, Kind: KindUpstream, Description: "Upstream", URL: strings.TrimSuffix(u.URL, "/"), Format: JSON,
		FieldMask: []string{},
		MessageTypes: Routes{DownlinkQueued: {Path: "/devices/{deviceID}/down/push"},
			DownlinkQueueInvalided: {Path: "/devices/{deviceID}/down/replace"}},
		Headers: []Header{{Name: "Authorization", Value: "Bearer " + u.Key, Secret: true}}, Settings: DefaultSettings()}
	if u.Protobuf {
		w.Format = Protobuf
	}
	w.Settings.InOrder = true // what empties a queue comes before what fills it again
	return w
}

// SameUpstream reports whether a stored webhook is that of the upstream.
func (u Upstream) SameUpstream(w *Webhook) bool {
	v := u.Webhook(w.ProjectID)
	return w.URL == v.URL && w.Format == v.Format && len(w.Headers) == 1 && w.Headers[0].Value == v.Headers[0].Value
}
