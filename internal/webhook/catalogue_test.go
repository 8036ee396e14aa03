package webhook

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"thingpost/internal/iot"
)

func TestBuiltInTemplates(t *testing.T) {
	want := map[string]outcome{
		"akenza": {url: "https://data-gateway.akenza.io", paths: uplink("/v3/capture?secret=v%20uplink_secret%2F1"),
			hidden: uplink("/v3/capture?secret=•••")},
		"blockbax": {url: "https://hooks.example.com/in/7", paths: uplink(""),
			headers: []iot.Header{open("Content-Type", "application/json"), shut("Authorization", "ApiKey v token/1")}},
		"cloud-studio-plugin": {url: "https://gear.cloud.studio/Services/Interfaces/TTNInterfaceService.svc", paths: uplink("/UplinkV3"),
			headers: []iot.Header{shut("Authorization", "Bearer v access_token/1"), open("Content-type", "application/json")}},
		"datacake": {url: "https://api.datacake.co/integrations/lorawan/tti", paths: uplink("/"),
			headers: []iot.Header{shut("Authorization", "Token v token/1")}},
		"dezem": {url: "https://m2m.dezem.de/services/import/lorawan/data-1.php", paths: uplink("/"), mask: 6,
			headers: []iot.Header{shut("X-deZem-Secret", "v api_key/1")}},
		"homey": {url: "https://webhooks.athom.com/webhook/v%20homey_webhookID%2F1", paths: uplink("/"), key: true,
			headers: []iot.Header{shut("x-user-id", "v keypath_value/1")}},
		"https-endpoint": {url: "https://hooks.example.com/in/7", headers: []iot.Header{shut("Authorization", "v authorization/1")},
			paths: map[iot.MessageType]string{iot.UplinkMessage: "/up", iot.JoinAccept: "/join", iot.DownlinkAck: "/down/ack",
				iot.DownlinkFailed: "/down/failed"}},
		"mclimate": {url: "https://lorawan-broker.mclimate.eu", key: true, headers: []iot.Header{shut("m-token", "v token/1")},
			paths: map[iot.MessageType]string{iot.UplinkMessage: "/up-tti", iot.JoinAccept: "/join-tti", iot.DownlinkAck: "/ack-tti",
				iot.DownlinkSent: "/sent-tti", iot.DownlinkQueued: "/queued-tti"}},
		"tagoio": {url: "https://ttn.middleware.tago.io", paths: uplink("/uplink"), key: true,
			headers: []iot.Header{open("Content-Type", "application/json"), shut("Authorization", "v auth/1")}},
		"tellsens": {url: "http://tellsens.io/api/1.1/wf/tti", paths: uplink("/"),
			headers: []iot.Header{open("Content-Type", "application/json"), shut("apikey", "apikey v apikey/1"),
				open("clientid", "clientid v clientid/1")}},
		"thethingsio": {url: "https://subscription.thethings.io/lora/v%20productID%2F1/v%20hash%2F1?idname=end_device_ids.dev_eui",
			shown: "https://subscription.thethings.io/lora/v%20productID%2F1/•••?idname=end_device_ids.dev_eui", paths: uplink("")},
		"thingspeak": {url: "https://api.thingspeak.com/things_network/v3/update", paths: uplink("/"),
			headers: []iot.Header{open("Content-Type", "application/json"), open("ChannelId", "v channelid/1"),
				shut("Authorization", "v apikey/1")}},
		"traxmate": {url: "https://capture.v1.traxmate.io/capture/service/v%20token%2F1",
			shown: "https://capture.v1.traxmate.io/capture/service/•••", key: true,
			paths: uplink(""), headers: []iot.Header{open("Content-Type", "application/json")}},
		"ttnmapper": {url: "https://integrations.ttnmapper.org/tts/v3",
			headers: []iot.Header{open("TTNMAPPERORG-USER", "v email/1"), open("TTNMAPPERORG-EXPERIMENT", "v experiment/1")},
			paths: map[iot.MessageType]string{iot.UplinkMessage: "/uplink-message", iot.JoinAccept: "/join-accept",
				iot.LocationSolved: "/location-solved"}},
		"uib": {url: "https://thingsindustries-v2connector.unificationengine.com", paths: uplink("/notification"),
			headers: []iot.Header{shut("x-application-key", "v application_key/1"), open("x-receiver-phonenumber", "v phone_number/1"),
				open("x-template-namespace", "v template_id/1"),
				open("x-template-name", "v template_name/1"), open("x-template-variables", "v template_variables/1"),
				open("Content-type", "application/json")}},
		"wonderland": {url: "https://api.lorawonderland.com/master/tts_integration.php/v%20username%2F1", paths: allTypes(), key: true,
			headers: []iot.Header{shut("X-API-Key", "v api_key/1")}},
	}
	c := BuiltIn()
	if n := len(c.Templates()); n < 12 || n != len(want) {
		t.Errorf("%d templates, %d are known here", n, len(want))
	}
	for _, tmpl := range c.Templates() {
		t.Run(tmpl.ID, func(t *testing.T) {
			w, err := Instantiate(tmpl, "", exampleValues(tmpl))
			if err != nil {
				t.Fatal(err)
			}
			want[tmpl.ID].compare(t, w)
			if tmpl.CreateDownlinkKey != want[tmpl.ID].key {
				t.Errorf("downlink key %v", tmpl.CreateDownlinkKey)
			}
			if w.Description != tmpl.Name || w.Template != tmpl.ID || len(w.TemplateFields) != len(tmpl.Fields) {
				t.Errorf("%q of %q with %v", w.Description, w.Template, w.TemplateFields)
			}
		})
	}
}

