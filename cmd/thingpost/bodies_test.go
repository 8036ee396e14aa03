package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"thingpost/internal/iot"
)

// bodyDoor is a path that accepts JSON.
type bodyDoor struct {
	name, method, path, key, contentType string
	body                                 string // with a value in place of %s
	taken, tooLarge, wrongMethod         int    // statuses
	message                              bool   // an accepted body makes a message in the project
}

// bodyDoors returns every kind of door, of a project with the device probe and the
// webhook hook, and of Mainflux's thing.
func bodyDoors(t *testing.T, url string) (_ []bodyDoor, count func() int) {
	t.Helper()
	h := newHouse(t, url)
	c := signIn(t, url)
	c.call("POST", "/projects", map[string]string{"id": "doors", "name": "Doors"}, 201, nil)
	var device struct{ Key, UUID string }
	c.call("POST", "/projects/doors/devices", map[string]string{"id": "probe"}, 201, &device)
	c.call("POST", "/projects/doors/webhooks", map[string]any{"id": "hook", "description": "d", "url": "https://hook.example.org/",
		"type": "iottly"}, 201, nil)
	var key struct{ Key string }
	c.call("POST", "/projects/doors/keys", map[string]any{"name": "k", "rights": []string{"RIGHT_APPLICATION_ALL"}}, 201, &key)
	const (
		project = "/api/v1/projects/doors"
		device1 = project + "/devices/probe"
		tts     = "/api/v3/as/applications/doors"
		up      = `{"end_device_ids":{"device_id":"probe"},"uplink_message":{"decoded_payload":{"v":%s}}}`
		jsonMIM = "application/json"
	)
	project1, thing := "Bearer "+key.Key, "/things/"+h.thing
	doors := []bodyDoor{
		{"one message", "POST", device1 + "/messages", "Bearer " + device.Key, jsonMIM, `{"payload":%s}`, 202, 413, 405, true},
		{"iottly's form", "POST", device1 + "/messages", project1, jsonMIM, `{"_id":{"$oid":"1"},"from":"` + device.UUID +
			`","type":"userdefined","payload":%s}`, 202, 413, 405, true},
		{"one of any device", "POST", project + "/messages", project1, jsonMIM, `{"from":"probe","payload":%s}`, 202, 413, 405, true},
		{"an array", "POST", project + "/messages", project1, jsonMIM, "[\n" + `{"from":"probe","payload":%s}]`, 202, 413, 405, true},
		{"lines", "POST", project + "/messages", project1, "application/x-ndjson", `{"from":"probe","payload":%s}` + "\n", 202, 413, 405, true},
		{"a webhook of The Things Stack", "POST", "/in/tts/doors", project1, jsonMIM, up, 202, 413, 405, true},
		{"a simulated message", "POST", tts + "/devices/probe/up/simulate", project1, jsonMIM, up, 200, 400, 501, true},
		{"the same, misspelt", "POST", "/v3/api/as/applications/doors/devices/probe/up/simulate", project1, jsonMIM, up, 200, 400, 501, true},
		{"a downlink", "POST", device1 + "/downlinks", project1, jsonMIM, `{"payload":%s}`, 201, 413, 405, true},
		{"a list of downlinks", "POST", device1 + "/downlinks", project1, jsonMIM, `[{"payload":%s}]`, 201, 413, 405, true},
		{"named downlinks", "POST", device1 + "/downlinks", project1, jsonMIM, `{"downlinks":[{"payload":%s}]}`, 201, 413, 405, true},
		{"downlinks by a webhook", "POST", tts + "/webhooks/hook/devices/probe/down/push", project1, jsonMIM,
			`{"downlinks":[{"f_port":1,"decoded_payload":{"v":%s}}]}`, 200, 400, 405, true},
		{"settings", "PATCH", project + "/webhooks/hook", project1, jsonMIM, `{"description":%s}`, 200, 413, 405, false},
		{"Mainflux's message", "POST", "/http/messages/a/b", "Thing " + h.key, jsonMIM, `{"v":%s}`, 202, 413, 405, false},
		{"Mainflux's SenML", "POST", "/messages", "Thing " + h.key, "application/senml+json", `%s`, 202, 413, 405, false},
		{"Mainflux's command", "POST", thing + "/commands", "Bearer " + h.token, jsonMIM, `%s`, 202, 413, 405, false},
		{"Mainflux's settings", "PUT", "/svcthings" + thing, "Bearer " + h.token, jsonMIM, `{"name":"t","type":"sensor","metadata":{"v":%s}}`,
			200, 413, 405, false},
		{"Mainflux's search", "POST", "/things/search", "Bearer " + h.token, jsonMIM, `{"name":%s}`, 200, 413, 405, false},
	}
	return doors, func() int {
		var list struct{ Items []json.RawMessage }
		c.call("GET", "/projects/doors/messages?limit=200", nil, 200, &list)
		return len(list.Items)
	}
}

// come is the answer of a door.
type come struct {
	status int
	header http.Header
	body   string
}

// knock sends a body to a door and follows no redirect.
func (d *bodyDoor) knock(t *testing.T, url string, body []byte, set func(*http.Request)) come {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), d.method, url+d.path, bytes.NewReader(body))
	must(t, err)
	r.Header.Set("Content-Type", d.contentType)
	r.Header.Set("Authorization", d.key)
	if set != nil {
		set(r)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	must(t, err)
	return come{resp.StatusCode, resp.Header, string(answer)}
}

func (d *bodyDoor) with(value string) []byte { return []byte(strings.Replace(d.body, "%s", value, 1)) }

func packed(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(body)
	must(t, err)
	must(t, z.Close())
	return b.Bytes()
}

