package egress

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"thingpost/internal/iot"
)

// BenchmarkDo compares a request through the client with one through a bare
// http.Client on the same kind of transport, against a receiver in this process.
func BenchmarkDo(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok")
	}))
	defer s.Close()
	body := bytes.Repeat([]byte("x"), 300)
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"Thingpost/1"},
		"Webhook-Id": {"0198c0ff-ee00-7000-8000-000000000000"}, "Webhook-Timestamp": {"1767225600"}}
	var lines iot.HeaderLines
	for name, values := range header {
		lines = append(lines, iot.HeaderLine{Name: name, Value: values[0]})
	}
	const parallel = 32

	b.Run("bare", func(b *testing.B) {
		t := &http.Transport{MaxIdleConnsPerHost: idlePerHost, DisableCompression: true}
		defer t.CloseIdleConnections()
		c := &http.Client{Transport: t, Timeout: 10 * time.Second}
		b.ReportAllocs()
		b.SetParallelism(parallel)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.URL+"/hook", bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				req.Header = header
				resp, err := c.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				if _, err := io.ReadAll(resp.Body); err != nil {
					b.Error(err)
				}
				_ = resp.Body.Close()
			}
		})
	})
	b.Run("egress", func(b *testing.B) {
		c := newClient(b, Options{})
		b.ReportAllocs()
		b.SetParallelism(parallel)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if r := c.Do(b.Context(), Request{Method: "POST", URL: s.URL + "/hook", Headers: lines, Body: body,
					Timeout: 10 * time.Second}); r.Class != "" {
					b.Error(r.Detail)
					return
				}
			}
		})
	})
}
