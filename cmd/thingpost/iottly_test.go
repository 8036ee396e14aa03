package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tidwall/gjson"
)

// iottlyFixtures are ten device messages and eight webhook settings, with the expected
// result of each pair.
const iottlyFixtures = "../../internal/webhook/testdata/iottly"

type iottlyPair struct {
	Message, Config string
	Union           struct {
		Delivered bool
		Reason    string
		Body      json.RawMessage
	} `json:"recommended_union"`
}

// TestIottlyPairs sends every message through the running program to webhooks with all
// settings, and checks what a real receiver gets.
func TestIottlyPairs(t *testing.T) {
	var mu sync.Mutex
	got := map[string][]byte{} // by config and message id
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		got[strings.Trim(r.URL.Path, "/")+" "+r.Header.Get("Webhook-Id")] = body
	}))
	defer receiver.Close()
	p := serve(t, adminEnv(), "-data", t.TempDir(), "-max-webhooks", "8", "-allow-networks", "127.0.0.0/8,::1/128")
	defer p.end(t, syscall.SIGTERM)
	c := signIn(t, p.url)
	c.call("POST", "/projects", map[string]string{"id": "iottly", "name": "iottly"}, 201, nil)
	var configs []struct {
		Config, Type, Channel string
		PayloadOnly           bool `json:"payload_only"`
	}
	readFixture(t, "configs.json", &configs)
	for _, w := range configs {
		c.call("POST", "/projects/iottly/webhooks", map[string]any{"id": "config-" + strings.ToLower(w.Config),
			"description": "Config " + w.Config,
			"url":         receiver.URL + "/" + w.Config, "type": w.Type, "channel": w.Channel, "payload_only": w.PayloadOnly}, 201, nil)
	}
	var key struct{ Key string }
	c.call("POST", "/projects/iottly/keys", map[string]any{"name": "gateway", "rights": []string{"RIGHT_APPLICATION_TRAFFIC_UP_WRITE"}}, 201,
		&key)
	gateway := &apiClient{t: t, url: p.url, token: key.Key}

	bodies, ids := map[string][]byte{}, map[string]string{}
	files, err := filepath.Glob(iottlyFixtures + "/[01]*.json")
	must(t, err)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		body, err := os.ReadFile(file)
		must(t, err)
		var answer struct{ Messages []struct{ ID string } }
		gateway.call("POST", "/projects/iottly/messages", body, 202, &answer)
		bodies[name], ids[name] = body, answer.Messages[0].ID
	}
	until(t, "all deliveries have ended", func() bool {
		var page struct{ Items []json.RawMessage }
		c.call("GET", "/projects/iottly/deliveries?status=pending", nil, 200, &page)
		return len(page.Items) == 0
	})
	var pairs []iottlyPair
	readFixture(t, "expected.json", &pairs)
	if len(pairs) != 80 || len(bodies) != 10 {
		t.Fatalf("%d pairs of %d messages, want 80 of 10", len(pairs), len(bodies))
	}
	mu.Lock()
	defer mu.Unlock()
	for _, pair := range pairs {
		body, sent := got[pair.Config+" "+ids[pair.Message]]
		name := pair.Message + " to " + pair.Config
		if sent != pair.Union.Delivered {
			t.Errorf("%s: delivered is %v, want %v", name, sent, pair.Union.Delivered)
			continue
		}
		if sent {
			checkBody(t, name, body, pair.Union.Body, bodies[pair.Message])
			continue
		}
		// The fixture adds a remark in brackets to one of the reasons.
		want, _, _ := strings.Cut(pair.Union.Reason, " (")
		if why := c.why("iottly", ids[pair.Message], "config-"+strings.ToLower(pair.Config)); why != want {
			t.Errorf("%s: not delivered because of %q, want %q", name, why, want)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d of %d pairs, each byte of the payloads as it came", len(pairs), len(pairs)))
}

// checkBody compares a delivered body with the expected JSON, and its payload byte by
// byte with what the device sent.
func checkBody(t *testing.T, name string, body, want, sent []byte) {
	t.Helper()
	var a, b any
	must(t, json.Unmarshal(body, &a))
	must(t, json.Unmarshal(want, &b))
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%s: body is %s, want %s", name, body, want)
	}
	raw := string(body)
	if msg := gjson.GetBytes(body, "msg"); msg.Exists() {
		raw = msg.Get("payload").Raw
	}
	payload := gjson.GetBytes(sent, "payload")
	if raw != payload.Raw && raw != payload.Get("webhook_payload").Raw {
		t.Errorf("%s: the payload's bytes have changed: %s", name, raw)
	}
}

// why is why a webhook did not get a message, in the fixtures' words.
func (c *apiClient) why(project, message, hook string) string {
	c.t.Helper()
	var answer struct {
		Webhooks []struct{ Webhook, Why, Delivery string }
	}
	c.call("GET", "/projects/"+project+"/messages/"+message, nil, 200, &answer)
	for _, w := range answer.Webhooks {
		if w.Webhook != hook {
			continue
		}
		if w.Delivery == "" {
			return w.Why
		}
		var d struct {
			Status string
			Detail string `json:"error_detail"`
		}
		c.call("GET", "/projects/"+project+"/deliveries/"+w.Delivery, nil, 200, &d)
		if d.Status == "skipped" {
			return d.Detail
		}
		return d.Status
	}
	return "not listed"
}

func readFixture(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(iottlyFixtures, name))
	must(t, err)
	must(t, json.Unmarshal(text, into))
}
