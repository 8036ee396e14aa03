package ingest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan"
	"thingpost/internal/lorawan/wire"
)

func (w *world) up() Sender { return Sender{Project: w.project, Register: true, Actor: "a key"} }

// stored returns a message as it is on disk, with its device.
func (w *world) stored(t *testing.T, id iot.ID) (*iot.Message, *iot.Device) {
	t.Helper()
	m, err := w.db.Message(t.Context(), w.project.Key, id)
	must(t, err)
	d, err := w.db.Device(t.Context(), w.project.Key, m.Device)
	must(t, err)
	return m, d
}

func TestAcceptUpStoresTheBytesOfEveryType(t *testing.T) {
	w := open(t)
	routes := iot.Routes{}
	for _, kind := range iot.MessageTypes() {
		routes[kind] = iot.Route{}
	}
	all := &iot.Webhook{ProjectKey: w.project.Key, Description: "All", URL: "https://all.example", Format: iot.JSON, MessageTypes: routes,
		Settings: iot.DefaultSettings()}
	must(t, w.db.CreateWebhook(all, actor))
	files, err := filepath.Glob("../lorawan/testdata/*.json")
	if err != nil || len(files) < 16 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		must(t, err)
		id, err := w.AcceptUp(t.Context(), w.up(), body)
		must(t, err)
		m, d := w.stored(t, id)
		if string(m.Payload) != string(body) || !strings.HasPrefix(filepath.Base(file), string(m.Type)) || d.Key != w.device.Key {
			t.Errorf("%s: %s of %s: %s", file, m.Type, m.Device, m.Payload)
		}
		if list := w.deliveries(t, id); len(list) != 1 || list[0].Webhook != all.ID {
			t.Errorf("%s: deliveries %v", file, list)
		}
		again, err := w.AcceptUp(t.Context(), w.up(), body)
		if err != nil || again == id {
			t.Errorf("%s: deduplicated, %v", file, err)
		}
	}
}

