package tts_test

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

// exchange is a measured exchange.
type exchange struct {
	method, path, authorization, body string
	status                            int
	total                             string // X-Total-Count
	answer                            string
}

var (
	statusLine = regexp.MustCompile(`^HTTP/1\.1 (\d+)`)
	bodyFlag   = regexp.MustCompile(`(?s) -d (.*)$`)
)

func measured(t *testing.T) []exchange {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "rest-exchanges.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var list []exchange
	for _, part := range strings.Split(string(text), "\n### ")[1:] {
		head, rest, _ := strings.Cut(part, "\n")
		e := exchange{method: "GET", authorization: "full"}
		if m := bodyFlag.FindStringSubmatch(head); m != nil {
			e.body, head = m[1], strings.TrimSuffix(head, m[0])
		}
		words := strings.Fields(head)
		for i := 0; i < len(words); i++ {
			switch words[i] {
			case "-X":
				i++
				e.method = words[i]
			case "-H":
				i += 3
				e.authorization = "read"
			default:
				e.path = words[i]
			}
		}
		top, answer, _ := strings.Cut(rest, "\n\n")
		e.answer = strings.TrimSpace(answer)
		e.status, _ = strconv.Atoi(statusLine.FindStringSubmatch(top)[1])
		if _, total, ok := strings.Cut(top, "X-Total-Count: "); ok {
			e.total = strings.TrimSpace(total)
		}
		if e.status == 403 && e.authorization == "full" {
			e.authorization = "" // the one without a key
		}
		list = append(list, e)
	}
	return list
}

// differs has the exchanges that differ from the measured ones, with their answers: an
// unknown format is refused when it is saved, retries can be requested, and the
// templates are our own.
func (e *exchange) differs() (skip bool) {
	switch {
	case strings.Contains(e.body, `"format":"xml"`):
		e.status, e.answer = 400, ""
	case strings.Contains(e.body, "queue.enabled"):
		e.status, e.answer = 200, `{"ids":{"application_ids":{"application_id":"app1"},"webhook_id":"wh7"},"base_url":"https://x.example",`+
			`"format":"json","queue":{"enabled":true}}`
	case e.path == "/as/webhook-templates" || strings.Contains(e.path, "mclimate"):
		e.answer = ""
	case strings.HasSuffix(e.path, "/down"):
		return true // of another queue; see the tests of downlinks
	}
	return false
}

func TestMeasuredExchanges(t *testing.T) {
	w := newWorld(t)
	w.must(w.db.DeleteWebhook(w.webhook, actor))
	other := &iot.Project{ID: "app2", Name: "Other", OrganizationKey: w.project.OrganizationKey}
	w.must(w.db.CreateProject(other, actor))
	keys := map[string]string{"": "", "full": w.full, "read": w.key(iot.ReadTraffic), "other": w.keyOf(other, iot.AllKeyRights)}
	for i, e := range measured(t) {
		if e.differs() {
			continue
		}
		if strings.Contains(e.path, "app2") {
			e.authorization = "other"
		}
		r := httptest.NewRequest(e.method, "/api/v3"+e.path, strings.NewReader(e.body))
		if key := keys[e.authorization]; key != "" {
			r.Header.Set("Authorization", key)
		}
		rec := httptest.NewRecorder()
		w.tts.ServeHTTP(rec, r)
		what := strconv.Itoa(i) + " " + e.method + " " + e.path + " " + e.body
		if rec.Code != e.status || rec.Header().Get("X-Total-Count") != e.total || rec.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s\nanswers %d %v %s\nwant %d", what, rec.Code, rec.Header(), rec.Body, e.status)
			continue
		}
		if e.answer == "" {
			continue
		}
		got, want := meaning(t, rec.Body.String()), meaning(t, e.answer)
		if !equal(got, want) {
			t.Errorf("%s\nanswers %s\nwant    %s", what, rec.Body, e.answer)
		}
	}
}

// meaning is JSON without times and ids of requests and keys.
func meaning(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return without(v)
}

func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

func without(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range []string{"created_at", "updated_at", "correlation_id", "key", "id"} {
			delete(v, name)
		}
		for name := range v {
			v[name] = without(v[name])
		}
	case []any:
		for i := range v {
			v[i] = without(v[i])
		}
	}
	return v
}
