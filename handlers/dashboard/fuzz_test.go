package dashboard

import (
	"net/url"
	"reflect"
	"testing"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
)

// An address that was read and written leads to the same list, however often.
func FuzzDeliveryQuery(f *testing.F) {
	f.Add("status=failed&status=retrying&codes=404,5xx&since=2026-01-01T10:00&attempt=3")
	f.Add("time=24h&before=0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b&ms=9223372036854775807")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		q, ignored := deliveryQuery(values)
		again := url.Values{}
		pairs := q.Pairs()
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i+1] != "" {
				again.Add(pairs[i], pairs[i+1])
			}
		}
		if same, left := deliveryQuery(again); !reflect.DeepEqual(same, q) || len(left) > 0 {
			t.Errorf("%q is read as %+v, then %+v without %v (before: %v)", text, q, same, left, ignored)
		}
		if ranges, ok := codeRanges(text); ok {
			for _, r := range ranges {
				if r.From < 100 || r.To > 599 || r.From > r.To || len(ranges) > 20 {
					t.Errorf("%q asks for the codes %+v", text, r)
				}
			}
		}
	})
}

// A posted form becomes a webhook within bounds, whatever is in it.
func FuzzWebhookForm(f *testing.F) {
	f.Add("description=D&url=https://h&type=both&headers.0.name=A&headers.0.value=b&header_rows=1&timeout=2," +
		"5&give_up_after=1&give_up_unit=d&retry_on=dns")
	f.Add("header_rows=1000000000&timeout=NaN&give_up_after=1e309&max_in_flight=-1&only_lorawan=on")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		form := handlers.NewForm()
		for name, v := range values {
			form.Set(name, v...)
		}
		stored := &iot.Webhook{URL: "https://h", Headers: []iot.Header{{Name: "A", Value: "s3cr3t", Secret: true}},
			Settings: iot.DefaultSettings()}
		h := stored.Clone()
		h.MaskSecrets()
		var faults iot.Faults
		applyForm(form, h, stored, &faults)
		if len(h.Headers) > iot.MaxTemplateHeaders || pages.HeaderRows(form) > iot.MaxTemplateHeaders {
			t.Errorf("%q makes %d headers", text, len(h.Headers))
		}
		for _, header := range h.Headers {
			if header.Value == "s3cr3t" && !form.Has("headers.0.value", "s3cr3t") && len(values["headers.0.value"]) == 0 {
				t.Errorf("%q takes the secret out", text)
			}
		}
		if h.Settings.MaxInFlight < 0 || h.Settings.MaxPerSecond < 0 {
			t.Errorf("%q gives %+v", text, h.Settings)
		}
	})
}