// TestBuiltInTemplatesAreClean is stricter with our templates than with others: their
// only remarks are about ids that the services chose.
func TestBuiltInTemplatesAreClean(t *testing.T) {
	_, remarks, err := readFolder(builtIn, "catalogue")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range remarks {
		if !strings.Contains(r.Text, "has an unusual form") && r.Text != "There is no logo-url." {
			t.Error(r)
		}
	}
}

func TestOptionalFieldsMayStayEmpty(t *testing.T) {
	for id, want := range map[string]outcome{
		"wonderland": {url: "https://api.lorawonderland.com/master/tts_integration.php", paths: allTypes()},
		"ttnmapper": {url: "https://integrations.ttnmapper.org/tts/v3", headers: []iot.Header{open("TTNMAPPERORG-USER", "ada@example.org")},
			paths: map[iot.MessageType]string{iot.UplinkMessage: "/uplink-message", iot.JoinAccept: "/join-accept",
				iot.LocationSolved: "/location-solved"}},
	} {
		tmpl, err := BuiltIn().Template(id)
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]string{}
		if id == "ttnmapper" {
			values = map[string]string{"email": " ada@example.org ", "experiment": ""}
		}
		w, err := Instantiate(tmpl, "", values)
		if err != nil {
			t.Fatal(id, err)
		}
		want.compare(t, w)
	}
}

