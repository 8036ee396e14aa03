package dashboard

import (
	"strings"
	"testing"

	"thingpost/internal/downlink"
	"thingpost/internal/iot"
)

func TestQueueOnTheDevicePage(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get(devicePath).is(200).has("#device-traffic", "No downlinks").has(`a[href="`+devicePath+`/downlinks"]`,
		"Push downlink").lacks(`a[href="` + devicePath + `/downlinks/clear"]`)
	queues := downlink.New(downlink.Options{DB: w.db, Ingest: w.ingest, Now: w.clock.Now})
	_, err := queues.Push(t.Context(), w.project, w.device,
		[]downlink.Order{{FPort: 15, FRMPayload: []byte{0xbe, 0xef}, Priority: "HIGH", Confirmed: true},
			{Payload: []byte(`{"interval_s":900,"t":"<b>"}`)}}, false)
	w.must(err)
	_, err = queues.Take(t.Context(), w.project, w.device, 0)
	w.must(err)
	p := c.fragment(devicePath, "device-traffic").is(200).lacks("h1")
	p.has("tbody tr:first-child", "vu8=").has("tbody tr:first-child", "High").has("tbody tr:first-child", "Sent").has("tbody",
		`{"interval_s":900,"t":"<b>"}`).has("tbody", "Waiting")
	c.fragment(devicePath, "device-now").has(".stats", "oldest")
	p.has(`a[href="`+devicePath+`/downlinks/clear"]`, "Clear queue")
	remove := p.Find(`form[action$="/remove"]`)
	if remove.Length() != 1 {
		t.Fatalf("%d can be removed, want the one that waits", remove.Length())
	}
	c.post(remove.AttrOr("action", "")).leadsTo(devicePath)
	c.post(remove.AttrOr("action", "")).is(409)
	c.post(devicePath + "/downlinks/5/remove").is(404)
	c.get(devicePath).has("#toasts", "The downlink was removed.").lacks(`form[action$="/remove"]`)
	viewer := w.as(w.member("viewer@veldhuis.example", iot.Viewer)).get(devicePath).is(200)
	viewer.has("tbody", "vu8=").lacks(`a[href$="/downlinks"]`).lacks(`a[href$="/clear"]`)
}

func TestPushDownlinkByForm(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	form := devicePath + "/downlinks"
	c.get(form).is(200).has("h1", "Push a downlink to soil-probe-07")
	c.fragment(form, "dialog").is(200).has("#dialog-title", "Push a downlink").lacks("h1").lacks(".rail")
	c.post(form, "payload", `{"valve":`, "as", "json", "priority", "LOW", "f_port", "15").faulty("payload",
		"Must be JSON").has(`[name="f_port"][value="15"]`, "").has("textarea", `{"valve":`)
	c.post(form, "payload", "bee", "as", "hex", "priority", "LOW", "f_port", "224").faulty("payload", "Must be hex digits")
	c.post(form, "payload", "be ef", "as", "hex", "priority", "LOW", "f_port", "224").faulty("f_port", "Must be 1 to 255, but not 224.")
	c.post(form, "payload", strings.Repeat("be", 256), "as", "hex", "priority", "LOW", "f_port", "1").faulty("payload",
		"Must have at most 255 bytes.")
	c.post(form, "payload", "[1]", "as", "decoded", "priority", "LOW", "f_port", "1").faulty("payload", "Must be an object.")
	c.post(form, "payload", "?", "as", "base64", "priority", "LOW", "f_port", "x").faulty("payload", "Must be base64").faulty("f_port",
		"Must be a number")
	c.post(form, "payload", "1", "as", "morse", "priority", "URGENT").faulty("as", "Must be one of the list.").
		faulty("priority", "Must be one of the list.")
	for _, as := range [][2]string{{"hex", "BE ef"}, {"base64", "vu8="}, {"decoded", `{"n":1.50}`}, {"json", ` "open" `}} {
		c.post(form, "payload", as[1], "as", as[0], "priority", "HIGHEST", "f_port", "15", "confirmed", "on").leadsTo(devicePath)
	}
	c.get(devicePath).has("#toasts", "The downlink was queued.").has("tbody", `{"n":1.50}`).has("tbody", `"open"`)
	for _, want := range []string{`"frm_payload":"vu8="`, `"frm_payload":"vu8="`, `"decoded_payload":{"n":1.50}`, `"priority":"HIGHEST"`} {
		v, err := downlink.New(downlink.Options{DB: w.db, Ingest: w.ingest, Now: w.clock.Now}).Take(t.Context(), w.project, w.device, 0)
		w.must(err)
		if v == nil || !v.Confirmed || !strings.Contains(string(v.Body), want) {
			t.Errorf("queued %+v, want %s", v, want)
		}
	}
}

func TestClearQueueByForm(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	for range 10 {
		c.post(devicePath+"/downlinks", "payload", "1", "as", "json", "priority", "NORMAL").leadsTo(devicePath)
	}
	c.get(devicePath).has("#device-traffic", "and 2 more downlinks")
	c.get(devicePath+"/downlinks/clear").is(200).has("main", "10 waiting downlinks for the device will not be sent")
	c.fragment(devicePath+"/downlinks/clear", "dialog").is(200).has("#dialog-title", "Clear the queue of soil-probe-07?")
	c.post(devicePath + "/downlinks/clear").leadsTo(devicePath)
	if n, err := w.db.CountDownlinks(t.Context(), w.device.Key); n != 0 || err != nil {
		t.Errorf("%d are queued: %v", n, err)
	}
}

// TestFormOfWhatGoesOnToAnUpstream pushes what our own queue refuses to a device
// whose downlinks only go on.
func TestFormOfWhatGoesOnToAnUpstream(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	form := devicePath + "/downlinks"
	c.post(form, "payload", `{"valve":"open"}`, "as", "decoded", "priority", "LOW").faulty("f_port", "Must be 1 to 255")
	w.must(w.db.SetUpstream(w.project, nil, iot.Upstream{URL: "https://tts.example/api/v3/as/applications/my-app", Key: "NNSXS.A"},
		w.owner.Email))
	c.post(form, "payload", `{"valve":"open"}`, "as", "decoded", "priority", "LOW").leadsTo(devicePath)
	c.post(form, "payload", "[1]", "as", "decoded", "priority", "LOW").faulty("payload", "Cannot be read")
}
