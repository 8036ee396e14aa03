package webhook

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"thingpost/internal/iot"
)

// outcome is the expected result of a template with the values of exampleValues.
type outcome struct {
	url     string // with the secrets filled in
	shown   string // "" if it is the same
	headers []iot.Header
	paths   map[iot.MessageType]string
	hidden  map[iot.MessageType]string // paths as shown, if they differ
	mask    int
	key     bool
}

// exampleValue is the value of each field, except fields of a special form.
func exampleValue(t *iot.Template, id string) string {
	switch t.ID + " " + id {
	case "blockbax endpoint", "https-endpoint url":
		return "https://hooks.example.com/in/7"
	case "cloud-studio-plugin server_instance":
		return "gear.cloud.studio"
	case "example region", "meterworks region":
		return "eu"
	}
	return "v " + id + "/1"
}

func exampleValues(t *iot.Template) map[string]string {
	values := map[string]string{}
	for _, f := range t.Fields {
		values[f.ID] = exampleValue(t, f.ID)
	}
	return values
}

func open(name, value string) iot.Header { return iot.Header{Name: name, Value: iot.Secret(value)} }
func shut(name, value string) iot.Header {
	return iot.Header{Name: name, Value: iot.Secret(value), Secret: true}
}

// uplink is the paths of a template that only sends uplinks.
func uplink(path string) map[iot.MessageType]string {
	return map[iot.MessageType]string{iot.UplinkMessage: path}
}

func (o outcome) compare(t *testing.T, w *iot.Webhook) {
	t.Helper()
	full, ok := w.FullURL()
	if !ok || full != o.url {
		t.Errorf("URL %q, want %q", full, o.url)
	}
	if want := o.shown; want == "" && w.URL != o.url || want != "" && w.URL != want {
		t.Errorf("URL shown as %q, want %q", w.URL, want)
	}
	if !slices.Equal(w.Headers, o.headers) {
		t.Errorf("headers")
		for _, h := range w.Headers {
			t.Errorf("  got  %s: %q %v", h.Name, h.Value.Reveal(), h.Secret)
		}
		for _, h := range o.headers {
			t.Errorf("  want %s: %q %v", h.Name, h.Value.Reveal(), h.Secret)
		}
	}
	if len(w.MessageTypes) != len(o.paths) {
		t.Errorf("message types %v, want %v", w.MessageTypes, o.paths)
	}
	for kind, want := range o.paths {
		got, ok := w.FullPath(kind)
		if !ok || got != want {
			t.Errorf("path of %s %q, want %q", kind, got, want)
		}
		if hidden := o.hidden[kind]; hidden != "" {
			want = hidden
		}
		if w.MessageTypes[kind].Path != want {
			t.Errorf("path of %s shown as %q, want %q", kind, w.MessageTypes[kind].Path, want)
		}
	}
	if len(w.FieldMask) != o.mask {
		t.Errorf("field mask %v, want %d paths", w.FieldMask, o.mask)
	}
}

// collection is a folder of templates, as for -templates.
type collection struct {
	folder  fs.FS
	want    map[string]outcome // by id
	order   []string           // the first of those offered
	byFile  [2]string          // a file and its id, if they differ
	unnamed string             // an id that the index does not name
}

