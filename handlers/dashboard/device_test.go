package dashboard

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"thingpost/db"
	"thingpost/internal/iot"
)

const devicePath = "/projects/greenhouse-north/devices/soil-probe-07"

func TestListDevices(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	for i := range devicesPerPage {
		w.must(w.db.CreateDevice(&iot.Device{ProjectKey: w.project.Key, ID: fmt.Sprintf("door-%02d", i),
			DevEUI: fmt.Sprintf("70B3D57ED00000%02X", i)}, iot.NewDeviceKey(), w.owner.Email))
	}
	p := c.get("/projects/greenhouse-north/devices").is(200)
	if rows := p.Find("tbody tr").Length(); rows != devicesPerPage {
		t.Errorf("%d rows on the first page", rows)
	}
	next := p.Find(`.pager a`).AttrOr("href", "")
	if next != "/projects/greenhouse-north/devices?after=door-49" {
		t.Errorf("the next page is %q", next)
	}
	c.get(next).is(200).has("tbody", "soil-probe-07").has(`.pager a[href="/projects/greenhouse-north/devices"]`, "First page")
	c.get("/projects/greenhouse-north/devices?q=d0000010").is(200).has("tbody", "door-16").has(`input[name="q"][value="d0000010"]`, "")
	c.get("/projects/greenhouse-north/devices?q="+url.QueryEscape("<none>")).is(200).has(".empty",
		"No device has <none> in its id").has(`.empty a`, "Clear the search")
	part := c.fragment("/projects/greenhouse-north/devices?q=bay+3", "device-list").is(200)
	part.has("#device-list tbody", "soil-probe-07").lacks(".rail").lacks("input")
	empty := &iot.Project{Name: "Cold Store", OrganizationKey: w.organization.Key}
	w.must(w.db.CreateProject(empty, w.owner.Email))
	c.get("/projects/cold-store/devices").is(200).has(".empty", "No devices yet")
}

func TestCreateDevice(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	add := "/projects/greenhouse-north/devices/new"
	c.get(add).is(200).has("h1", "Add a device")
	c.post(add, "name", "", "id", "").faulty("name", "Must not be empty if there is no id.")
	c.post(add, "id", "a/b").faulty("id", "Must be 1 to 64 letters")
	c.post(add, "id", strings.ToUpper(w.device.ID)).faulty("id", "This id is taken.")
	c.post(add, "name", "Door", "uuid", "12").faulty("uuid", "Must be a UUID.")
	c.post(add, "name", "Door", "profile", "none").faulty("profile", "There is no such profile")
	bad := c.post(add, "name", "Door", "id", "X Y", "dev_eui", "xyz", "dev_addr", "12")
	bad.faulty("id", "Must be 1 to 64").lacks(`[name="name"][autofocus]`).has(`[name="id"][autofocus]`, "")
	bad.faulty("dev_eui", "Must be 16 hex digits.").faulty("dev_addr", "Must be 8 hex digits.").has("details[open]", "LoRaWAN")
	const mac, at = "AA:BB:cc.DD_1", "/projects/greenhouse-north/devices/AA:BB:cc.DD_1"
	c.post(add, "id", mac).leadsTo(at)
	c.get(at).is(200).has("h1", mac).has(`a[href="`+at+`/edit"]`, "Edit").has("#send-command", at+"/messages")
	c.get("/projects/greenhouse-north/devices/aa:bb:CC.dd_1").is(200).has("h1", mac)
	c.get("/projects/greenhouse-north/devices").is(200).has(`tbody a[href="`+at+`"]`, mac)
	c.get("/projects/greenhouse-north/devices?q=BB:CC").is(200).has("tbody", mac)
	c.post(add, "name", "Door sensor", "profile", "default", "dev_eui", "70b3d57ed0051a2b").
		leadsTo("/projects/greenhouse-north/devices/door-sensor")
	d := w.deviceOf(w.project, "door-sensor")
	if d.DevEUI != "70B3D57ED0051A2B" || d.Profile != iot.DefaultProfile {
		t.Errorf("added %+v", d)
	}
	key, err := w.db.DeviceKey(t.Context(), d)
	w.must(err)
	p := c.get("/projects/greenhouse-north/devices/door-sensor").is(200)
	p.has("#device-key", key.Reveal()).has("#send-command", key.Reveal()).has("#send-command",
		"https://hooks.veldhuis.example/api/v1/projects/greenhouse-north/devices/door-sensor/messages")
	again := c.get("/projects/greenhouse-north/devices/door-sensor").is(200).has("#send-command", "$DEVICE_KEY")
	if strings.Contains(again.body, key.Reveal()) {
		t.Error("the key is shown again")
	}
}

