package iot_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

const canary = "canary-in-a-coal-mine"

func TestSecretsAreNeverShown(t *testing.T) {
	secret := iot.Secret(canary)
	hook := iot.Webhook{ID: "erp", DownlinkKey: secret, SigningSecrets: []iot.Secret{secret, secret},
		Headers: []iot.Header{{Name: "Authorization", Value: secret, Secret: true}}}
	account := iot.Account{Email: "ada@example.org", PasswordHash: secret}
	for name, v := range map[string]any{
		"secret": secret, "pointer": &secret, "list": []iot.Secret{secret}, "field": struct{ Key iot.Secret }{secret},
		"map": map[string]iot.Secret{"a": secret}, "header": hook.Headers[0], "webhook": hook, "webhook pointer": &hook,
		"account": account, "member": iot.Member{Account: account},
	} {
		t.Run(name, func(t *testing.T) {
			var shown []string
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				shown = append(shown, fmt.Sprintf(verb, v))
			}
			j, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			var text, lines bytes.Buffer
			slog.New(slog.NewTextHandler(&text, nil)).Info("test", slog.Any("value", v))
			slog.New(slog.NewJSONHandler(&lines, nil)).Info("test", slog.Any("value", v))
			for _, s := range append(shown, string(j), text.String(), lines.String()) {
				if strings.Contains(s, canary) || strings.Contains(s, fmt.Sprintf("%x", canary)) {
					t.Errorf("shown: %s", s)
				}
			}
		})
	}
	if secret.Reveal() != canary {
		t.Errorf("Reveal gives %q", secret.Reveal())
	}
}

func TestEmptySecretLooksEmpty(t *testing.T) {
	var none iot.Secret
	if b, err := json.Marshal(none); err != nil || string(b) != `""` || none.String() != "" {
		t.Errorf("an empty secret is %s, %q, %v", b, none.String(), err)
	}
	if b, err := json.Marshal(iot.Secret("x")); err != nil || string(b) != `"`+iot.Mask+`"` {
		t.Errorf("a secret is %s, %v", b, err)
	}
}

func TestHeaderJSON(t *testing.T) {
	for _, c := range []struct {
		header iot.Header
		want   string
	}{
		{iot.Header{Name: "X-Key", Value: canary, Secret: true}, `{"name":"X-Key","value":"•••","secret":true}`},
		{iot.Header{Name: "X-Kind", Value: "plain {devID}"}, `{"name":"X-Kind","value":"plain {devID}","secret":false}`},
	} {
		b, err := json.Marshal(c.header)
		if err != nil || string(b) != c.want {
			t.Errorf("encoded as %s, %v, want %s", b, err, c.want)
		}
	}
	var h iot.Header
	if err := json.Unmarshal([]byte(`{"name":"A","value":"b","secret":true}`), &h); err != nil ||
		h != (iot.Header{Name: "A", Value: "b", Secret: true}) {
		t.Errorf("read as %#v (%s), %v", h, h.Value.Reveal(), err)
	}
}
