package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"thingpost/internal/iot"
)

var update = flag.Bool("update", false, "write the golden files")

// goldenRequests are webhooks and messages by the name of their golden file.
func goldenRequests() map[string]func(*iot.Webhook, *Input) {
	return map[string]func(*iot.Webhook, *Input){
		"plain": func(*iot.Webhook, *Input) {},
		"fields": func(_ *iot.Webhook, in *Input) {
			in.Message.Fields = json.RawMessage(`{"from" : "dev1", "timestamp":{"$date":"2018-07-27T17:50:04.968Z"}, "channel":"al\u0061rms",` +
				`"extra":1.0}`)
			in.Message.Payload = json.RawMessage("{\"b\":1.00,\n  \"a\":12345678901234567890, \"ü\":\"\\u00fc\"}")
		},
		"payload": func(w *iot.Webhook, in *Input) {
			w.PayloadOnly = true
			in.Message.Payload = json.RawMessage(`"text"`)
		},
		"headers": func(w *iot.Webhook, in *Input) {
			w.Headers = []iot.Header{
				{Name: "content-type", Value: "text/plain"},
				{Name: "x-device", Value: "{devID} of {applicationID}, {nope} {{channel}} {fPort}."},
				{Name: "Authorization", Value: "Bearer {devEUI}", Secret: true},
				{Name: "user-agent", Value: "mine"},
			}
			in.Message.Channel = "alarms"
		},
		"signed": func(w *iot.Webhook, _ *Input) {
			w.Signed, w.SigningSecrets = true, []iot.Secret{sampleSecret}
		},
		"rotating": func(w *iot.Webhook, in *Input) {
			w.Signed, w.SigningSecrets = true, []iot.Secret{sampleSecret, "whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"}
			w.OldSecretUntil = iot.At(in.At) + 1
		},
		"downlink": func(w *iot.Webhook, _ *Input) {
			w.DownlinkKey = "NNSXS.AAAAAAAA.BBBBBBBB"
			w.Headers = []iot.Header{{Name: "X-Downlink-ApiKey", Value: "theirs"}, {Name: "X-Tts-Domain", Value: "theirs"}}
			w.URL = "https://h/a?key=NNSXS.AAAAAAAA.BBBBBBBB&dev={devID}"
		},
		"uplink": func(w *iot.Webhook, in *Input) {
			w.MessageTypes = iot.Routes{iot.UplinkMessage: {Path: "/up/{fPort}{?devAddr}"}}
			in.Message.Type = iot.UplinkMessage
			in.Message.Payload = json.RawMessage(`{"end_device_ids":{"device_id":"dev1"}, "uplink_message": {"f_port":15, "frm_payload":"AQ==",` +
				`"decoded_payload":{"big":1e+21}}}`)
		},
	}
}

// dump writes a request for people.
func dump(r Request) []byte {
	var b bytes.Buffer
	head := func(title, address string, lines iot.HeaderLines) {
		fmt.Fprintf(&b, "%s\n%s %s\n", title, r.Method, address)
		for _, h := range lines {
			fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
		}
	}
	head("# sent", r.URL, r.Headers)
	fmt.Fprintf(&b, "\n%s\n\n", r.Body)
	head("# shown", r.MaskedURL(), r.Masked())
	return b.Bytes()
}

func TestGoldenRequests(t *testing.T) {
	cases := goldenRequests()
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			w, in := sampleWebhook(), sampleInput(sampleMessage())
			cases[name](w, &in)
			r := mustRender(t, w, in)
			file := filepath.Join("testdata", "requests", name+".txt")
			if *update {
				if err := os.WriteFile(file, dump(r), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := dump(r); !bytes.Equal(got, want) {
				t.Errorf("%s is\n%s\nwant\n%s", file, got, want)
			}
		})
	}
}

