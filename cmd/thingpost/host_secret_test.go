package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"thingpost/internal/iot"
)

// hoarder keeps the heads and bodies of all requests.
type hoarder struct {
	*httptest.Server
	mu   sync.Mutex
	text string
}

func newHoarder(t *testing.T) *hoarder {
	t.Helper()
	h := &hoarder{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.text += fmt.Sprintln(r.Method, r.RequestURI, r.Header, string(body))
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hoarder) got() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text
}

// TestStoredSecretsGoToNoOtherHost changes the host of webhooks with stored secrets by
// every door that can, without entering the secrets: each is refused in the same words
// and changes nothing. With the secrets entered again each is accepted, and messages go
// there.
func TestStoredSecretsGoToNoOtherHost(t *testing.T) {
	evil := newHoarder(t)
	folder := t.TempDir()
	writeFile(t, folder, "local.yml", `template-id: local
name: Local
format: json
base-url: "http://127.0.0.1:1/in/{base}"
headers: {}
paths: {uplink-message: "/up/{path}"}
fields: [{id: base, name: Base, secret: true}, {id: path, name: Path, secret: true}]
`)
	p := serve(t, adminEnv(), "-data", t.TempDir(), "-templates", folder, "-allow-networks", "127.0.0.0/8")
	defer p.end(t, syscall.SIGTERM)
	c := signIn(t, p.url)
	const project, refusal, old = "/projects/moved", "is not sent to another host", "http://127.0.0.1:1/in"
	var key, device, erp struct{ Key, UUID string }
	c.call("POST", "/projects", map[string]string{"id": "moved", "name": "Moved"}, 201, nil)
	c.call("POST", project+"/devices", map[string]string{"id": "probe"}, 201, &device)
	c.call("POST", project+"/keys", map[string]any{"name": "all", "rights": []string{"RIGHT_APPLICATION_ALL"}}, 201, &key)
	c.call("POST", project+"/webhooks", map[string]any{"id": "erp", "description": "ERP", "url": old, "type": "user",
		"downlink_key": "canary-downlink",
		"headers":      []map[string]any{{"name": "X-Key", "value": "canary-header", "secret": true}}}, 201, &erp)
	c.call("POST", project+"/webhooks/from-template",
		map[string]any{"template": "local", "id": "local", "fields": map[string]string{"base": "canary-base", "path": "canary-path"}}, 201, nil)
	c.call("PUT", project+"/upstream", map[string]string{"url": old, "key": "NNSXS.CANARY"}, 200, nil)
	r := visitor(t, p.url)
	r.enters()
	api := func(method, path, body string) (int, string) {
		return c.exchange(method, p.url+path, body, map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + c.token})
	}
	things := func(body string) (int, string) {
		return c.exchange("PUT", p.url+"/api/v3/as/webhooks/moved/erp", body,
			map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + key.Key})
	}
	post := func(page, action string, change ...string) (int, string) {
		form := r.form(page, action)
		for i := 0; i+1 < len(change); i += 2 {
			form.Set(change[i], change[i+1])
		}
		s := r.tries("POST", action, form)
		return s.status, s.body
	}
	masked := `{"name":"X-Key","value":"` + iot.Mask + `"}`
	const hook = "/projects/moved/webhooks/erp"
	tries := map[string]func() (int, string){
		"API, URL alone": func() (int, string) { return api("PATCH", "/api/v1"+hook, `{"url":"`+evil.URL+`"}`) },
		"API, masked header": func() (int, string) {
			return api("PATCH", "/api/v1"+hook, `{"url":"`+evil.URL+`","downlink_key":"","headers":[`+masked+`]}`)
		},
		"API, masked key": func() (int, string) {
			return api("PATCH", "/api/v1"+hook, `{"url":"`+evil.URL+`","headers":[],"downlink_key":"`+iot.Mask+`"}`)
		},
		"API, user in front": func() (int, string) {
			return api("PATCH", "/api/v1"+hook, `{"url":"http://127.0.0.1:1@`+strings.TrimPrefix(evil.URL, "http://")+`"}`)
		},
		"API, preview": func() (int, string) { return api("POST", "/api/v1"+hook+"/preview", `{"url":"`+evil.URL+`"}`) },
		"API, template": func() (int, string) {
			return api("PATCH", "/api/v1/projects/moved/webhooks/local", `{"url":"`+evil.URL+`/in/`+iot.Mask+`"}`)
		},
		"API, template's path": func() (int, string) {
			return api("PATCH", "/api/v1/projects/moved/webhooks/local", `{"url":"`+evil.URL+`/in"}`)
		},
		"API, mask in the host": func() (int, string) {
			return api("PATCH", "/api/v1/projects/moved/webhooks/local", `{"url":"http://`+iot.Mask+`.example"}`)
		},
		"API, upstream": func() (int, string) {
			return api("PUT", "/api/v1/projects/moved/upstream", `{"url":"`+evil.URL+`","key":"`+iot.Mask+`"}`)
		},
		"The Things Stack, URL": func() (int, string) {
			return things(`{"webhook":{"base_url":"` + evil.URL + `"},"field_mask":{"paths":["base_url"]}}`)
		},
		"The Things Stack, mask": func() (int, string) {
			return things(`{"webhook":{"base_url":"` + evil.URL + `","headers":{"X-Key":"` + iot.Mask +
				`"},"downlink_api_key":"x"},"field_mask":{"paths":["base_url","headers","downlink_api_key"]}}`)
		},
		"Mainflux, URL": func() (int, string) { return api("PUT", "/webhooks/"+erp.UUID, `{"url":"`+evil.URL+`"}`) },
		"Mainflux, mask": func() (int, string) {
			return api("PUT", "/svcwebhooks/webhooks/"+erp.UUID, `{"url":"`+evil.URL+`","headers":{"X-Key":"`+iot.Mask+`"}}`)
		},
		"form": func() (int, string) { return post(hook, hook, "url", evil.URL) },
		"form of a copy": func() (int, string) {
			return post("/projects/moved/webhooks/new?copy=erp", "/projects/moved/webhooks/new", "url", evil.URL)
		},
		"form, template": func() (int, string) {
			return post("/projects/moved/webhooks/local", "/projects/moved/webhooks/local", "url", evil.URL+"/in/"+iot.Mask)
		},
		"form, upstream": func() (int, string) {
			return post("/projects/moved/settings", "/projects/moved/settings/upstream", "url", evil.URL)
		},
	}
	for name, try := range tries {
		status, answer := try()
		if status != 400 && status != 422 || !strings.Contains(answer, refusal) || strings.Contains(strings.ToLower(answer), "canary") {
			t.Errorf("%s answers %d %s", name, status, answer)
		}
	}
	c.call("POST", project+"/devices/probe/messages", map[string]any{"payload": 1}, 202, nil)
	c.call("POST", project+"/webhooks/erp/test", nil, 202, nil)
	until(t, "both were sent to where the webhook leads", func() bool {
		var sent struct{ Items []hostileDelivery }
		c.call("GET", project+"/deliveries?webhook=erp", nil, 200, &sent)
		return len(sent.Items) == 2 && sent.Items[0].Count > 0 && sent.Items[1].Count > 0
	})
	if got := evil.got(); got != "" {
		t.Errorf("the other host got %s", got)
	}
	// A person who knows the secrets can send them anywhere, by each door.
	entered := func(name string, status int, answer string) {
		t.Helper()
		if status != 200 && status != 303 {
			t.Errorf("%s with the secrets entered answers %d %s", name, status, answer)
		}
	}
	arrives := func(webhook string, words ...string) {
		t.Helper()
		c.call("POST", project+"/webhooks/"+webhook+"/test", nil, 202, nil)
		until(t, "the other host has got "+words[0], func() bool {
			got := evil.got()
			return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(got, word) })
		})
	}
	status, answer := api("PATCH", "/api/v1"+hook, `{"url":"`+evil.URL+`/api","downlink_key":"canary-downlink","headers":[{"name":"X-Key",`+
		`"value":"canary-header","secret":true}]}`)
	entered("the API", status, answer)
	arrives("erp", "POST /api ", "canary-header")
	status, answer = things(`{"webhook":{"base_url":"` + old + `","headers":{"X-Key":"canary-header"},` +
		`"downlink_api_key":"canary-downlink"},"field_mask":{"paths":["base_url","headers","downlink_api_key"]}}`)
	entered("The Things Stack", status, answer)
	status, answer = post(hook, hook, "url", evil.URL+"/form", "headers.0.value", "canary-header", "downlink_key", "")
	entered("the form", status, answer)
	arrives("erp", "POST /form ")
	status, answer = api("PUT", "/webhooks/"+erp.UUID, `{"url":"`+old+`","headers":{"X-Key":"canary-header"}}`)
	entered("Mainflux", status, answer)
	status, answer = api("PATCH", "/api/v1"+hook, `{"url":"`+old+`/elsewhere?on=it"}`)
	entered("another path of the same host", status, answer)
	status, answer = api("PATCH", "/api/v1/projects/moved/webhooks/local",
		`{"url":"`+evil.URL+`/in/anew","message_types":{"uplink_message":{"path":"/up/anew"}}}`)
	entered("the template's", status, answer)
	arrives("local", "POST /in/anew/up/anew ")
	form := neturl.Values{"url": {evil.URL}, "key": {"NNSXS.ANEW"}}
	s := r.tries("POST", "/projects/moved/settings/upstream", form)
	entered("the upstream", s.status, s.body)
	t.Attr("figure", fmt.Sprintf("%d ways to send a stored secret elsewhere, by 5 doors, all refused", len(tries)))
}