func TestFolderWinsAndItsIndexChooses(t *testing.T) {
	file := func(id, name string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("template-id: " + id + "\nname: " + name + "\nformat: json\nbase-url: https://h/" + id +
			"\npaths: {uplink-message: /up}\n")}
	}
	folder := fstest.MapFS{
		"datacake.yml": file("datacake", "Ours"), "one.yml": file("first-id", "One"), "two.yaml": file("two-two", "Two"),
		"three.yml":   file("three-three", "Three"),
		".hidden.yml": file("hidden", "Hidden"), "README.md": file("readme", "Readme"), "sub/four.yml": file("four-four", "Four"),
		"again.yml": file("one-again", "Again"),
	}
	c, remarks, err := ReadCatalogue(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range remarks {
		if r.Error {
			t.Error(r)
		}
	}
	names := func(c *Catalogue) []string {
		var list []string
		for _, tmpl := range c.Templates() {
			list = append(list, tmpl.ID)
		}
		return list
	}
	builtIns := len(BuiltIn().Templates())
	if got := names(c); len(got) != 5+builtIns-1 ||
		!slices.Equal(got[:5], []string{"one-again", "datacake", "first-id", "three-three", "two-two"}) {
		t.Errorf("offered %v", got)
	}
	if got, _ := c.Template("datacake"); got == nil || got.Name != "Ours" {
		t.Errorf("the folder's datacake does not win: %+v", got)
	}

	folder[indexFile] = &fstest.MapFile{Data: []byte("# ours\n- two\n- first-id\n- two-two\n- nobody\n")}
	c, remarks, err = ReadCatalogue(folder)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(c); len(got) != 2+builtIns || !slices.Equal(got[:2], []string{"two-two", "first-id"}) {
		t.Errorf("offered %v", got)
	}
	if got, _ := c.Template("datacake"); got == nil || got.Name != "Datacake" {
		t.Errorf("the index does not offer the folder's datacake: %+v", got)
	}
	var lines []string
	for _, r := range remarks {
		if r.File == indexFile {
			lines = append(lines, r.String())
		}
	}
	if want := []string{`templates.yml:4: warning: The template "two-two" is named twice.`,
		`templates.yml:5: error: There is no usable template "nobody".`}; !slices.Equal(lines, want) {
		t.Errorf("of the index is said %v", lines)
	}
}

func TestFoldersThatAreNone(t *testing.T) {
	if _, _, err := ReadCatalogue(fstest.MapFS{}); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
	remarks, n, err := CheckFolder(fstest.MapFS{"a.txt": {}})
	if err != nil || n != 0 || len(remarks) != 1 || !remarks[0].Error {
		t.Errorf("a folder without templates: %v, %d, %v", remarks, n, err)
	}
	if _, _, err := CheckFolder(fstest.MapFS{"a": {Data: []byte("x")}}); err != nil {
		t.Errorf("a file without an ending: %v", err)
	}
	twice := &fstest.MapFile{Data: []byte("template-id: abc\nname: A\nformat: json\nbase-url: https://h/\n")}
	remarks, n, _ = CheckFolder(fstest.MapFS{"a.yml": twice, "b.yml": twice})
	if n != 1 || !slices.ContainsFunc(remarks, func(r Remark) bool {
		return r.Error && r.File == "b.yml" &&
			strings.Contains(r.Text, "a.yml")
	}) {
		t.Errorf("one id twice: %d, %v", n, remarks)
	}
	large := &fstest.MapFile{Data: []byte("name: " + strings.Repeat("x", maxTemplateFile))}
	if remarks, n, _ := CheckFolder(fstest.MapFS{"a.yml": large}); n != 0 || len(remarks) != 1 ||
		!strings.Contains(remarks[0].Text, "256 KiB") {
		t.Errorf("a large file: %d, %v", n, remarks)
	}
}

func TestSearchTemplates(t *testing.T) {
	c := BuiltIn()
	for _, s := range []struct {
		text, kind string
		want       []string
	}{
		{"DATAcake", "", []string{"datacake"}},
		{"map coverage", "", []string{"ttnmapper"}},
		{"map", "tracking", []string{"tellsens", "ttnmapper"}},
		{"nothing of this", "", nil},
	} {
		var got []string
		for _, tmpl := range c.Search(s.text, s.kind) {
			got = append(got, tmpl.ID)
		}
		if !slices.Equal(got, s.want) {
			t.Errorf("%q of %q: %v, want %v", s.text, s.kind, got, s.want)
		}
	}
	if len(c.Search(" ", "")) != len(c.Templates()) || c.Kinds()[0] != "dashboards" {
		t.Error("an empty search finds not all, or kinds are not in order")
	}
}
