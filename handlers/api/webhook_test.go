package api_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
)

func TestSixthWebhookIsRefused(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.webhook("hook-"+strconv.Itoa(i), "")
	}
	a := w.ok(409, "POST", base+"/webhooks", w.editor, `{"description":"ERP","url":"https://erp.example/hook","type":"user"}`)
	if f := a.fault(t); f.Code != iot.LimitReached || !strings.Contains(f.Message, "5 of 5") {
		t.Errorf("%s", a.body)
	}
	w.ok(204, "DELETE", base+"/webhooks/hook-0", w.editor, "")
	w.webhook("hook-5", "")
}

func TestSecretsAreMaskedAndAMaskKeepsThem(t *testing.T) {
	w := newWorld(t)
	const secret, key = "s3cr3t-value", "downlink-key-value"
	w.webhook("erp", `,"headers":[{"name":"X-Key","value":"`+secret+`","secret":true},{"name":"X-Open","value":"open"}],"downlink_key":"`+key+
		`"`)
	hook := base + "/webhooks/erp"
	hidden := func(a answer) {
		t.Helper()
		if strings.Contains(a.body, secret) || strings.Contains(a.body, key) || !strings.Contains(a.body, iot.Mask) {
			t.Errorf("not masked: %s", a.body)
		}
	}
	hidden(w.ok(200, "GET", hook, w.viewer, ""))
	hidden(w.ok(200, "GET", base+"/webhooks", w.viewer, ""))
	hidden(w.ok(200, "PATCH", hook, w.editor, `{"headers":[{"name":"x-key","value":"•••"},{"name":"X-More","value":"1"}],`+
		`"downlink_key":"•••"}`))
	hidden(w.ok(200, "POST", hook+"/preview", w.editor, ""))
	stored := func() *iot.Webhook {
		h, err := w.db.Webhook(t.Context(), w.project.Key, "erp")
		w.must(err)
		return h
	}
	h := stored()
	if len(h.Headers) != 2 || h.Headers[0].Value.Reveal() != secret || !h.Headers[0].Secret || h.DownlinkKey.Reveal() != key {
		t.Errorf("the mask did not leave the secrets: %+v %q", h.Headers, h.DownlinkKey.Reveal())
	}
	// Nobody can read a secret by removing its mark.
	w.refused(iot.Invalid, "PATCH", hook, w.editor, `{"headers":[{"name":"X-Key","value":"•••","secret":false}]}`, "headers.0.secret")
	w.refused(iot.Invalid, "PATCH", hook, w.editor, `{"headers":[{"name":"X-New","value":"•••"}]}`, "headers.0.value")
	w.refused(iot.Invalid, "PATCH", hook, w.editor, `{"headers":[{"name":"X-More","value":"•••"}]}`, "headers.0.value")
	w.ok(200, "PATCH", hook, w.editor, `{"headers":[{"name":"X-Key","value":"new"}],"downlink_key":""}`)
	if h := stored(); h.Headers[0].Value.Reveal() != "new" || h.DownlinkKey != "" {
		t.Errorf("%+v", h)
	}
}

func TestSigningSecretIsShownOnce(t *testing.T) {
	w := newWorld(t)
	var v struct {
		SigningSecret string       `json:"signing_secret"`
		Until         *iot.Instant `json:"old_secret_until"`
		Signed        bool
	}
	a := w.ok(201, "POST", base+"/webhooks", w.editor, `{"id":"erp","description":"ERP","url":"https://erp.example/hook","type":"user",`+
		`"signed":true}`)
	a.into(t, &v)
	first := v.SigningSecret
	if !strings.HasPrefix(first, "whsec_") || !v.Signed {
		t.Fatalf("%s", a.body)
	}
	hook := base + "/webhooks/erp"
	if a := w.ok(200, "GET", hook, w.editor, ""); strings.Contains(a.body, "whsec_") {
		t.Errorf("shown again: %s", a.body)
	}
	if a := w.ok(200, "PATCH", hook, w.editor, `{"signed":true}`); strings.Contains(a.body, "whsec_") {
		t.Errorf("a new one without need: %s", a.body)
	}
	w.ok(200, "POST", hook+"/secret", w.editor, "").into(t, &v)
	if !strings.HasPrefix(v.SigningSecret, "whsec_") || v.SigningSecret == first {
		t.Errorf("%+v", v)
	}
	w.ok(200, "GET", hook, w.editor, "").into(t, &v)
	if want := iot.At(w.clock().Add(24 * time.Hour)); v.Until == nil || *v.Until != want {
		t.Errorf("the old one signs until %v, want %v", v.Until, want)
	}
	w.ok(200, "POST", hook+"/secret", w.editor, `{"overlap_ms":60000}`)
	w.ok(200, "GET", hook, w.editor, "").into(t, &v)
	if want := iot.At(w.clock().Add(time.Minute)); *v.Until != want {
		t.Errorf("the old one signs until %v, want %v", v.Until, want)
	}
	w.ok(200, "PATCH", hook, w.editor, `{"signed":false}`)
	h, err := w.db.Webhook(t.Context(), w.project.Key, "erp")
	w.must(err)
	if h.Signed || len(h.SigningSecrets) != 0 {
		t.Errorf("%+v", h)
	}
}