// TestBodiesAtEveryDoor sends invalid and unusual bodies to every door that accepts
// JSON.
func TestBodiesAtEveryDoor(t *testing.T) {
	p := serve(t, adminEnv(), "-data", t.TempDir())
	defer p.end(t, syscall.SIGTERM)
	doors, count := bodyDoors(t, p.url)
	taken := 0
	for i := range doors {
		d := &doors[i]
		t.Run(d.name, func(t *testing.T) {
			for name, value := range map[string]struct{ json, bad, words string }{ // bad is where the fault is
				"Latin-1":         {`"a gr` + "\xfc" + `n one"`, "\xfc", "0xfc is not UTF-8"},
				"a surrogate":     {`"a \ud83d one"`, `\ud83d`, "half of a surrogate pair"},
				"nested too deep": {strings.Repeat("[", iot.MaxJSONDepth+1) + strings.Repeat("]", iot.MaxJSONDepth+1), "", "nested too deep"},
				"too long a number": {"[" + strings.Repeat("7", iot.MaxJSONDigits+1) + "]", strings.Repeat("7", iot.MaxJSONDigits+1),
					"number in the body is too long"},
			} {
				body := d.with(value.json)
				a := d.knock(t, p.url, body, nil)
				where := ""
				if value.bad != "" {
					at := bytes.Index(body, []byte(value.bad)) + 1
					if strings.HasPrefix(name, "too") && body[0] == '[' && d.name == "an array" {
						at -= len("[\n") // a message of an array is refused alone
					}
					where = fmt.Sprintf("byte %d, line", at)
				}
				if a.status != 400 || !strings.Contains(a.body, value.words) || !strings.Contains(a.body, where) || !json.Valid([]byte(a.body)) {
					t.Errorf("%s: %d %s, want %q at %q", name, a.status, a.body, value.words, where)
				}
			}
			good := d.with(`"grün"`)
			if d.contentType == "application/senml+json" {
				good = d.with(`[{"n":"a","vs":"grün"}]`)
			}
			var bomb bytes.Buffer
			z := gzip.NewWriter(&bomb)
			for range 64 {
				_, err := z.Write(bytes.Repeat([]byte(" "), 1<<20))
				must(t, err)
			}
			must(t, z.Close())
			encoding := func(name string) func(*http.Request) {
				return func(r *http.Request) { r.Header.Set("Content-Encoding", name) }
			}
			path := func(change func(string) string) func(*http.Request) {
				return func(r *http.Request) { r.URL.Path = change(r.URL.Path) }
			}
			for _, c := range []struct {
				name string
				body []byte
				set  func(*http.Request)
				want int
			}{
				{"as it is", good, nil, d.taken},
				{"packed", packed(t, good), encoding("gzip"), d.taken},
				{"packed, in capitals", packed(t, good), encoding("X-GZIP"), d.taken},
				{"identity", good, encoding("identity"), d.taken},
				{"a mark", append([]byte("\ufeff"), good...), nil, d.taken},
				{"a packed mark", packed(t, append([]byte("\ufeff"), good...)), encoding("gzip"), d.taken},
				{"space around", append(append([]byte("\r\n\t "), good...), " \r\n\n"...), nil, d.taken},
				{"a media type in capitals", good, func(r *http.Request) {
					r.Header.Set("Content-Type", strings.ToUpper(d.contentType)+" ; Charset=UTF-8")
				}, d.taken},
				{"a scheme in capitals", good, func(r *http.Request) {
					r.Header.Set("Authorization", strings.Replace(strings.Replace(d.key, "Bearer ", "BEARER  ", 1), "Thing ", "thing  ", 1))
				}, d.taken},
				{"a slash behind", good, path(func(p string) string { return p + "/" }), d.taken},
				{"doubled slashes", good, path(func(p string) string { return strings.ReplaceAll(p, "/", "//") }), d.taken},
				{"dotted", good, path(func(p string) string { return "/." + strings.Replace(p, "/", "/./", 2) + "/." }), d.taken},
				{"up", good, path(func(p string) string { return p + "/x/.." }), 404},
				{"up from elsewhere", good, path(func(p string) string { return "/projects/.." + p }), 404},
				{"up, escaped", good, func(r *http.Request) { r.URL.Path, r.URL.RawPath = d.path+"/x/..", d.path+"/x/%2e%2E" }, 404},
				{"brotli", good, encoding("br"), 415},
				{"packed twice", packed(t, packed(t, good)), encoding("gzip, gzip"), 415},
				{"not packed", good, encoding("gzip"), 400},
				{"cut off", packed(t, good)[:20], encoding("gzip"), 400},
				{"a bomb", bomb.Bytes(), encoding("gzip"), d.tooLarge},
				{"another method", nil, func(r *http.Request) { r.Method = "TRACE" }, d.wrongMethod},
				{"which methods", nil, func(r *http.Request) { r.Method = "OPTIONS" }, 204},
			} {
				a := d.knock(t, p.url, c.body, c.set)
				if a.status != c.want || a.body != "" && !json.Valid([]byte(a.body)) || a.body == "" && a.status >= 400 {
					t.Errorf("%s: %d %s, want %d", c.name, a.status, a.body, c.want)
				}
				if c.want == 204 || c.want == d.wrongMethod {
					if !strings.Contains(a.header.Get("Allow"), d.method) {
						t.Errorf("%s: Allow is %q", c.name, a.header.Get("Allow"))
					}
				}
				if c.want == 415 && !strings.Contains(a.header.Get("Accept-Encoding"), "gzip") {
					t.Errorf("%s: Accept-Encoding is %q", c.name, a.header.Get("Accept-Encoding"))
				}
				if a.status == d.taken && d.message {
					taken++
				}
			}
		})
	}
	if n := count(); n != taken {
		t.Errorf("%d messages are stored, %d were taken", n, taken)
	}
}
