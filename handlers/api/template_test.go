package api_test

import (
	"net/http"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

func TestTemplatesAreListed(t *testing.T) {
	w := newWorld(t)
	var page struct {
		Items []iot.Template
		Next  string
	}
	var ids []string
	next := ""
	for {
		w.ok(200, "GET", "/api/v1/templates?limit=5&cursor="+next, w.viewer, "").into(t, &page)
		for _, tmpl := range page.Items {
			ids = append(ids, tmpl.ID)
		}
		if next = page.Next; next == "" {
			break
		}
	}
	if len(ids) < 12 || ids[0] != "akenza" {
		t.Errorf("%d templates: %v", len(ids), ids)
	}
	var one iot.Template
	w.ok(200, "GET", "/api/v1/templates/mclimate", w.key(w.project, iot.ReadTraffic), "").into(t, &one)
	if one.Name != "MClimate" || !one.CreateDownlinkKey || one.Format != iot.JSON || one.MessageTypes[iot.JoinAccept].Path != "/join-tti" ||
		len(one.Fields) != 1 || !one.Fields[0].Secret {
		t.Errorf("%+v", one)
	}
	w.refused(iot.NotFound, "GET", "/api/v1/templates/nope", w.viewer, "")
}

func TestWebhookFromTemplate(t *testing.T) {
	w := newWorld(t)
	const from, secret = base + "/webhooks/from-template", "s3cr3t/tok-en"
	hidden := func(a answer) answer {
		t.Helper()
		if strings.Contains(a.body, "s3cr3t") || !strings.Contains(a.body, iot.Mask) {
			t.Errorf("not masked: %s", a.body)
		}
		return a
	}
	var h struct {
		ID, URL, Template string
		Types             iot.Routes        `json:"message_types"`
		Fields            map[string]string `json:"template_fields"`
	}
	hidden(w.ok(201, "POST", from, w.editor, `{"template":"akenza","id":"to-akenza","fields":{"uplink_secret":"`+secret+`"}}`)).into(t, &h)
	if h.ID != "to-akenza" || h.Template != "akenza" || h.URL != "https://data-gateway.akenza.io" ||
		h.Types[iot.UplinkMessage].Path != "/v3/capture?secret=•••" || h.Fields["uplink_secret"] != iot.Mask {
		t.Errorf("%+v", h)
	}
	const hook = base + "/webhooks/to-akenza"
	stored := func() string {
		w, err := w.db.Webhook(t.Context(), w.project.Key, "to-akenza")
		if err != nil {
			t.Fatal(err)
		}
		full, _ := w.FullPath(iot.UplinkMessage)
		return full
	}
	if got := stored(); got != "/v3/capture?secret=s3cr3t%2Ftok-en" {
		t.Errorf("stored is %s", got)
	}
	// A mask that is sent back leaves the stored value, at any place.
	hidden(w.ok(200, "PATCH", hook, w.editor, `{"message_types":{"uplink_message":{"path":"/v4/capture?secret=•••"}},`+
		`"description":"New"}`))
	if got := stored(); got != "/v4/capture?secret=s3cr3t%2Ftok-en" {
		t.Errorf("stored is %s", got)
	}
	hidden(w.ok(200, "GET", hook, w.viewer, ""))
	hidden(w.ok(200, "GET", base+"/webhooks", w.viewer, ""))
	if a := w.ok(200, "POST", hook+"/preview", w.editor, ""); strings.Contains(a.body, "s3cr3t") {
		t.Errorf("not masked: %s", a.body)
	}
	if a := w.ok(200, "GET", base+"/audit", w.admin, ""); strings.Contains(a.body, "s3cr3t") || !strings.Contains(a.body, "to-akenza") {
		t.Errorf("the audit log: %s", a.body)
	}
	w.refused(iot.Invalid, "PATCH", hook, w.editor, `{"message_types":{"uplink_message":{"path":"/•••/•••"}}}`,
		"message_types.uplink_message.path")
	w.ok(200, "PATCH", hook, w.editor, `{"message_types":{"uplink_message":{"path":"/v3/capture?secret=new"}}}`)
	if got := stored(); got != "/v3/capture?secret=new" {
		t.Errorf("stored is %s", got)
	}
}

func TestFaultsOfTemplatesNameTheirFields(t *testing.T) {
	w := newWorld(t)
	const from = base + "/webhooks/from-template"
	w.refused(iot.Invalid, "POST", from, w.editor, `{"template":"nope"}`, "template")
	w.refused(iot.Invalid, "POST", from, w.editor, `{"template":"datacake"}`, "fields.token")
	w.refused(iot.Invalid, "POST", from, w.editor, `{"template":"datacake","fields":{"token":"•••"}}`, "fields.token")
	w.refused(iot.Invalid, "POST", from, w.editor, `{"template":"datacake","fields":{"token":"a","other":"b"}}`, "fields.other")
	w.refused(iot.Invalid, "POST", from, w.editor, `{"template":"datacake","id":"No","fields":{"token":"a"}}`, "id")
	w.refused(iot.Invalid, "POST", from, w.editor, `{"template":"datacake","fields":{"token":1}}`, "fields.token")
	w.refused(iot.Invalid, "POST", from, w.editor, `{"template":"blockbax","fields":{"token":"a","endpoint":"example.com"}}`,
		"fields.endpoint")
	hooks, err := w.db.Webhooks(t.Context(), w.project.Key)
	w.must(err)
	if len(hooks) != 0 {
		t.Errorf("%d webhooks were made", len(hooks))
	}
}

func TestDownlinkKeyOfATemplate(t *testing.T) {
	w := newWorld(t)
	const from, body = base + "/webhooks/from-template", `{"template":"tagoio","id":"tago","fields":{"auth":"a-token"}}`
	if a := w.send(http.MethodPost, from, w.key(w.project, iot.ChangeSettings), body); a.status != 403 {
		t.Errorf("a key that may not send downlinks makes one that may: %d %s", a.status, a.body)
	}
	if a := w.ok(201, "POST", from, w.key(w.project, iot.ChangeSettings|iot.SendDownlinks), body); !strings.Contains(a.body,
		`"downlink_key":"•••"`) || strings.Contains(a.body, "NNSXS") {
		t.Errorf("%s", a.body)
	}
	keys := func() (named int) {
		all, err := w.db.APIKeys(t.Context(), w.project.Key)
		w.must(err)
		for _, k := range all {
			if k.Name == "tago downlink API key" {
				named++
			}
		}
		return named
	}
	if n := keys(); n != 1 {
		t.Errorf("%d keys, want one", n)
	}
	w.refused(iot.Conflict, "POST", from, w.editor, body)
	if n := keys(); n != 1 {
		t.Errorf("%d keys after a webhook that could not be saved, want one", n)
	}
}

func TestManyHeadersOfATemplateStay(t *testing.T) {
	w := newWorld(t)
	w.ok(201, "POST", base+"/webhooks/from-template", w.editor, `{"template":"uib","id":"uib","fields":{"application_key":"the-app-key",`+
		`"phone_number":"1,2","template_id":"t","template_name":"n","template_variables":"v"}}`)
	const hook = base + "/webhooks/uib"
	w.ok(200, "PATCH", hook, w.editor, `{"description":"Chat"}`)
	six := `{"name":"x-application-key","value":"•••"},{"name":"X-B","value":"1"},{"name":"X-C","value":"1"},{"name":"X-D",` +
		`"value":"1"},{"name":"X-E","value":"1"},{"name":"X-F","value":"1"}`
	w.refused(iot.Invalid, "PATCH", hook, w.editor, `{"headers":[`+six+`,{"name":"X-G","value":"1"}]}`, "headers")
	w.ok(200, "PATCH", hook, w.editor, `{"headers":[`+six+`]}`)
	w.ok(200, "PATCH", hook, w.editor, `{"headers":[{"name":"X-B","value":"1"}]}`)
	w.refused(iot.Invalid, "PATCH", hook, w.editor, strings.Replace(`{"headers":[`+six+`]}`, "•••", "new", 1), "headers")
	h, err := w.db.Webhook(t.Context(), w.project.Key, "uib")
	w.must(err)
	if len(h.Headers) != 1 {
		t.Errorf("%d headers", len(h.Headers))
	}
}
