package api_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"thingpost/db"
	"thingpost/handlers/api"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
)

// BenchmarkReceive measures a device's message from the request to the commit,
// with 64 senders at once.
func BenchmarkReceive(b *testing.B) {
	d, err := db.Open(b.Context(), db.Options{Folder: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.Close() })
	org := &iot.Organization{Name: "Works"}
	p := &iot.Project{Name: "Greenhouse North"}
	if err := d.SetUp(&iot.Account{Email: email, Name: "Ada", PasswordHash: "none"}, org); err != nil {
		b.Fatal(err)
	}
	p.OrganizationKey = org.Key
	if err := d.CreateProject(p, email); err != nil {
		b.Fatal(err)
	}
	if err := d.CreateDevice(&iot.Device{ProjectKey: p.Key, ID: "soil-probe-07"}, "tpd_of-the-soil-probe", email); err != nil {
		b.Fatal(err)
	}
	h := api.New(api.Options{DB: d, Ingest: ingest.New(d, ingest.Options{})})
	body := []byte(`{"payload":{"moisture":31.5,"temperature":18.25,"battery":3.61,"site":"north"}}`)
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest(http.MethodPost, base+"/devices/soil-probe-07/messages", io.NopCloser(bytes.NewReader(body)))
			r.ContentLength = int64(len(body))
			r.Header.Set("Authorization", "Bearer tpd_of-the-soil-probe")
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, r); w.Code != http.StatusAccepted {
				b.Fatalf("%d %s", w.Code, w.Body)
			}
		}
	})
}
