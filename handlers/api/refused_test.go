package api

import (
	"errors"
	"strings"
	"testing"

	"thingpost/internal/ingest"
	"thingpost/internal/iot"
)

// If nothing was stored, messages that can be stored later are not refused for good.
func TestRefusedStatus(t *testing.T) {
	fault := func(c iot.Code) ingest.Result { return ingest.Result{Err: iot.NewError(c, "It is "+string(c)+".")} }
	for name, c := range map[string]struct {
		results []ingest.Result
		status  int
		message string
	}{
		"one":             {[]ingest.Result{fault(iot.NotFound)}, 400, "It is not_found."},
		"two":             {[]ingest.Result{fault(iot.NotFound), fault(iot.Invalid)}, 400, "None of the 2 messages was stored"},
		"one for now":     {[]ingest.Result{fault(iot.Unavailable)}, 503, "It is unavailable."},
		"a full disk":     {[]ingest.Result{fault(iot.StorageFull), fault(iot.StorageFull)}, 507, "It is storage_full."},
		"one of several":  {[]ingest.Result{fault(iot.Invalid), fault(iot.RateLimited), fault(iot.Invalid)}, 429, "It is rate_limited."},
		"a fault of ours": {[]ingest.Result{{Err: errors.New("no such column")}}, 500, "no such column"},
	} {
		status, err := refused(c.results)
		if status != c.status || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %d %v, want %d %q", name, status, err, c.status, c.message)
		}
	}
}