// collections returns the folders to test: a small one of ours, and the published one
// if it is beside the checkout. Its license does not allow a copy here.
func collections(t *testing.T) map[string]collection {
	t.Helper()
	all := map[string]collection{"ours": {folder: os.DirFS(filepath.Join("testdata", "collection")), want: ourTemplates(),
		order: []string{"meterworks"}, byFile: [2]string{"meter-works", "meterworks"}, unnamed: "depot"}}
	shared, promised := os.LookupEnv("THINGPOST_SHARED")
	if !promised {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	folder := filepath.Join(shared, "fixtures", "webhook-templates")
	if _, err := os.Stat(folder); err == nil {
		all["public"] = collection{folder: os.DirFS(folder), want: publicTemplates(), byFile: [2]string{"cloudstudio", "cloud-studio-plugin"},
			unnamed: "example",
			order:   []string{"akenza", "blockbax", "cloud-studio-plugin", "datacake", "dezem", "mclimate", "tagoio", "ttnmapper", "wonderland"}}
	} else if promised {
		t.Fatalf("THINGPOST_SHARED must name the folder above fixtures: %v", err)
	}
	return all
}

func ourTemplates() map[string]outcome {
	return map[string]outcome{
		"meterworks": {url: "https://eu.meterworks.example/in/v%20intake_token%2F1", shown: "https://eu.meterworks.example/in/•••", mask: 2,
			key:     true,
			paths:   map[iot.MessageType]string{iot.UplinkMessage: "/readings?account=v%20account%2F1", iot.JoinAccept: "/joined"},
			headers: []iot.Header{shut("X-Reader", "Key v reader_key/1"), open("Content-Type", "application/json")}},
		"depot": {url: "https://depot.example/v2", paths: map[iot.MessageType]string{iot.LocationSolved: "/where"},
			headers: []iot.Header{open("Authorization", "Bearer v token/1")}},
	}
}

// allTypes is the message types of wonderland, all with an empty path.
func allTypes() map[iot.MessageType]string {
	m := map[iot.MessageType]string{}
	for _, kind := range iot.MessageTypes() {
		if kind.LoRaWAN() && kind != iot.UplinkNormalized {
			m[kind] = ""
		}
	}
	return m
}

func publicTemplates() map[string]outcome {
	return map[string]outcome{
		"akenza": {url: "https://data-gateway.akenza.io", paths: uplink("/v3/capture?secret=v%20uplink_secret%2F1"),
			hidden: uplink("/v3/capture?secret=•••")},
		"blockbax": {url: "https://hooks.example.com/in/7", paths: uplink(""),
			headers: []iot.Header{shut("Authorization", "ApiKey v token/1"), open("Content-Type", "application/json")}},
		"cloud-studio-plugin": {url: "https://gear.cloud.studio/Services/Interfaces/TTNInterfaceService.svc", paths: uplink("/UplinkV3"),
			headers: []iot.Header{open("Content-type", "application/json"), open("Authorization", "Bearer v access_token/1")}},
		"datacake": {url: "https://api.datacake.co/integrations/lorawan/tti", paths: uplink("/"),
			headers: []iot.Header{shut("Authorization", "Token v token/1")}},
		"dezem": {url: "https://m2m.dezem.de/services/import/lorawan/data-1.php", paths: uplink("/"), mask: 6,
			headers: []iot.Header{open("X-deZem-Secret", "v api_key/1")}},
		"homey": {url: "https://webhooks.athom.com/webhook/v%20homey_webhookID%2F1", paths: uplink("/"), key: true,
			headers: []iot.Header{shut("x-user-id", "v keypath_value/1")}},
		"mclimate": {url: "https://lorawan-broker.mclimate.eu", key: true, headers: []iot.Header{open("m-token", "v token/1")},
			paths: map[iot.MessageType]string{iot.UplinkMessage: "/up-tti", iot.JoinAccept: "/join-tti", iot.DownlinkAck: "/ack-tti",
				iot.DownlinkSent: "/sent-tti", iot.DownlinkQueued: "/queued-tti"}},
		"tagoio": {url: "https://ttn.middleware.tago.io", paths: uplink("/uplink"), key: true,
			headers: []iot.Header{shut("Authorization", "v auth/1"), open("Content-Type", "application/json")}},
		"tellsens": {url: "http://tellsens.io/api/1.1/wf/tti", paths: uplink("/"),
			headers: []iot.Header{open("apikey", "apikey v apikey/1"), open("clientid", "clientid v clientid/1"),
				open("Content-Type", "application/json")}},
		"thethingsio": {url: "https://subscription.thethings.io/lora/v%20productID%2F1/v%20hash%2F1?idname=end_device_ids.dev_eui",
			paths: uplink("")},
		"thingspeak": {url: "https://api.thingspeak.com/things_network/v3/update", paths: uplink("/"),
			headers: []iot.Header{open("Content-Type", "application/json"), shut("Authorization", "v apikey/1"),
				open("ChannelId", "v channelid/1")}},
		"traxmate": {url: "https://capture.v1.traxmate.io/capture/service/v%20token%2F1",
			shown: "https://capture.v1.traxmate.io/capture/service/•••", key: true,
			headers: []iot.Header{open("Content-Type", "application/json")}},
		"ttnmapper": {url: "https://integrations.ttnmapper.org/tts/v3",
			headers: []iot.Header{open("TTNMAPPERORG-USER", "v email/1"), open("TTNMAPPERORG-EXPERIMENT", "v experiment/1")},
			paths: map[iot.MessageType]string{iot.UplinkMessage: "/uplink-message", iot.JoinAccept: "/join-accept",
				iot.LocationSolved: "/location-solved"}},
		"uib": {url: "https://thingsindustries-v2connector.unificationengine.com", paths: uplink("/notification"),
			headers: []iot.Header{open("x-application-key", "v application_key/1"), open("x-receiver-phonenumber", "v phone_number/1"),
				open("x-template-namespace", "v template_id/1"),
				open("x-template-name", "v template_name/1"), open("x-template-variables", "v template_variables/1"),
				open("Content-type", "application/json")}},
		"wonderland": {url: "https://api.lorawonderland.com/master/tts_integration.php/v%20username%2F1", paths: allTypes(), key: true,
			headers: []iot.Header{shut("X-API-Key", "v api_key/1")}},
		"example": {url: "https://www.example.com/eu", paths: uplink("/uplink"), mask: 3, key: true,
			headers: []iot.Header{open("Authorization", "Bearer v api_key/1")}},
	}
}

func TestTemplatesOfCollections(t *testing.T) {
	for name, c := range collections(t) {
		t.Run(name, func(t *testing.T) { c.tryTemplates(t) })
	}
}

func (c collection) tryTemplates(t *testing.T) {
	t.Helper()
	files, err := fs.Glob(c.folder, "*.yml")
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	for _, file := range files {
		if file == indexFile {
			continue
		}
		text, err := fs.ReadFile(c.folder, file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(file, func(t *testing.T) {
			tmpl, remarks := ParseTemplate(file, text)
			for _, r := range remarks {
				if r.Error {
					t.Error(r)
				}
			}
			if tmpl == nil {
				t.Fatal("cannot be used")
			}
			w, err := Instantiate(tmpl, "my-hook", exampleValues(tmpl))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Compile(w); err != nil {
				t.Error(err)
			}
			tried[tmpl.ID] = true
			if o, ok := c.want[tmpl.ID]; ok { // not of one added to the collection since
				o.compare(t, w)
				if tmpl.CreateDownlinkKey != o.key {
					t.Errorf("downlink key %v, want %v", tmpl.CreateDownlinkKey, o.key)
				}
			}
		})
	}
	for id := range c.want {
		if !tried[id] {
			t.Errorf("the template %s was not there", id)
		}
	}
}

// TestFoldersOfCollections reads the folders as -templates does.
func TestFoldersOfCollections(t *testing.T) {
	for name, c := range collections(t) {
		t.Run(name, func(t *testing.T) { c.tryFolder(t) })
	}
}

func (c collection) tryFolder(t *testing.T) {
	t.Helper()
	read, remarks, err := ReadCatalogue(c.folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range remarks {
		if r.Error {
			t.Error(r)
		}
	}
	list := read.Templates()
	for i, id := range c.order {
		if list[i].ID != id {
			t.Errorf("template %d is %s, want %s: the index says the order", i, list[i].ID, id)
		}
	}
	for _, name := range c.byFile {
		if got, err := read.Template(name); err != nil || got.ID != c.byFile[1] {
			t.Errorf("by %s: %v, %v", name, got, err)
		}
	}
	if _, err := read.Template(c.unnamed); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("the index does not name %s, but it is offered: %v", c.unnamed, err)
	}
	if got, err := read.Template("akenza"); err != nil || c.want["akenza"].url != "" && got.Description != "Integrate with akenza" {
		t.Errorf("the folder's akenza must win: %v, %v", got, err)
	}
	if _, err := read.Template("https-endpoint"); err != nil {
		t.Errorf("the built-in ones are gone: %v", err)
	}
}
