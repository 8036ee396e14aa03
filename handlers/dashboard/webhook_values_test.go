package dashboard

import (
	"reflect"
	"testing"
	"time"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

func TestFormHoldsAllThatItShows(t *testing.T) {
	usual := func(change func(*iot.Webhook)) *iot.Webhook {
		h := &iot.Webhook{ID: "w", Description: "D", URL: "https://x.example/{channel}", MessageTypes: iot.Routes{iot.User: {}},
			Headers:  []iot.Header{},
			Settings: iot.DefaultSettings(), Format: iot.Envelope, FieldMask: []string{}}
		h.Settings.RetryOn = nil
		change(h)
		return h
	}
	for name, h := range map[string]*iot.Webhook{
		"plain":            usual(func(*iot.Webhook) {}),
		"iottly":           usual(func(h *iot.Webhook) { h.MessageTypes = iot.Routes{iot.Iottly: {Path: "/a"}} }),
		"both, with paths": usual(func(h *iot.Webhook) { h.MessageTypes = iot.Routes{iot.User: {Path: "/u"}, iot.Iottly: {Path: "/i"}} }),
		"LoRaWAN alone": usual(func(h *iot.Webhook) {
			h.MessageTypes = iot.Routes{iot.UplinkMessage: {Path: "/up"}, iot.JoinAccept: {}}
		}),
		"LoRaWAN beside":    usual(func(h *iot.Webhook) { h.MessageTypes = iot.Routes{iot.User: {}, iot.ServiceData: {Path: "?x=1"}} }),
		"no types":          usual(func(h *iot.Webhook) { h.MessageTypes = iot.Routes{} }),
		"spaces in channel": usual(func(h *iot.Webhook) { h.Channel = " a  b " }),
		"headers": usual(func(h *iot.Webhook) {
			h.Headers = []iot.Header{{Name: "A", Value: " v "}, {Name: "B", Value: "s3cr3t", Secret: true}, {Name: "C", Value: ""}}
		}),
		"odd settings": usual(func(h *iot.Webhook) {
			h.Settings = iot.Settings{TimeoutMS: 1234, GiveUpAfterMS: 90_500, InOrder: true, MaxInFlight: 3, MaxPerSecond: 10_000,
				RetryOn: []iot.ErrorClass{iot.ErrDNS, iot.ErrHTTP5xx}}
		}),
		"from elsewhere": usual(func(h *iot.Webhook) {
			h.Format, h.FieldMask, h.Template, h.DownlinkKey = iot.JSON, []string{"up"}, "acme", "key"
		}),
		"90 minutes": usual(func(h *iot.Webhook) { h.Settings.GiveUpAfterMS = (90 * time.Minute).Milliseconds() }),
		"30 days":    usual(func(h *iot.Webhook) { h.Settings.GiveUpAfterMS = (30 * 24 * time.Hour).Milliseconds() }),
	} {
		t.Run(name, func(t *testing.T) {
			got := h.Clone()
			got.Description, got.URL, got.Channel, got.MessageTypes, got.Headers = "", "", "", nil, nil
			got.Settings = iot.Settings{}
			var faults iot.Faults
			applyForm(webhookForm(h), got, h, &faults)
			if err := faults.Err(); err != nil {
				t.Fatal(err)
			}
			want := h.Clone()
			want.MaskSecrets() // those stay masked: they are put back where it is checked
			if !reflect.DeepEqual(got, want) {
				t.Errorf("came back as\n%+v, want\n%+v", got, want)
			}
		})
	}
}

func TestDecimalComma(t *testing.T) {
	f := webhookForm(&iot.Webhook{Settings: iot.DefaultSettings()})
	f.Set("timeout", "2,5")
	f.Set("give_up_after", "1,5")
	var h iot.Webhook
	var faults iot.Faults
	applyForm(f, &h, nil, &faults)
	if h.Settings.Timeout() != 2500*time.Millisecond || h.Settings.GiveUpAfter() != 90*time.Minute {
		t.Errorf("%v, %v", h.Settings, faults.Err())
	}
}

func TestForgedHeaderCount(t *testing.T) {
	for _, n := range []string{"", "-5", "1000000000", "x"} {
		if rows := headerRows(handlers.NewForm("header_rows", n)); len(rows) > iot.MaxTemplateHeaders {
			t.Errorf("%q makes %d rows", n, len(rows))
		}
	}
}
