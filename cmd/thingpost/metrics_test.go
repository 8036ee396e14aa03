package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestMetricsTellTheStoresFigures(t *testing.T) {
	a := newTestApp(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody)
	rec := httptest.NewRecorder()
	metricsHandler(a.db, a.hub, a.budget, a.log).ServeHTTP(rec, r)
	for _, want := range []string{
		"thingpost_deliveries_made_total 0", `thingpost_deliveries_ended_total{status="delivered"} 0`, "thingpost_deliveries_pending 0",
		"thingpost_database_file_bytes ", "thingpost_live_pages 0", "thingpost_storing 1", "thingpost_messages_refused_total 0",
		"thingpost_disk_free_bytes ", "thingpost_build_info{", "go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(rec.Body.String(), "\n"+want) {
			t.Errorf("there is no %s", want)
		}
	}
}