func TestDeviceKeyIsShownOnPurposeOnly(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	for _, path := range []string{devicePath, devicePath + "/edit", devicePath + "/key", devicePath + "/test",
		"/projects/greenhouse-north/devices", "/projects/greenhouse-north/audit", "/projects/greenhouse-north"} {
		if p := c.get(path).is(200); strings.Contains(p.body, deviceSecret) || strings.Contains(p.body, headerSecret) {
			t.Errorf("a secret is in %s", path)
		}
	}
	c.post(devicePath+"/key", "do", "reveal").leadsTo(devicePath)
	if p := w.as(w.member("editor@veldhuis.example", iot.Editor)).get(devicePath); strings.Contains(p.body, deviceSecret) {
		t.Error("somebody else sees what was revealed")
	}
	c.get(devicePath).has("#device-key", deviceSecret)
	c.fragment(devicePath, "device-traffic").lacks("#device-key")

	c.get(devicePath+"/key").is(200).has("h1", "Replace the key of soil-probe-07?")
	c.post(devicePath + "/key").leadsTo(devicePath)
	p := c.get(devicePath).is(200).has("#toasts", "The key was replaced.")
	if key := words(p.Find("#device-key").Text()); key == deviceSecret || !strings.HasPrefix(key, "tpd_") {
		t.Errorf("the new key is %q", key)
	}
	if _, err := w.db.DeviceByKey(t.Context(), deviceSecret); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("the old key: %v", err)
	}
}

func TestEditDevice(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get(devicePath+"/edit").is(200).has(`[name="name"][value="Soil probe, bay 3 south"]`, "").lacks(`[name="id"]`)
	c.post(devicePath+"/edit", "name", strings.Repeat("x", 1025), "profile", "default").faulty("name", "Must have at most 1024 characters.")
	c.post(devicePath+"/edit", "name", "Moved", "profile", "default", "join_eui", "000000000000000a").leadsTo(devicePath)
	if d := w.deviceOf(w.project, w.device.ID); d.Name != "Moved" || d.JoinEUI != "000000000000000A" {
		t.Errorf("saved %+v", d)
	}
	c.get(devicePath).has("dl.rows", "000000000000000A").lacks("#device-key")
	c.get("/projects/greenhouse-north/devices/none").is(404).has("main", "There is no such device.")
}

func TestDevicePageShowsItsTraffic(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get(devicePath).is(200).has("#device-traffic", "No messages").has("#device-traffic", "No deliveries")
	w.finish(w.send(`{"payload":{"vwc":11.42},"channel":"alarms"}`), delivered())
	w.send(`{"type":"iottly","payload":"not wanted"}`)
	w.send("{\"payload\":{\n  \"long\": \"" + strings.Repeat("é", 400) + "\"}}")
	p := c.fragment(devicePath, "device-traffic").is(200).lacks("h1")
	p.has(".chip", "alarms").has("tbody", `{"vwc":11.42}`).has("tbody", "1 webhook").has("tbody", "no webhook").has("tbody", "…").has("tbody",
		"Delivered").has("tbody", "200")
	if strings.Contains(p.body, "\ufffd") {
		t.Error("a payload is cut within a character")
	}
	c.fragment(devicePath, "device-now").is(200).lacks("h1").lacks("tbody").has(
		`.stats a[href="/projects/greenhouse-north/deliveries?device=soil-probe-07&status=pending"]`, "show them")
}

func TestSendTestMessage(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get(devicePath+"/test").is(200).has("h1", "Send as soil-probe-07")
	c.fragment(devicePath+"/test", "dialog").is(200).has("#dialog-title", "Send as soil-probe-07").lacks("h1").lacks(".rail")
	bad := c.post(devicePath+"/test", "type", "user", "payload", `{"x":`, "channel", "alarms")
	bad.faulty("payload", "Must be JSON").has(`[name="channel"][value="alarms"]`, "").has("textarea", `{"x":`)
	c.post(devicePath+"/test", "type", "uplink_message", "payload", `1`).faulty("type", "Must be user or iottly")
	c.post(devicePath+"/test", "type", "user", "payload", `1`, "channel", strings.Repeat("x", 255)).faulty("channel", "Must have at most")
	p := c.post(devicePath+"/test", "type", "iottly", "payload", " {\"n\": 1.50} ", "channel", "alarms").is(303)
	id, ok := iot.ParseID(strings.TrimPrefix(p.header.Get("Location"), "/projects/greenhouse-north/messages/"))
	if !ok {
		t.Fatalf("leads to %q", p.header.Get("Location"))
	}
	m, err := w.db.Message(t.Context(), w.project.Key, id)
	w.must(err)
	if m.Type != iot.Iottly || m.Channel != "alarms" || string(m.Payload) != `{"n": 1.50}` || m.Device != w.device.ID {
		t.Errorf("stored %+v with payload %s", m, m.Payload)
	}
}

