package webhook

import (
	"encoding/json"
	"testing"

	"thingpost/internal/iot"
)

func BenchmarkWants(b *testing.B) {
	w, m, p := sampleWebhook(), sampleMessage(), &iot.Profile{Webhook: true}
	w.Channel, m.Channel = "alarms", "alarms"
	c, err := Compile(w)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if c.Wants(m, p) != Wanted {
			b.Fatal("not wanted")
		}
	}
}

func BenchmarkRender(b *testing.B) {
	const fields = `{"from":"3781de91-d446-4c64-825d-756dd60f2dab","timestamp":"2018-07-27T17:50:04.968","to":"59c19cacecc01400075f3bc9",` +
		`"devicetimestamp":"2018-07-27T17:49:51","type":"userdefined"}`
	kinds := []struct {
		name   string
		change func(*iot.Webhook, *iot.Message)
	}{
		{"envelope", func(*iot.Webhook, *iot.Message) {}},
		{"fields", func(_ *iot.Webhook, m *iot.Message) { m.Fields = json.RawMessage(fields) }},
		{"signed", func(w *iot.Webhook, _ *iot.Message) {
			w.Signed, w.SigningSecrets = true, []iot.Secret{sampleSecret}
		}},
		{"payload", func(w *iot.Webhook, m *iot.Message) {
			w.PayloadOnly, w.Channel = true, "alarms"
			m.Payload = json.RawMessage(`{"webhook_channel":"alarms","webhook_payload":{"sensor":"smoke-3","level":"high","value":812.5}}`)
		}},
		{"variables", func(w *iot.Webhook, _ *iot.Message) {
			w.URL = "https://h/a/{devID}"
			w.Headers = []iot.Header{{Name: "Authorization", Value: "Bearer abc", Secret: true}, {Name: "X-Device", Value: "{deviceUUID}"}}
		}},
	}
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			w, m := sampleWebhook(), sampleMessage()
			kind.change(w, m)
			c, err := Compile(w)
			if err != nil {
				b.Fatal(err)
			}
			in := sampleInput(m)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Render(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
