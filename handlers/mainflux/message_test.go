package mainflux_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"thingpost/internal/iot"
)

func TestPublish(t *testing.T) {
	w := newWorld(t)
	w.hooks(`[{"name":"all","url":"https://a.example"}]`)
	// Big integers, <>& and spaces stay byte for byte.
	const payload = ` {"n": 12345678901234567890, "h":"<&>", "n":1.10 } `
	for path, channel := range map[string]string{
		"/http/messages": "", "/http/messages/": "", "/messages": "", "/messages/": "", "/svchttp/messages": "",
		"/messages/a": "a", "/http/messages/a/b": "a.b", "/messages//a//b/": "a.b", "/messages/a.b": "a.b", "/messages/a%2Fb": "a.b",
		"/messages/Ä": "Ä", "/messages/*": "*",
	} {
		if a := w.publish(path, "application/json", payload); a.body != "" {
			t.Errorf("%s answers %s", path, a.body)
		}
		q := w.last()
		if q.Message.Channel != channel || string(q.Message.Payload) != payload || q.Message.Type != iot.User || q.Device.UUID != w.device.UUID {
			t.Errorf("%s stores %q in channel %q", path, q.Message.Payload, q.Message.Channel)
		}
	}
	for _, scheme := range []string{"External", "thing"} {
		w.ok(202, "POST", "/messages", "", `{}`, func(r *http.Request) { r.Header.Set("Authorization", scheme+" "+thingKey) })
	}
	for _, kind := range []string{"application/senml+json", "application/json; charset=utf-8"} {
		w.publish("/messages", kind, payload) // a profile without a content type leaves it unchanged
		if q := w.last(); string(q.Message.Payload) != payload {
			t.Errorf("%s: %s", kind, q.Message.Payload)
		}
	}
}

func TestErrorsOfPublishing(t *testing.T) {
	w := newWorld(t)
	as := func(authorization, kind string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", authorization)
			r.Header.Set("Content-Type", kind)
		}
	}
	const kind, thing = "application/json", "Thing " + thingKey
	w.refused(415, "unsupported content type", "POST", "/messages", "", `{}`, as(thing, "text/plain"))
	w.refused(415, "unsupported content type", "POST", "/messages", "", `{}`, as(thing, ""))
	w.refused(404, "entity not found", "POST", "/messages", "", `{}`, as("Thing unknown", kind))
	for _, authorization := range []string{"", "Bearer " + w.owner, thingKey, "Thing", "Thing "} {
		w.refused(401, "invalid thing key type", "POST", "/messages", "", `{}`, as(authorization, kind))
	}
	for _, topic := range []string{"a*", "x/b>c", "**", strings.Repeat("x", 255)} {
		w.refused(400, "malformed subtopic", "POST", "/messages/"+topic, "", `{}`, as(thing, kind))
	}
	for _, body := range []string{"", "not json", `{"a":`, `{} {}`} {
		w.refused(400, "unable to parse JSON object", "POST", "/messages", "", body, as(thing, kind))
		w.refused(400, "unable to parse JSON object", "POST", "/messages", "", body, as(thing, "application/senml+json"))
	}
	w.refused(400, "failed to decode senml", "POST", "/messages", "", `[{"n":"a","v":1}]`, as(thing, "application/senml+cbor"))
	w.refused(413, "The body has more than 1048576 bytes.", "POST", "/messages", "", `"`+strings.Repeat("x", iot.MaxMessageBytes)+`"`,
		as(thing, kind))
	w.refused(405, "method not allowed", "GET", "/messages", "", "", as(thing, kind))
	if n := w.queuedCount(); n != 0 {
		t.Errorf("%d deliveries are made of what was refused", n)
	}
	w.must(w.db.DeleteDevice(w.device, email))
	w.refused(404, "entity not found", "POST", "/messages", "", `{}`, as(thing, kind))
}

// profileOf gives the thing a profile with a config in JSON.
func (w *world) profileOf(config string) {
	w.Helper()
	var v struct {
		Profiles []struct{ ID string }
	}
	w.ok(201, "POST", "/groups/"+w.project.UUID+"/profiles", w.editor, `[{"name":"p","config":`+config+`}]`).into(w, &v)
	w.ok(200, "PUT", "/things/"+w.device.UUID, w.editor, `{"name":"Soil probe","profile_id":"`+v.Profiles[0].ID+`"}`)
}