func mustRender(t testing.TB, w *iot.Webhook, in Input) Request {
	t.Helper()
	c, err := Compile(w)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Render(in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func httpHeader(r Request) http.Header {
	h := http.Header{}
	for _, line := range r.Headers {
		h.Add(line.Name, line.Value)
	}
	return h
}

// TestSignature checks signatures with the standard's own library.
func TestSignature(t *testing.T) {
	old, fresh := NewSigningSecret(), NewSigningSecret()
	w := sampleWebhook()
	w.Signed, w.SigningSecrets, w.OldSecretUntil = true, []iot.Secret{fresh, old}, iot.At(testTime())+1000
	verifies := func(secret iot.Secret, r Request) bool {
		v, err := standardwebhooks.NewWebhook(secret.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		return v.VerifyIgnoringTimestamp(r.Body, httpHeader(r)) == nil
	}
	in := sampleInput(sampleMessage())
	r := mustRender(t, w, in)
	if !verifies(old, r) || !verifies(fresh, r) {
		t.Error("one of two secrets does not verify while both are valid")
	}
	if verifies(NewSigningSecret(), r) {
		t.Error("a stranger's secret verifies")
	}
	in.At = w.OldSecretUntil.Time()
	if r = mustRender(t, w, in); verifies(old, r) || !verifies(fresh, r) {
		t.Error("the old secret must stop signing when its time is over, the new one must not")
	}
	if got := httpHeader(r).Get("webhook-id"); got != in.Message.ID.String() {
		t.Errorf("webhook-id is %s, the message's id %s", got, in.Message.ID)
	}
	c, err := Compile(w)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // reused working memory must not keep data
		again, err := c.Render(in)
		if err != nil || !verifies(fresh, again) {
			t.Fatalf("a later signature does not verify: %v", err)
		}
	}
}

func TestBadSigningSecrets(t *testing.T) {
	for _, secrets := range [][]iot.Secret{
		nil, {""}, {"whsec_"}, {"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}, {"whsec_????"},
		{"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY="}, {sampleSecret, "whsec_x"},
		{iot.Secret("whsec_" + strings.Repeat("AAAA", 22))},
	} {
		w := sampleWebhook()
		w.Signed, w.SigningSecrets = true, secrets
		if _, err := Compile(w); iot.CodeOf(err) != iot.Invalid {
			t.Errorf("%d secrets: got %v", len(secrets), err)
		}
	}
}

func TestBodyOfPayloadOnly(t *testing.T) {
	const uplink = `{"uplink_message":{"frm_payload":"AQID","decoded_payload":`
	cases := []struct {
		name, channel string
		kind          iot.MessageType
		payload, want string
		contentType   string
		skipped       string
	}{
		{"null", "", iot.User, `null`, `null`, typeJSON, ""},
		{"no channel set", "", iot.User, `{"webhook_channel":"c","webhook_payload":1}`, `{"webhook_channel":"c","webhook_payload":1}`, typeJSON,
			""},
		{"channel in the payload", "c", iot.User, `{"webhook_channel":"c", "webhook_payload": [1.0, {"é":"\u00e9"} ] }`,
			`[1.0, {"é":"\u00e9"} ]`, typeJSON, ""},
		{"escaped keys", "c", iot.User, `{"webhook\u005fchannel":"\u0063","webhook_payl\u006fad":  "a\"b" }`, `"a\"b"`, typeJSON, ""},
		{"nothing inside", "c", iot.User, `{"webhook_channel":"c","webhook_payload":null}`, `null`, typeJSON, ""},
		{"none", "c", iot.User, `{"webhook_channel":"c","a":{"webhook_payload":1}}`, ``, "", "no payload.webhook_payload"},
		{"the message's own channel", "c", iot.User, `{"webhook_payload":1}`, `{"webhook_payload":1}`, typeJSON, ""},
		{"channel is no string", "c", iot.User, `{"webhook_channel":1,"webhook_payload":1}`, `{"webhook_channel":1,"webhook_payload":1}`,
			typeJSON, ""},
		{"decoded", "", iot.UplinkMessage, uplink + ` {"t":1.50} }}`, `{"t":1.50}`, typeJSON, ""},
		{"not decoded", "", iot.UplinkMessage, uplink + `null}}`, "\x01\x02\x03", typeBinary, ""},
		{"neither", "", iot.JoinAccept, `{"join_accept": {"session_key_id":"x"}}`, `{"session_key_id":"x"}`, typeJSON, ""},
		{"another type", "", iot.JoinAccept, `{"uplink_message":{}}`, ``, "", "no join_accept"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w, m := sampleWebhook(), sampleMessage()
			w.PayloadOnly, w.Channel, w.MessageTypes = true, c.channel, iot.Routes{c.kind: {}}
			m.Type, m.Payload = c.kind, json.RawMessage(c.payload)
			m.Channel, _ = iot.ChannelOf(m.Payload, c.channel)
			compiled, err := Compile(w)
			if err != nil {
				t.Fatal(err)
			}
			r, err := compiled.Render(sampleInput(m))
			skip, skipped := errors.AsType[*Skip](err)
			switch {
			case c.skipped != "":
				if !skipped || skip.Reason != c.skipped {
					t.Errorf("got %q, %v; want it skipped because of %q", r.Body, err, c.skipped)
				}
			case err != nil || string(r.Body) != c.want:
				t.Errorf("got %q, %v; want %q", r.Body, err, c.want)
			case httpHeader(r).Get("Content-Type") != c.contentType:
				t.Errorf("Content-Type is %s, want %s", httpHeader(r).Get("Content-Type"), c.contentType)
			}
		})
	}
}

func TestRenderRefuses(t *testing.T) {
	w, m := sampleWebhook(), sampleMessage()
	w.Headers = []iot.Header{{Name: "X-Channel", Value: "{channel}"}}
	for _, channel := range []string{"a\r\nHost: evil", "\x00", "\u0085", "a\tb"} {
		m.Channel = channel
		c, err := Compile(w)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Render(sampleInput(m)); !hasFault(err, "headers") {
			t.Errorf("channel %q in a header: %v", channel, err)
		}
	}
	m = sampleMessage()
	m.Type = iot.Iottly
	c, err := Compile(sampleWebhook())
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Render(sampleInput(m))
	if _, ok := errors.AsType[*Skip](err); !ok {
		t.Errorf("a type that the webhook no longer takes: %v, want it skipped", err)
	}
}

func TestCompileRefusesWhatCheckDoes(t *testing.T) {
	for name, change := range map[string]func(*iot.Webhook){
		"no url":        func(w *iot.Webhook) { w.URL = "" },
		"path":          func(w *iot.Webhook) { w.MessageTypes = iot.Routes{iot.User: {Path: "//evil"}} },
		"header name":   func(w *iot.Webhook) { w.Headers = []iot.Header{{Name: "a b", Value: "c"}} },
		"our header":    func(w *iot.Webhook) { w.Headers = []iot.Header{{Name: "host", Value: "c"}} },
		"header value":  func(w *iot.Webhook) { w.Headers = []iot.Header{{Name: "a", Value: "c\r\nd: e"}} },
		"fifty-one own": func(w *iot.Webhook) { w.Headers = manyHeaders(51) },
	} {
		w := sampleWebhook()
		change(w)
		if _, err := Compile(w); iot.CodeOf(err) != iot.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMaskedURL(t *testing.T) {
	w := sampleWebhook()
	w.URL = "https://h/tok%2Fen-123/a?key=tok%2Fen-123&short=abc"
	w.Headers = []iot.Header{
		{Name: "Authorization", Value: "Bearer tok/en-123", Secret: true},
		{Name: "X-Short", Value: "abc", Secret: true},
		{Name: "X-Open", Value: "https://h/", Secret: false},
	}
	r := mustRender(t, w, sampleInput(sampleMessage()))
	if got, want := r.MaskedURL(), "https://h/•••/a?key=•••&short=abc"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSecretsWithVariablesAreMaskedAsTheyWereSent(t *testing.T) {
	w := sampleWebhook()
	w.Headers = []iot.Header{{Name: "X-Key", Value: "k-{devID}-9", Secret: true}, {Name: "X-Pin", Value: "1234", Secret: true}}
	r := mustRender(t, w, sampleInput(sampleMessage()))
	if got, want := r.Mask(`{"key":"k-dev1-9","pin":1234,"at":12345}`), `{"key":"•••","pin":•••,"at":12345}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func manyHeaders(n int) []iot.Header {
	var list []iot.Header
	for i := range n {
		list = append(list, iot.Header{Name: fmt.Sprintf("X-%d", i), Value: "v", Secret: true})
	}
	return list
}

func TestMaskCoversTheLastOfFiftyHeaders(t *testing.T) {
	w := sampleWebhook()
	w.Headers, w.DownlinkKey = manyHeaders(50), "downlink-key"
	r := mustRender(t, w, sampleInput(sampleMessage()))
	hidden := 0
	for _, h := range r.Masked() {
		if h.Value == iot.Mask {
			hidden++
		}
	}
	if hidden != 51 || r.Headers[49].Value != "v" {
		t.Errorf("%d values masked, want 51; the request itself has %q", hidden, r.Headers[49].Value)
	}
}

// FuzzEnvelope checks that an envelope is JSON that keeps the payload's bytes and every
// received field.
func FuzzEnvelope(f *testing.F) {
	f.Add(`{"from":"x","\u0074o":null}`, `{"a":1.0}`)
	f.Add(`{"type":"user","type":"iottly", "timestamp" : [1, {"a":"}"}]}`, `"\u0000"`)
	f.Add(``, ` null`)
	f.Add(`{}`, `[]`)
	f.Fuzz(func(t *testing.T, fields, payload string) {
		var came map[string]json.RawMessage
		if !json.Valid([]byte(payload)) || fields != "" && json.Unmarshal([]byte(fields), &came) != nil || fields == "null" {
			return
		}
		if _, ok := came["payload"]; ok {
			return
		}
		m := sampleMessage()
		m.Fields, m.Payload = json.RawMessage(strings.TrimSpace(fields)), json.RawMessage(payload)
		body := mustRender(t, sampleWebhook(), sampleInput(m)).Body
		var got struct{ Msg map[string]json.RawMessage }
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		if !bytes.HasSuffix(body, []byte(`"payload":`+payload+"}}")) {
			t.Fatalf("%s does not end with the payload %s", body, payload)
		}
		for _, name := range []string{"from", "to", "timestamp", "devicetimestamp", "type"} {
			if _, ok := got.Msg[name]; !ok {
				t.Fatalf("%s has no %s", body, name)
			}
		}
		for name, value := range came {
			if string(got.Msg[name]) != string(value) {
				t.Fatalf("%s is %s, came as %s", name, got.Msg[name], value)
			}
		}
	})
}

// FuzzHeader checks that no saved header and no device data makes a header line that
// net/http would not send unchanged.
func FuzzHeader(f *testing.F) {
	f.Add("X-A", "{channel}", "a\r\nb: c")
	f.Add("a b", "{{channel}", "é")
	f.Add("content-length", "{nope", "}")
	f.Fuzz(func(t *testing.T, name, value, channel string) {
		w, m := sampleWebhook(), sampleMessage()
		w.Headers = []iot.Header{{Name: name, Value: iot.Secret(value)}}
		if Check(w, iot.Limits{Headers: 5}, true) != nil {
			return
		}
		c, err := Compile(w)
		if err != nil {
			t.Fatalf("saved %q: %q, but %v", name, value, err)
		}
		m.Channel = channel
		r, err := c.Render(sampleInput(m))
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, h := range r.Headers {
			if !isToken(h.Name) || iot.HasControl(h.Value) || seen[h.Name] || h.Name == "Content-Length" || h.Name == "Host" {
				t.Fatalf("header %q: %q", h.Name, h.Value)
			}
			seen[h.Name] = true
		}
	})
}