func TestPartialChangeLeavesTheRest(t *testing.T) {
	w := newWorld(t)
	w.webhook("erp", `,"channel":"c","payload_only":true,"settings":{"timeout_ms":5000,"retry_on":["timeout"]}`)
	var v struct {
		Channel     string
		PayloadOnly bool                             `json:"payload_only"`
		Types       map[string]struct{ Path string } `json:"message_types"`
		Settings    iot.Settings
	}
	w.ok(200, "PATCH", base+"/webhooks/erp", w.editor,
		`{"message_types":{"iottly":{"path":"/a"},"user":{}},"settings":{"in_order":true}}`).into(t, &v)
	if v.Channel != "c" || !v.PayloadOnly || v.Types["iottly"].Path != "/a" || len(v.Types) != 2 || v.Settings.TimeoutMS != 5000 ||
		!v.Settings.InOrder || len(v.Settings.RetryOn) != 1 || v.Settings.GiveUpAfterMS != iot.DefaultSettings().GiveUpAfterMS {
		t.Errorf("%+v", v)
	}
	w.refused(iot.Invalid, "PATCH", base+"/webhooks/erp", w.editor, `{"id":"another-id"}`, "id")
	w.ok(200, "PATCH", base+"/webhooks/erp", w.editor, `{"device":"`+w.device.UUID+`"}`)
	w.refused(iot.Invalid, "PATCH", base+"/webhooks/erp", w.editor, `{"device":"nobody-here"}`, "device")
}

func TestPausedWebhookSaysByWhomAndWhy(t *testing.T) {
	w := newWorld(t)
	w.webhook("erp", "")
	var v struct {
		Paused bool
		By     string `json:"paused_by"`
		Reason string `json:"paused_reason"`
	}
	w.ok(200, "POST", base+"/webhooks/erp/pause", w.owner, `{"reason":"moving house"}`).into(t, &v)
	if !v.Paused || v.By != "Ada" || v.Reason != "moving house" {
		t.Errorf("%+v", v)
	}
	w.ok(200, "POST", base+"/webhooks/erp/pause", w.fullKey, "")
	w.ok(200, "GET", base+"/webhooks/erp", w.viewer, "").into(t, &v)
	if v.By != "Ada" {
		t.Errorf("paused again: %+v", v)
	}
	w.ok(200, "POST", base+"/webhooks/erp/resume", w.editor, "").into(t, &v)
	if v.Paused || v.By != "" {
		t.Errorf("%+v", v)
	}
}

func TestPreview(t *testing.T) {
	w := newWorld(t)
	w.webhook("erp", `,"payload_only":true,"headers":[{"name":"X-Device","value":"{devID}"}]`)
	type preview struct {
		Message *iot.ID
		Wanted  bool
		Why     string
		Checks  []struct{ OK bool }
		Skip    string
		Request *struct {
			Method, URL, Body string
			Headers           []iot.HeaderLine
		}
	}
	path := base + "/webhooks/erp/preview"
	var v preview
	w.ok(200, "POST", path, w.editor, "").into(t, &v)
	if v.Message != nil || !v.Wanted || v.Request == nil || !strings.Contains(v.Request.Body, "test") {
		t.Errorf("without a message: %+v", v)
	}
	id := w.message(`{"payload": {"t": 21.50}}`)
	w.message(`{"payload":"newest"}`)
	v = preview{}
	w.ok(200, "POST", path, w.editor, "").into(t, &v)
	if v.Request == nil || v.Request.Body != `"newest"` || v.Request.Headers[0] != (iot.HeaderLine{Name: "X-Device", Value: "soil-probe-07"}) {
		t.Errorf("of the newest: %+v", v)
	}
	v = preview{}
	w.ok(200, "POST", path, w.editor, `{"message":"`+id.String()+`","url":"https://mes.example/{devID}"}`).into(t, &v)
	if v.Request == nil || v.Request.URL != "https://mes.example/soil-probe-07" || v.Request.Body != `{"t": 21.50}` || *v.Message != id ||
		len(v.Checks) != 5 {
		t.Errorf("of changes: %+v", v)
	}
	v = preview{}
	w.ok(200, "POST", path, w.editor, `{"channel":"other"}`).into(t, &v)
	if v.Wanted || v.Why != "channel" {
		t.Errorf("of another channel: %+v", v)
	}
	h, err := w.db.Webhook(t.Context(), w.project.Key, "erp")
	w.must(err)
	if h.URL != "https://erp.example/hook" || h.Channel != "" {
		t.Errorf("the preview changed the webhook: %+v", h)
	}
	w.refused(iot.Invalid, "POST", path, w.editor, `{"url":"nonsense"}`, "url")
	w.refused(iot.Invalid, "POST", path, w.editor, `{"message":"nonsense"}`, "message")
	w.refused(iot.Invalid, "POST", path, w.editor, `{"device":"nobody-here"}`, "device")
}

func TestTestSendQueuesADelivery(t *testing.T) {
	w := newWorld(t)
	w.webhook("erp", "")
	w.ok(200, "POST", base+"/webhooks/erp/pause", w.editor, "")
	var v struct{ Delivery iot.ID }
	w.ok(202, "POST", base+"/webhooks/erp/test", w.editor, "").into(t, &v)
	var d iot.Delivery
	a := w.ok(200, "GET", base+"/deliveries/"+v.Delivery.String(), w.viewer, "")
	if a.into(t, &d); d.Trigger != iot.TriggerTest || d.Status != iot.Pending || d.Webhook != "erp" {
		t.Errorf("%s", a.body)
	}
}