func TestProfilesTreatWhatIsPublished(t *testing.T) {
	w := newWorld(t)
	w.hooks(`[{"name":"all","url":"https://a.example"}]`)
	const senml = "application/senml+json"
	for name, c := range map[string]struct{ config, kind, payload, want string }{
		"JSON": {`{"content_type":"application/json","webhook":true,"write":true}`, "application/json",
			`{ "n":12345678901234567890,"h":"<&>"}`, `{ "n":12345678901234567890,"h":"<&>"}`},
		"a list": {`{"content_type":"application/json","webhook":true}`, "application/json", `[{"a":1}, {"a":2}]`, `[{"a":1}, {"a":2}]`},
		"filters": {`{"content_type":"application/json","webhook_enabled":true,"transformer":{"data_filters":["b.c"],"data_field":"d"}}`,
			"application/json", `{"d":{"a":1,"b":{"c":1.10,"x":2}}}`, `{"b":{"c":1.10}}`},
		"Created": {`{"content_type":"application/json","webhook_enabled":true,"transformer":{"time_field":"t","time_format":"unix_ms"}}`,
			"application/json", `[{"t":1700000000123}]`, `[{"t":1700000000123,"Created":1700000000123000000}]`},
		"SenML": {`{"content_type":"application/senml+json","webhook_enabled":true}`, senml,
			`[{"bn":"dev1:","bt":1700000000,"n":"temp","u":"Cel","v":21.5}]`, `[{"name":"dev1:temp","unit":"Cel","time":1700000000000000000,` +
				`"value":21.5}]`},
	} {
		t.Run(name, func(t *testing.T) {
			w.T = t
			w.profileOf(c.config)
			before := w.queuedCount()
			w.publish("/messages", c.kind, c.payload)
			if q := w.last(); string(q.Message.Payload) != c.want || w.queuedCount() != before+1 {
				t.Errorf("%s, want %s; %d deliveries", q.Message.Payload, c.want, w.queuedCount()-before)
			}
		})
	}
	w.T = t
	w.profileOf(`{"content_type":"application/senml+cbor","webhook":true}`)
	binary, err := cbor.Marshal([]map[int]any{{-2: "dev1:", 0: "temp", 6: 1_700_000_000, 2: 21.5}})
	w.must(err)
	w.publish("/messages", "application/senml+cbor", string(binary))
	if q := w.last(); string(q.Message.Payload) != `[{"name":"dev1:temp","time":1700000000000000000,"value":21.5}]` {
		t.Errorf("of CBOR: %s", q.Message.Payload)
	}
	// The device's own time becomes the message's.
	w.profileOf(`{"content_type":"application/json","webhook":true,"transformer":{"time_field":"t","time_format":"unix"}}`)
	w.publish("/messages/a", "application/json", `{"t":1700000000.25}`)
	if q := w.last(); string(q.Message.Fields) != `{"channel":"a","devicetimestamp":"2023-11-14T22:13:20.250"}` {
		t.Errorf("the fields are %s", q.Message.Fields)
	}
	// Without the flags nothing is sent, and with write off nothing is stored.
	w.profileOf(`{"content_type":"application/json"}`)
	before := w.queuedCount()
	w.publish("/messages", "application/json", `{"a":1}`)
	if w.queuedCount() != before {
		t.Error("a profile with webhook off has delivered")
	}
	w.profileOf(`{"content_type":"application/json","webhook":true}`)
	w.publish("/messages", "application/json", `{"a":1}`)
	if q := w.last(); !q.Message.Transient {
		t.Error("a message of a profile with write off is kept")
	}
	w.refused(400, "unable to parse JSON object", "POST", "/messages", "", `5`,
		func(r *http.Request) { r.Header.Set("Authorization", "Thing "+thingKey) })
}

