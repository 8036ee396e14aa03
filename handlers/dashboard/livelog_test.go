package dashboard

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"thingpost/internal/iot"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

func TestSavedViewsCountApart(t *testing.T) {
	w := openWorld(t)
	list := w.mixed()
	slow := goodAttempt()
	slow.DurationMS = 1500
	w.attempted(list["pending"], slow, iot.Delivered, 0)
	c := w.as(w.owner)
	p := c.fragment(deliveryLog, pages.DeliveryViewsID).is(200)
	p.lacks("h1").lacks("table")
	if got := words(p.Find("#views nav").Text()); got != "All 7Failed 1Retrying 2Slow 1" {
		t.Errorf("the views read %q", got)
	}
	if hears := p.Find("#views").AttrOr("data-hears", ""); hears != "deliveries" {
		t.Errorf("they hear %q", hears)
	}
	p = c.get(deliveryLog+"?ms=1000").is(200).has("#views [aria-current]", "Slow").has("#deliveries .log-bar", "1 result")
	if got := p.rows(); len(got) != 1 || got[0] != list["pending"].ID.String() {
		t.Errorf("slow are %v", got)
	}
}

func TestHeldListCountsWhatIsNew(t *testing.T) {
	w := openWorld(t)
	list := w.mixed()
	c := w.as(w.owner)
	count := func(path, id string) string {
		return words(c.fragment(path, id).is(200).lacks("table").Find("#" + id).Text())
	}
	for query, want := range map[string]string{
		"after=" + list["pending"].ID.String():                 "",
		"after=" + list["cancelled"].ID.String():               "1 new , show them",
		"after=" + list["delivered"].ID.String():               "6 new , show them",
		"status=failed&after=" + list["delivered"].ID.String(): "1 new , show them",
		"device=nobody&after=" + list["delivered"].ID.String(): "",
		"after=nonsense": "",
		"":               "",
	} {
		if got := count(deliveryLog+"?"+query, pages.DeliveryNewID); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	shown := list["timeout"].MessageID.String()
	if got := count(messageLog+"?after="+shown, pages.MessageNewID); got != "3 new , show them" {
		t.Errorf("of messages: %q", got)
	}
	if got := count(messageLog+"?type=iottly&after="+shown, pages.MessageNewID); got != "" {
		t.Errorf("of messages of another type: %q", got)
	}
	// The list says what it shows, so that the count goes on from there.
	p := c.fragment(deliveryLog+"?webhook=erp-goods-in", pages.DeliveryListID).is(200)
	u, err := url.Parse(p.Find("#deliveries-new").AttrOr("hx-get", ""))
	if err != nil || u.Query().Get("after") != list["pending"].ID.String() || u.Query().Get("webhook") != "erp-goods-in" {
		t.Errorf("the count is asked for at %s, %v", u, err)
	}
	c.get(deliveryLog + "?before=" + list["pending"].ID.String()).is(200).lacks("#deliveries-new[hx-get]").lacks("[data-live-hold]")
}

func TestDeliveryInTheDrawer(t *testing.T) {
	w := openWorld(t)
	list := w.mixed()
	c := w.as(w.owner)
	at := func(name string) string { return deliveryLog + "/" + list[name].ID.String() }
	p := c.fragment(at("retrying"), ui.DrawerID).is(200).lacks("h1").lacks(".rail").has("h2#drawer-title", "soil-probe-07 to ERP goods-in")
	p.has("#delivery-drawer[data-hears=deliveries]", "503").has(`a[href="`+at("retrying")+`"]`,
		"").has(`form[hx-target="#drawer"][data-retry-form]`, "Retry now")
	c.fragment(at("retrying"), pages.DeliveryDrawerID).is(200).has("#delivery-drawer", "Attempt 1").lacks(".drawer-body")
	c.get(at("retrying")).is(200).has("h1", "soil-probe-07").lacks("#drawer-title").has(".legend",
		"Body").has("form[data-retry-form]:not([hx-post])", "Retry now")

	retry := func(name, target string) *page {
		r := httptest.NewRequest(http.MethodPost, at(name)+"/retry", nil)
		return c.do(r, []string{"HX-Request", "true", "HX-Target", target})
	}
	retry("retrying", ui.DrawerID).is(200).has("#delivery-drawer", "Retrying").has(`[hx-swap-oob="beforeend:#toasts"]`,
		"Thingpost retries the delivery now.")
	retry("failed", ui.ToastsID).is(200).has(".toast", "The message is sent again as a new delivery.").lacks("main")
}

func TestRowsSayWhatCanBeRetried(t *testing.T) {
	w := openWorld(t)
	list := w.mixed()
	p := w.as(w.owner).get(deliveryLog).is(200)
	for name, d := range list {
		retry, ok := p.Find(`tr:has(a[data-drawer][href$="` + d.ID.String() + `"])`).Attr("data-retry")
		if want := name != "delivered"; ok != want || ok && retry != deliveryLog+"/"+d.ID.String()+"/retry" {
			t.Errorf("%s can be retried: %v, at %q", name, ok, retry)
		}
	}
	w.as(w.member("vic@veldhuis.example", iot.Viewer)).get(deliveryLog).is(200).lacks("[data-retry]")
}

func TestChartIsOfWhatIsShown(t *testing.T) {
	w := openWorld(t)
	w.mixed()
	c := w.as(w.owner)
	for query, want := range map[string]string{
		"": "Attempts by hour, the last 24 hours", "status=failed": "Attempts by hour, the last 24 hours",
		"time=24h":             "Attempts by hour, the last 24 hours",
		"webhook=erp-goods-in": "Attempts of erp-goods-in by hour, the last 24 hours", "device=soil-probe-07": "", "time=1h": "", "error=dns": "",
	} {
		if got := c.get(deliveryLog+"?"+query).is(200).Find("#deliveries svg.chart").AttrOr("aria-label", ""); got != want {
			t.Errorf("%q has the chart %q, want %q", query, got, want)
		}
	}
}

func TestRangeIsShownInTheReadersZone(t *testing.T) {
	w := openWorld(t)
	w.mixed()
	p := w.as(w.owner).get(deliveryLog + "?since=2026-11-21T09:00&until=2026-11-21T11:30").is(200)
	p.has(`[popovertarget="filter-time"] time[datetime^="2026-11-21T09:00"][data-time=point]`,
		"21 Nov 09:00").has(`[popovertarget="filter-time"]`, "to 21 Nov 11:30")
	p.has("#filter-time [data-zone]", "UTC")
	if got := p.Find(`input[name=since][data-utc]`).AttrOr("value", ""); got != "2026-11-21T09:00" {
		t.Errorf("the field holds %q", got)
	}
}
