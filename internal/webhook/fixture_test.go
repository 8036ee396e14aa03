package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"thingpost/internal/iot"
)

// fixtureMessage reads a message as ingest would: the payload's bytes without the other
// fields.
func fixtureMessage(t *testing.T, name string) *iot.Message {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "iottly", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	m := &iot.Message{ID: iot.NewIDs(1, 0, testTime).New(), ReceivedAt: iot.At(testTime())}
	var fields [][]byte
	gjson.ParseBytes(raw).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "payload":
			m.Payload = json.RawMessage(value.Raw)
			return true
		case "type":
			m.Type, _ = iot.ParseMessageType(value.Str)
		case "channel":
			m.Channel = value.Str
		}
		fields = append(fields, []byte(key.Raw+":"+value.Raw))
		return true
	})
	m.Fields = append(append([]byte{'{'}, bytes.Join(fields, []byte(", "))...), '}')
	m.Channel, _ = iot.ChannelOf(m.Payload, m.Channel)
	return m
}

// TestIottlyPairs sends each of the ten messages to each of the eight settings.
func TestIottlyPairs(t *testing.T) {
	type config struct {
		Config      string
		Type        iot.MessageType
		Channel     string
		PayloadOnly bool `json:"payload_only"`
	}
	var configs []config
	var pairs []struct {
		Message, Config string
		Union           struct {
			Delivered bool
			Reason    string
			Body      json.RawMessage
		} `json:"recommended_union"`
	}
	readJSON(t, "configs.json", &configs)
	readJSON(t, "expected.json", &pairs)
	if len(pairs) != 80 {
		t.Fatalf("%d pairs, want 80", len(pairs))
	}
	webhooks := map[string]*iot.Webhook{}
	for _, c := range configs {
		w := sampleWebhook()
		w.MessageTypes = iot.Routes{c.Type: {}}
		w.Channel, w.PayloadOnly = c.Channel, c.PayloadOnly
		webhooks[c.Config] = w
	}
	profile := &iot.Profile{ID: "default", Webhook: true}
	for _, pair := range pairs {
		t.Run(pair.Message+"/"+pair.Config, func(t *testing.T) {
			w, m := webhooks[pair.Config], fixtureMessage(t, pair.Message)
			c, err := Compile(w)
			if err != nil {
				t.Fatal(err)
			}
			reason := c.Wants(m, profile)
			if why := Match(w, m, profile); why.Reason != reason || why.Wanted != (reason == Wanted) {
				t.Errorf("Match says %q, Wants says %q", why.Reason, reason)
			}
			if reason != Wanted {
				if pair.Union.Delivered || string(reason) != pair.Union.Reason {
					t.Fatalf("not wanted because of %q, want %+v", reason, pair.Union)
				}
				return
			}
			r, err := c.Render(sampleInput(m))
			if skip, ok := errors.AsType[*Skip](err); ok {
				if pair.Union.Delivered || !strings.HasPrefix(pair.Union.Reason, skip.Reason) {
					t.Fatalf("skipped because of %q, want %+v", skip.Reason, pair.Union)
				}
				return
			}
			if err != nil || !pair.Union.Delivered {
				t.Fatalf("sent %s, %v; want %+v", r.Body, err, pair.Union)
			}
			comparePairBody(t, w, m, r.Body, pair.Union.Body)
		})
	}
}

func comparePairBody(t *testing.T, w *iot.Webhook, m *iot.Message, got, want []byte) {
	t.Helper()
	if !equalJSON(t, got, want) {
		t.Errorf("body\n%s\nwant\n%s", got, want)
	}
	part := []byte(m.Payload)
	if w.PayloadOnly && w.Channel != "" && gjson.GetBytes(part, "webhook_channel").Exists() {
		part = []byte(gjson.GetBytes(part, "webhook_payload").Raw)
	}
	switch {
	case w.PayloadOnly && !bytes.Equal(got, part):
		t.Errorf("body %s is not the bytes that came, %s", got, part)
	case !w.PayloadOnly && !bytes.Contains(got, append([]byte(`"payload":`), part...)):
		t.Errorf("body %s does not hold the bytes that came, %s", got, part)
	}
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "iottly", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(strings.NewReader(string(raw))).Decode(into); err != nil {
		t.Fatal(err)
	}
}

func equalJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var texts [2]string
	for i, raw := range [][]byte{a, b} {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%v in %s", err, raw)
		}
		text, err := json.Marshal(v) // sorts the keys
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	return texts[0] == texts[1]
}
