package mainflux

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

func FuzzReadQuery(f *testing.F) {
	f.Add("limit=1&offset=1&order=name&dir=asc&metadata=%7B%22a%22%3A1%7D", `{"limit":5,"metadata":{"a":[1]}}`, `{"a":1}`)
	f.Add("limit=-1", `{"limit":1e99}`, `null`)
	f.Fuzz(func(t *testing.T, query, body, metadata string) {
		get := httptest.NewRequest(http.MethodGet, "/", nil)
		get.URL.RawQuery = query
		for _, r := range []*http.Request{get, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))} {
			q, err := readQuery(r)
			if err != nil {
				continue
			}
			if q.Limit < 1 || q.Limit > maxLimit || q.Offset < 0 {
				t.Errorf("%q %q asks for %+v", query, body, q)
			}
			q.keeps(query, metadata)
			page, total := cut(&q, []string{"a", "b", "c"}, func(s string) (string, string) { return s, s })
			if total != 3 || len(page) > q.Limit || len(page) > 3 {
				t.Errorf("%+v gives %d of %d", q, len(page), total)
			}
		}
	})
}

func FuzzWebhookBody(f *testing.F) {
	f.Add(`[{"name":"a","url":"https://h","headers":{"A":"•••"," a ":"x"},"metadata":{"x":1},"scope":"thing"}]`)
	f.Add(`[{"headers":{"A":"•••"}}]`)
	f.Add(`[{"name":null,"headers":null,"metadata":null}]`)
	f.Fuzz(func(t *testing.T, text string) {
		var list []webhookBody
		if decode(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text)), &list) != nil {
			return
		}
		for i := range list {
			secret := iot.Header{Name: "A", Value: iot.Mask, Secret: true} // as a change sees it
			h := &iot.Webhook{Key: 1, URL: "https://h", Headers: []iot.Header{secret, {Name: "B", Value: "open"}}}
			if list[i].apply(h, "thing") != nil {
				continue
			}
			sent := list[i].Headers
			if kept := !sent.set || len(sent.value) == 1 && sent.value["A"] == iot.Mask; kept && h.Headers[0] != secret {
				t.Errorf("%s makes %q of the secret, secret is %t", text, h.Headers[0].Value.Reveal(), h.Headers[0].Secret)
			}
			if h.Metadata != "" && h.Metadata != "null" && !json.Valid([]byte(h.Metadata)) {
				t.Errorf("%s has the metadata %q", text, h.Metadata)
			}
		}
	})
}
