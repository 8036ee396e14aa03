package dashboard

import (
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/views/pages"
)

func TestLogFiltersByAddress(t *testing.T) {
	w := openWorld(t)
	list := w.mixed()
	other := w.newWebhook("Other")
	c := w.as(w.owner)
	for query, want := range map[string][]string{
		"status=failed":                                {"failed"},
		"status=failed&status=skipped":                 {"skipped", "failed"},
		"status=pending":                               {"pending", "timeout", "retrying"},
		"status=retrying":                              {"timeout", "retrying"},
		"code=5xx":                                     {"retrying"},
		"code=400-499":                                 {"failed"},
		"code=&code=200%2C+503":                        {"retrying", "delivered"},
		"error=timeout":                                {"timeout"},
		"error=timeout&error=http_4xx":                 {"timeout", "failed"},
		"webhook=" + other.ID:                          {},
		"webhook=nobody":                               {},
		"webhook=erp-goods-in&status=failed":           {"failed"},
		"device=soil-probe-07&status=skipped":          {"skipped"},
		"device=nobody":                                {},
		"attempt=2":                                    {},
		"message=" + list["failed"].MessageID.String(): {"failed"},
		"time=1h&status=failed":                        {"failed"},
		"since=2026-11-21T11:00":                       {},
		"until=2026-11-21T10:04":                       {},
		"since=2026-11-21T10:04&until=2026-11-21T10:05&status=skipped": {"skipped"},
	} {
		p := c.get(deliveryLog + "?" + query).is(200)
		var ids []string
		for _, name := range want {
			ids = append(ids, list[name].ID.String())
		}
		if got := p.rows(); !slices.Equal(got, ids) {
			t.Errorf("%s shows %d rows, want %v", query, len(got), want)
		}
		if len(want) == 0 {
			p.reads(".empty", "No deliveries match").reads(".empty a", "Clear all filters")
		}
		p.lacks(".alert").reads(".filters", "Clear")
	}
}

func TestLogNamesWhatItDoesNotUnderstand(t *testing.T) {
	w := openWorld(t)
	w.mixed()
	p := w.as(w.owner).get(deliveryLog +
		"?status=lost&code=9xx&error=bad&attempt=none&time=1y&since=tomorrow&before=x&message=%3Cscript%3E").is(200)
	p.reads(".alert", "Ignored, because it is not a valid filter: message “<script>”, before “x”, time “1y”, since “tomorrow”, "+
		"status “lost”, error “bad”, code “9xx”, attempt “none”.")
	if len(p.rows()) != 7 {
		t.Errorf("%d rows", len(p.rows()))
	}
}

func TestAddressHoldsTheWholeFilter(t *testing.T) {
	for _, q := range []pages.DeliveryQuery{
		{},
		{ID: "x&y=z", Time: "24h", Webhook: "erp", Device: "soil-probe-07", Statuses: []string{"failed", "skipped"}, Codes: "5xx,404, 300-307",
			Errors: []string{"dns", "tls"}, Attempt: "2", MS: "1000"},
		{Since: "2026-11-21T10:00", Until: "2026-11-21T11:00", Statuses: []string{"retrying"}, Message: "019aa5d2-8c41-7e9a-8000-0123456789ab",
			Before: "019aa5d2-8c41-7e9a-8000-0123456789ac"},
	} {
		u, err := url.Parse(pages.In("p").Deliveries(q.Pairs()...))
		if err != nil {
			t.Fatal(err)
		}
		got, ignored := deliveryQuery(u.Query())
		if !reflect.DeepEqual(got, q) || len(ignored) > 0 {
			t.Errorf("%s is read as %+v, want %+v; left out %q", u, got, q, ignored)
		}
	}
}

func TestFilterOfAQuery(t *testing.T) {
	w := openWorld(t)
	s := &site{Options: Options{DB: w.db, Now: w.clock.Now}}
	v := &visit{project: w.project}
	id := w.db.NewID()
	at := iot.At(w.clock.Now())
	base := db.DeliveryFilter{ProjectKey: w.project.Key}
	set := func(change func(*db.DeliveryFilter)) db.DeliveryFilter {
		f := base
		change(&f)
		return f
	}
	for query, want := range map[string]db.DeliveryFilter{
		"":                              base,
		"status=failed&status=failed":   set(func(f *db.DeliveryFilter) { f.Statuses = []iot.Status{iot.Failed} }),
		"status=retrying":               set(func(f *db.DeliveryFilter) { f.Retrying = true }),
		"status=retrying&status=failed": set(func(f *db.DeliveryFilter) { f.Statuses = []iot.Status{iot.Failed} }),
		"webhook=erp-goods-in":          set(func(f *db.DeliveryFilter) { f.WebhookKey = w.webhook.Key }),
		"webhook=" + w.webhook.UUID:     set(func(f *db.DeliveryFilter) { f.WebhookKey = w.webhook.Key }),
		"device=&device=soil-probe-07":  set(func(f *db.DeliveryFilter) { f.DeviceKey = w.device.Key }),
		"message=" + id.String():        set(func(f *db.DeliveryFilter) { f.MessageID = id }),
		"before=" + id.String():         set(func(f *db.DeliveryFilter) { f.Before = id }),
		"code=5XX&code=404,300-307": set(func(f *db.DeliveryFilter) {
			f.Codes = []db.CodeRange{{From: 500, To: 599}, {From: 404, To: 404}, {From: 300, To: 307}}
		}),
		"error=dns&error=tls":               set(func(f *db.DeliveryFilter) { f.Errors = []iot.ErrorClass{iot.ErrDNS, iot.ErrTLS} }),
		"ms=1000":                           set(func(f *db.DeliveryFilter) { f.MinMS = 1000 }),
		"attempt=5":                         set(func(f *db.DeliveryFilter) { f.MinAttempt = 5 }),
		"time=24h":                          set(func(f *db.DeliveryFilter) { f.Since = at.Add(-24 * time.Hour) }),
		"time=24h&since=2026-01-01T00:00":   set(func(f *db.DeliveryFilter) { f.Since = at.Add(-24 * time.Hour) }),
		"time=range&since=2026-11-21T10:00": set(func(f *db.DeliveryFilter) { f.Since = iot.At(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)) }),
		"until=2026-11-21T10:00":            set(func(f *db.DeliveryFilter) { f.Until = iot.At(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)) }),
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		q, ignored := deliveryQuery(values)
		got, none, err := s.deliveryFilter(t.Context(), v, q)
		if err != nil || none || len(ignored) > 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s makes %+v, want %+v (none %v, left out %q, %v)", query, got, want, none, ignored, err)
		}
	}
	for _, bad := range []string{"code=9xx", "code=500-400", "code=99", "code=600", "code=x", "code=" + strings.Repeat("404,", 30),
		"attempt=0", "attempt=-1", "ms=0", "ms=fast", "since=0001-01-01T00:00", "until=9999-01-01T00:00"} {
		values, _ := url.ParseQuery(bad)
		if q, ignored := deliveryQuery(values); len(ignored) != 1 || q.Filtered() {
			t.Errorf("%s is understood as %+v, left out %q", bad, q, ignored)
		}
	}
}