func TestCommandsAreDownlinks(t *testing.T) {
	w := newWorld(t)
	second := &iot.Device{ProjectKey: w.project.Key, ID: "second"}
	w.must(w.db.CreateDevice(second, "tpd_second", email))
	thing, group := "/things/"+w.device.UUID+"/commands", "/groups/"+w.project.UUID+"/commands"
	if a := w.ok(202, "POST", "/http"+thing+"/valve/open", w.editor, `{"open":true}`); a.body != "" {
		t.Errorf("it answers %s", a.body)
	}
	w.ok(202, "POST", group, w.editor, `[1,2]`)
	take := func(d *iot.Device) string {
		v, err := w.downlinks.Take(t.Context(), w.project, d, time.Nanosecond)
		w.must(err)
		if v == nil {
			return "nothing"
		}
		body := string(v.Payload)
		if strings.Contains(string(v.Body), `"subtopic:valve.open"`) {
			body += " to valve.open"
		}
		return body
	}
	if got := [4]string{take(w.device), take(w.device), take(w.device), take(second)}; got != [4]string{`{"open":true} to valve.open`, `[1,2]`,
		"nothing", `[1,2]`} {
		t.Errorf("taken: %q", got)
	}
	w.refused(403, "failed to perform authorization over the entity", "POST", thing, w.viewer, `{}`)
	w.refused(403, "failed to perform authorization over the entity", "POST", group, w.viewer, `{}`)
	w.refused(404, "entity not found", "POST", "/things/"+w.otherDevice.UUID+"/commands", w.owner, `{}`)
	w.refused(404, "entity not found", "POST", "/groups/"+w.other.UUID+"/commands", w.owner, `{}`)
	w.refused(400, "unable to parse JSON object", "POST", thing, w.editor, `{`)
	w.refused(400, "malformed subtopic", "POST", thing+"/a*", w.editor, `{}`)
	w.refused(401, "missing or invalid bearer user token", "POST", thing, "", `{}`)
	w.refused(415, "unsupported content type", "POST", thing, w.editor, `{}`,
		func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") })
}

// TestCommandThatGoesOnToAnUpstream sends a command that is too large for our own queue
// to a thing whose downlinks are forwarded.
func TestCommandThatGoesOnToAnUpstream(t *testing.T) {
	w := newWorld(t)
	thing, large := "/things/"+w.device.UUID+"/commands", `{"text":"`+strings.Repeat("x", 100<<10)+`"}`
	w.refused(400, "malformed entity specification", "POST", thing, w.editor, large)
	w.must(w.db.SetUpstream(w.project, nil, iot.Upstream{URL: "https://tts.example/api/v3/as/applications/my-app", Key: "NNSXS.A"}, email))
	w.ok(202, "POST", thing, w.editor, large)
	w.refused(400, "malformed entity specification", "POST", thing, w.editor, `{"text":"`+strings.Repeat("x", 129<<10)+`"}`)
}

// TestGroupCommandIsAJob sends a command to more things than one step has: it is
// answered at once, with the place of its progress.
func TestGroupCommandIsAJob(t *testing.T) {
	w := newWorld(t)
	list, keys := make([]*iot.Device, 150), make([]iot.Secret, 150)
	for i := range list {
		list[i], keys[i] = &iot.Device{ProjectKey: w.project.Key, Name: "Pump"}, iot.NewDeviceKey()
	}
	w.must(w.db.CreateDevices(list, keys, email))
	a := w.ok(202, "POST", "/groups/"+w.project.UUID+"/commands/valve", w.editor, `{"open":true}`)
	jobs, err := w.db.Commands(t.Context(), w.project.Key, iot.ID{}, 5)
	w.must(err)
	if len(jobs) != 1 || jobs[0].Done != 100 || jobs[0].Count != 151 || !jobs[0].Running() {
		t.Fatalf("it is %+v", jobs)
	}
	if want := "/api/v1/projects/" + w.project.ID + "/commands/" + jobs[0].ID.String(); a.header.Get("Location") != want {
		t.Errorf("it is said to be at %s, want %s", a.header.Get("Location"), want)
	}
	w.refused(400, "malformed entity specification", "POST", "/groups/"+w.project.UUID+"/commands", w.editor,
		`"`+strings.Repeat("x", 65<<10)+`"`)
}
