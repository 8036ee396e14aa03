package api_test

import (
	"net/url"
	"strconv"
	"testing"
	"time"

	"thingpost/internal/iot"
)

type page struct {
	Items []struct {
		ID       iot.ID
		Status   iot.Status
		Trigger  iot.Trigger
		Webhook  string
		Code     *int
		Error    string
		Attempts []iot.Attempt
	}
	Next string
}

func (w *world) deliveries(query string) page {
	w.Helper()
	var v page
	w.ok(200, "GET", base+"/deliveries?"+query, w.viewer, "").into(w, &v)
	return v
}

func TestDeliveriesAreFiltered(t *testing.T) {
	w := newWorld(t)
	w.webhook("erp", "")
	w.ok(201, "POST", base+"/devices", w.editor, `{"id":"second-one"}`)
	begin := w.clock()
	var delivered, failed, refused, pending iot.ID
	first := w.message(`{"payload":1}`)
	delivered = w.finish(iot.Delivered, 204, "")
	w.pass(time.Hour)
	w.message(`{"payload":1,"type":"iottly"}`) // no webhook wants it
	w.message(`{"payload":2}`)
	failed = w.finish(iot.Failed, 503, iot.ErrHTTP5xx)
	w.pass(time.Hour)
	w.message(`{"payload":3}`)
	refused = w.finish(iot.Failed, 0, iot.ErrConnect)
	w.ok(202, "POST", base+"/devices/second-one/messages", w.editor, `{"payload":4}`)
	pending = w.deliveries("limit=1").Items[0].ID
	for query, want := range map[string][]iot.ID{
		"":                             {pending, refused, failed, delivered},
		"status=failed":                {refused, failed},
		"status=failed,pending":        {pending, refused, failed},
		"code=500-599,404":             {failed},
		"code=204":                     {delivered},
		"error=connect,dns":            {refused},
		"webhook=erp&status=delivered": {delivered},
		"device=second-one":            {pending},
		"device=" + w.device.UUID:      {refused, failed, delivered},
		"type=iottly":                  {},
		"type=user,iottly&limit=200":   {pending, refused, failed, delivered},
		"message=" + first.String():    {delivered},
		"status=skipped&error=connect": {},
		"since=" + instant(begin, 2):   {pending, refused},
		"until=" + instant(begin, 1):   {delivered},
		"since=2999-01-01T00:00:00Z":   {},
		"until=1960-01-01T00:00:00Z":   {},
		"since=0001-01-01T00:00:00Z":   {pending, refused, failed, delivered},
		"since=2026-11-02T11:00:00%2B01:00&until=2026-11-02T12:00:00%2B01:00": {pending, refused},
	} {
		got := w.deliveries(query)
		ids := []iot.ID{}
		for _, d := range got.Items {
			ids = append(ids, d.ID)
		}
		if len(ids) != len(want) || got.Items == nil {
			t.Errorf("%s: %v, want %v", query, ids, want)
			continue
		}
		for i := range ids {
			if ids[i] != want[i] {
				t.Errorf("%s: %v, want %v", query, ids, want)
			}
		}
	}
	a := w.ok(200, "GET", base+"/deliveries/"+failed.String(), w.viewer, "")
	var d struct {
		Code     int
		Attempts []struct {
			Response struct{ Body string }
			Error    struct{ Class string }
		}
	}
	if a.into(t, &d); d.Code != 503 || len(d.Attempts) != 1 || d.Attempts[0].Response.Body != "well" ||
		d.Attempts[0].Error.Class != "http_5xx" {
		t.Errorf("%s", a.body)
	}
}

func instant(from time.Time, hours int) string {
	return url.QueryEscape(from.Add(time.Duration(hours) * time.Hour).Format(time.RFC3339))
}

func TestBadFiltersAreNamed(t *testing.T) {
	w := newWorld(t)
	list := base + "/deliveries"
	for query, field := range map[string]string{
		"status=failing": "status", "status=failed,,pending": "status", "webhook=nope-nope": "webhook", "device=nope-nope": "device",
		"type=x":   "type",
		"code=abc": "code", "code=599-500": "code", "code=99": "code", "code=700": "code", "code=500-": "code", "error=http": "error",
		"since=yesterday": "since", "until=5": "until", "message=5": "message", "colour=red": "colour", "limit=0": "limit", "limit=201": "limit",
		"limit=x": "limit", "limit=": "limit", "cursor=x": "cursor", "status=failed&status=pending": "status",
	} {
		w.refused(iot.Invalid, "GET", list+"?"+query, w.viewer, "", field)
	}
	w.refused(iot.Invalid, "GET", list+"?a=%zz", w.viewer, "")
	w.refused(iot.Invalid, "GET", list+"?limit=0&colour=red", w.viewer, "", "limit", "colour")
	w.refused(iot.Invalid, "GET", base+"/messages?status=failed", w.viewer, "", "status")
	w.refused(iot.Invalid, "GET", base+"/messages?type=user,iottly", w.viewer, "", "type")
	replay := list + "/replay"
	w.refused(iot.Invalid, "POST", replay, w.editor, `{}`, "filter")
	w.refused(iot.Invalid, "POST", replay, w.editor, `{"filter":{"colour":"red","status":["failing"]}}`, "filter.colour")
	w.refused(iot.Invalid, "POST", replay, w.editor, `{"filter":{"status":["failing"],"code":{}}}`, "filter.code")
	w.refused(iot.Invalid, "POST", replay, w.editor, `{"filter":{"status":["failing"],"code":7}}`, "filter.code", "filter.status")
}