func TestDeleteDevice(t *testing.T) {
	w := openWorld(t)
	w.send(`{"payload":1}`)
	c := w.as(w.owner)
	c.get(devicePath+"/delete").is(200).has("main", "its 1 pending delivery is still sent")
	c.fragment(devicePath+"/delete", "dialog").is(200).has("#dialog-title", "Delete soil-probe-07?")
	c.post(devicePath + "/delete").leadsTo("/projects/greenhouse-north/devices")
	c.get("/projects/greenhouse-north/devices").has("#toasts", "soil-probe-07 was deleted.").has(".empty", "No devices yet")
	c.get(devicePath).is(404)
}

// silence makes a device silent, as the watch does.
func (w *world) silence(d *iot.Device, seen iot.Instant) {
	w.t.Helper()
	s, err := w.db.ProjectSettings(w.t.Context(), w.project.Key)
	w.must(err)
	now := iot.At(w.clock.Now())
	m := &iot.Message{ID: w.db.NewID(), ProjectKey: w.project.Key, DeviceKey: d.Key, Device: d.ID, Type: iot.Iottly,
		Payload: []byte(`{"connectionstatus":"silent"}`), ReceivedAt: now}
	w.must(w.db.Accept(&db.Accept{Message: m, Device: d, Project: w.project, Version: s.Version, Silence: &db.Silence{LastSeenAt: seen}}))
}

func TestASilentDeviceIsSeen(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	add := "/projects/greenhouse-north/devices/new"
	c.post(add, "name", "Smoke alarm", "expected_interval", "5", "expected_unit", "s").faulty("expected_interval",
		"Must be 10 seconds to 30 days, or empty.")
	c.post(add, "name", "Smoke alarm", "expected_interval", "31", "expected_unit", "d").faulty("expected_interval", "Must be 10 seconds")
	c.post(add, "name", "Smoke alarm", "expected_interval", "1,5", "expected_unit",
		"h").leadsTo("/projects/greenhouse-north/devices/smoke-alarm")
	d := w.deviceOf(w.project, "smoke-alarm")
	if d.ExpectedIntervalMS != 90*60*1000 {
		t.Errorf("expected every %d ms", d.ExpectedIntervalMS)
	}
	edit := "/projects/greenhouse-north/devices/smoke-alarm/edit"
	c.get(edit).is(200).has(`[name="expected_interval"][value="90"]`, "").has(`[name="expected_unit"] option[selected]`, "minutes")
	c.post(edit, "name", "Smoke alarm", "profile", "default", "expected_interval", "x").faulty("expected_interval", "Must be 10 seconds")
	list := "/projects/greenhouse-north/devices"
	c.get(list+"?silent=1").is(200).has(".empty", "No device is silent")
	c.get(list).is(200).has(".tabs-line a[aria-current]", "All")

	w.silence(d, iot.At(w.clock.Now()))
	c.get(list).is(200).has("tbody", "Silent").has(`.tabs-line a[href="/projects/greenhouse-north/devices?silent=1"]`, "1")
	p := c.get(list+"?silent=1").is(200).has("tbody", "smoke-alarm")
	if rows := p.Find("tbody tr").Length(); rows != 1 {
		t.Errorf("%d silent devices", rows)
	}
	c.get("/projects/greenhouse-north/devices/smoke-alarm").is(200).has(".alert", "Silent since").has(".alert",
		"expected every 90 minutes").has(".alert", "a grace period of 45 minutes").
		has("dl.rows", "every 90 minutes")
	c.fragment("/projects/greenhouse-north", "figures").is(200).has(`a.need[href="/projects/greenhouse-north/devices/smoke-alarm"]`,
		"smoke-alarm is silent")
	c.post(edit, "name", "Smoke alarm", "profile", "default", "expected_interval",
		"").leadsTo("/projects/greenhouse-north/devices/smoke-alarm")
	c.get(list+"?silent=1").is(200).has(".empty", "No device is silent")
}