func TestAcceptProtobufIsStoredAsJSON(t *testing.T) {
	w := open(t)
	up := &wire.ApplicationUp{EndDeviceIds: &wire.EndDeviceIdentifiers{DeviceId: "soil-probe-07"},
		Up: &wire.ApplicationUp_UplinkMessage{UplinkMessage: &wire.ApplicationUplink{FPort: 2, FrmPayload: []byte{1, 2, 3}}}}
	raw, err := proto.Marshal(up)
	must(t, err)
	id, err := w.AcceptProtobuf(t.Context(), w.up(), raw)
	must(t, err)
	if m, _ := w.stored(t, id); string(m.Payload) != `{"end_device_ids":{"device_id":"soil-probe-07"},"uplink_message":{"f_port":2,`+
		`"frm_payload":"AQID"}}` || m.Type != iot.UplinkMessage {
		t.Errorf("%s %s", m.Type, m.Payload)
	}
	for name, c := range map[string]struct {
		body []byte
		code iot.Code
	}{"no message": {[]byte("{}"), iot.Invalid}, "empty": {nil, iot.Invalid}, "large": {make([]byte, iot.MaxMessageBytes+1), iot.TooLarge}} {
		if _, err := w.AcceptProtobuf(t.Context(), w.up(), c.body); iot.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEndDevices(t *testing.T) {
	w := open(t)
	send := func(ids, kind string) (*iot.Device, error) {
		id, err := w.AcceptUp(t.Context(), w.up(), []byte(`{"end_device_ids":{`+ids+`},"`+kind+`":{}}`))
		if err != nil {
			return nil, err
		}
		_, d := w.stored(t, id)
		return d, nil
	}
	const eui, join, addr = `"dev_eui":"70b3d57ed0051a2b"`, `"join_eui":"0000000000000001"`, `"dev_addr":"260b4f11"`
	steps := []struct {
		name, ids, kind string
		want            iot.Device // of which these fields count
	}{
		{"registered with its identifiers", `"device_id":"new-one",` + eui + `,` + join + `,` + addr, "uplink_message",
			iot.Device{ID: "new-one", DevEUI: "70B3D57ED0051A2B", JoinEUI: "0000000000000001", DevAddr: "260B4F11"}},
		{"another address is not taken over", `"device_id":"new-one","dev_addr":"260B4F22"`, "uplink_message",
			iot.Device{ID: "new-one", DevEUI: "70B3D57ED0051A2B", JoinEUI: "0000000000000001", DevAddr: "260B4F11"}},
		{"but by joining", `"device_id":"new-one","dev_addr":"260B4F22"`, "join_accept",
			iot.Device{ID: "new-one", DevEUI: "70B3D57ED0051A2B", JoinEUI: "0000000000000001", DevAddr: "260B4F22"}},
		{"found by its EUI under another id", `"device_id":"other-name",` + eui, "uplink_message",
			iot.Device{ID: "new-one", DevEUI: "70B3D57ED0051A2B", JoinEUI: "0000000000000001", DevAddr: "260B4F22"}},
		{"found by its EUI alone", eui, "uplink_message", iot.Device{ID: "new-one", DevEUI: "70B3D57ED0051A2B", JoinEUI: "0000000000000001",
			DevAddr: "260B4F22"}},
		{"registered by an EUI alone", `"dev_eui":"70B3D57ED000FFFF"`, "join_accept",
			iot.Device{ID: "eui-70b3d57ed000ffff", DevEUI: "70B3D57ED000FFFF"}},
		{"a known one learns", `"device_id":"soil-probe-07","dev_eui":"70B3D57ED0000001"`, "uplink_message",
			iot.Device{ID: "soil-probe-07", DevEUI: "70B3D57ED0000001"}},
		{"and keeps what it has", `"device_id":"soil-probe-07","dev_eui":"70B3D57ED0000002"`, "uplink_message",
			iot.Device{ID: "soil-probe-07", DevEUI: "70B3D57ED0000001"}},
	}
	for _, step := range steps {
		d, err := send(step.ids, step.kind)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := (iot.Device{ID: d.ID, DevEUI: d.DevEUI, JoinEUI: d.JoinEUI, DevAddr: d.DevAddr}); got != step.want {
			t.Errorf("%s: %+v", step.name, got)
		}
	}
	for ids, code := range map[string]iot.Code{``: iot.Invalid, `"device_id":"N O"`: iot.Invalid, `"device_id":"x"`: iot.Invalid} {
		if _, err := send(ids, "uplink_message"); iot.CodeOf(err) != code {
			t.Errorf("%q: %v", ids, err)
		}
	}
	off := false
	must(t, w.db.UpdateProject(w.project, iot.ProjectUpdate{AutoRegister: &off}, actor))
	w.project.AutoRegister = false
	if _, err := send(`"device_id":"newest"`, "uplink_message"); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("registered against the project's will: %v", err)
	}
}

func TestSimulateMarksTheMessage(t *testing.T) {
	w := open(t)
	s := w.up()
	s.Name = "soil-probe-07"
	id, err := w.Simulate(t.Context(), s, []byte(`{"uplinkMessage":{"fPort":1}}`))
	must(t, err)
	m, _ := w.stored(t, id)
	head, _, err := lorawan.ReadHead(m.Payload)
	if err != nil || head.DeviceID != "soil-probe-07" || head.ApplicationID != w.project.ID ||
		!strings.Contains(string(m.Payload), `"uplink_message":{"f_port":1},"received_at":"2027-01-15T08:00:00Z","simulated":true}`) {
		t.Errorf("%+v %s %v", head, m.Payload, err)
	}
	if _, err := w.Simulate(t.Context(), s, []byte(`{}`)); iot.CodeOf(err) != iot.Invalid {
		t.Error(err)
	}
}

// Sample messages are complete messages of their type, also in Protocol Buffers.
func TestSampleMessagesFitTheSchema(t *testing.T) {
	w := open(t)
	for _, kind := range iot.MessageTypes() {
		if !kind.LoRaWAN() {
			continue
		}
		h := &iot.Webhook{ID: "wh1", MessageTypes: iot.Routes{kind: {}}}
		m := SampleMessage(w.project, h, iot.At(w.now()))
		up := &wire.ApplicationUp{}
		if err := lorawan.ParseJSON(m.Payload, up); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if got, ok := lorawan.Type(up); !ok || got != kind || !up.GetSimulated() || up.GetEndDeviceIds().GetDeviceId() == "" {
			t.Errorf("%s: %v", kind, up)
		}
	}
}