func TestRetryReplayAndCancel(t *testing.T) {
	w := newWorld(t)
	w.webhook("erp", "")
	w.message(`{"payload":1}`)
	failed := w.finish(iot.Failed, 503, iot.ErrHTTP5xx)
	w.message(`{"payload":2}`)
	pending := w.deliveries("limit=1").Items[0].ID
	var d iot.Delivery
	path := base + "/deliveries/"
	w.ok(202, "POST", path+pending.String()+"/retry", w.editor, "").into(t, &d)
	if d.ID != pending || d.Trigger != iot.TriggerMessage {
		t.Errorf("a pending one: %+v", d)
	}
	w.ok(202, "POST", path+failed.String()+"/retry", w.editor, "").into(t, &d)
	if d.ID == failed || d.Trigger != iot.TriggerRetry || d.Status != iot.Pending {
		t.Errorf("an ended one: %+v", d)
	}
	again := d.ID
	w.ok(200, "POST", path+again.String()+"/cancel", w.editor, "").into(t, &d)
	if d.Status != iot.Cancelled {
		t.Errorf("%+v", d)
	}
	w.refused(iot.Conflict, "POST", path+again.String()+"/cancel", w.editor, "")
	w.refused(iot.NotFound, "POST", path+w.db.NewID().String()+"/retry", w.editor, "")

	var count struct {
		Count int
		ID    iot.ID
	}
	const filter = `{"filter":{"status":["failed"],"code":[503,"404"],"webhook":"erp"}`
	w.ok(200, "POST", path+"replay", w.editor, filter+`,"dry_run":true}`).into(t, &count)
	if n := len(w.deliveries("").Items); count.Count != 1 || n != 3 {
		t.Errorf("dry run: %d of %d", count.Count, n)
	}
	count.Count = 0
	w.ok(202, "POST", path+"replay", w.editor, filter+`,"rate":5}`).into(t, &count)
	w.replay(count.ID)
	newest := w.deliveries("limit=1").Items[0]
	if count.Count != 1 || newest.Trigger != iot.TriggerReplay || newest.Status != iot.Pending {
		t.Errorf("%d, %+v", count.Count, newest)
	}
	w.ok(204, "DELETE", base+"/webhooks/erp", w.editor, "")
	w.refused(iot.Conflict, "POST", path+failed.String()+"/retry", w.editor, "")
}

// TestPagesAreStable walks each list page by page while new items come in.
func TestPagesAreStable(t *testing.T) {
	w := newWorld(t)
	w.webhook("hook-0", "")
	for i := range 6 {
		n := strconv.Itoa(i)
		w.ok(201, "POST", "/api/v1/organizations", w.owner, `{"name":"Org `+n+`"}`)
		w.ok(201, "POST", "/api/v1/projects", w.owner, `{"name":"Project `+n+`","organization":"works"}`)
		w.ok(201, "POST", base+"/profiles", w.editor, `{"name":"Profile `+n+`"}`)
		w.ok(201, "POST", base+"/devices", w.editor, `{"name":"Device `+n+`"}`)
		w.ok(201, "POST", base+"/keys", w.admin, `{"name":"Key `+n+`","rights":["RIGHT_APPLICATION_ALL"]}`)
		w.message(`{"payload":` + n + `}`)
		if i > 0 && i < 5 {
			w.webhook("hook-"+n, "")
		}
	}
	for _, path := range []string{"/api/v1/organizations", "/api/v1/projects", base + "/profiles", base + "/devices", base + "/keys",
		base + "/webhooks", base + "/messages", base + "/deliveries", base + "/audit"} {
		var all, walked []string
		w.ok(200, "GET", path+"?limit=200", w.owner, "").into(t, &struct{ Items *ids }{(*ids)(&all)})
		cursor := ""
		for range 100 {
			var v struct {
				Items ids
				Next  string
			}
			w.ok(200, "GET", path+"?limit=2&cursor="+cursor, w.owner, "").into(t, &v)
			walked = append(walked, v.Items...)
			if cursor = v.Next; cursor == "" {
				break
			}
			if len(v.Items) != 2 {
				t.Fatalf("%s: a page of %d", path, len(v.Items))
			}
		}
		if len(all) < 5 || len(walked) != len(all) {
			t.Fatalf("%s: %d in pages, %d at once", path, len(walked), len(all))
		}
		for i := range all {
			if walked[i] != all[i] {
				t.Errorf("%s: %v, want %v", path, walked, all)
				break
			}
		}
		w.refused(iot.Invalid, "GET", path+"?cursor=No+Such", w.owner, "", "cursor")
		w.refused(iot.Invalid, "GET", path+"?limit=201", w.owner, "", "limit")
	}
}
