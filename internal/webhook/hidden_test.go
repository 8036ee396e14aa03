package webhook

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

// hiddenWebhook has secrets in its URL and in a path, one of them a single letter.
func hiddenWebhook() *iot.Webhook {
	w := sampleWebhook()
	w.URL = "https://h/in/•••/{devID}?k=•••"
	w.MessageTypes = iot.Routes{iot.User: {Path: "/•••/x?p=•••"}, iot.Iottly: {Path: "/open"}}
	w.Hidden = map[string][]iot.Secret{
		iot.HiddenURL:            {"tok%2Fen", "a"},
		iot.HiddenPath(iot.User): {"pathsecret", "in"},
	}
	w.TemplateFields = map[string]iot.TemplateValue{"token": {Value: "tok/en", Secret: true}}
	return w
}

func TestHiddenSecretsAreSentAndMasked(t *testing.T) {
	w := hiddenWebhook()
	if err := Check(w, iot.Limits{Headers: 5}, true); err != nil {
		t.Fatal(err)
	}
	r := mustRender(t, w, sampleInput(sampleMessage()))
	if want := "https://h/in/tok%2Fen/dev1/pathsecret/x?k=a&p=in"; r.URL != want {
		t.Errorf("sent to %s, want %s", r.URL, want)
	}
	if got, want := r.MaskedURL(), "https://h/in/•••/dev1/•••/x?k=•••&p=•••"; got != want {
		t.Errorf("shown as %s, want %s", got, want)
	}
	if got := r.Mask("no pathsecret, no tok%2Fen, no tok/en, no a, but an apple"); got != "no •••, no •••, no •••, no "+
		"•••, but an apple" {
		t.Errorf("an answer is shown as %s", got)
	}
	m := sampleMessage()
	m.Type = iot.Iottly
	if got, want := mustRenderMessage(t, w, m).MaskedURL(), "https://h/in/•••/dev1/open?k=•••"; got != want {
		t.Errorf("shown as %s, want %s", got, want)
	}
}

func mustRenderMessage(t *testing.T, w *iot.Webhook, m *iot.Message) *Request {
	t.Helper()
	r := mustRender(t, w, sampleInput(m))
	return &r
}

func TestChangedMasksKeepOrLoseTheirSecrets(t *testing.T) {
	for _, c := range []struct {
		name, url, path string
		fault           string // field, "" for none
		kept            []string
	}{
		{"untouched", "https://h/in/•••/{devID}?k=•••", "/•••/x?p=•••", "", []string{"message_types.user.path", "url"}},
		{"moved", "https://h/other/•••?k=•••", "/•••/•••", "", []string{"message_types.user.path", "url"}},
		{"typed anew", "https://h/in/new?k=1", "/•••/x?p=•••", "", []string{"message_types.user.path"}},
		{"path typed anew", "https://h/in/•••/{devID}?k=•••", "/up", "", []string{"url"}},
		{"one of two", "https://h/in/•••", "/up", "url", nil},
		{"three of two", "https://h/•••/•••/•••", "/up", "url", nil},
		{"a path without", "https://h/", "/•••", "message_types.user.path", nil},
		{"to another host", "https://evil/in/•••/{devID}?k=•••", "/up", "url", nil},
		{"to another port", "https://h:444/in/•••/{devID}?k=•••", "/up", "url", nil},
		{"path to another host", "https://evil/in", "/•••/x?p=•••", "message_types.user.path", nil},
		{"to another host without", "https://evil/in", "/up", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			was := hiddenWebhook()
			w := was.Clone()
			w.URL, w.MessageTypes = c.url, iot.Routes{iot.User: {Path: c.path}}
			err := CheckChange(w, was, iot.Limits{Headers: 5}, true)
			if c.fault != "" {
				if !hasFault(err, c.fault) {
					t.Errorf("got %v, want a fault of %s", err, c.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if kept := slices.Sorted(maps.Keys(w.Hidden)); !slices.Equal(kept, c.kept) {
				t.Errorf("kept %v, want %v", kept, c.kept)
			}
			if _, err := Compile(w); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHiddenLoginBecomesAHeader(t *testing.T) {
	w := sampleWebhook()
	w.URL = "https://me:•••@h:8443/•••"
	w.Hidden = map[string][]iot.Secret{iot.HiddenURL: {"pass", "more"}}
	if err := Check(w, iot.Limits{Headers: 5}, true); err != nil {
		t.Fatal(err)
	}
	full, ok := w.FullURL()
	if w.URL != "https://h:8443/•••" || !ok || full != "https://h:8443/more" {
		t.Errorf("the URL is %s, in full %s", w.URL, full)
	}
	if len(w.Headers) != 1 || !w.Headers[0].Secret || w.Headers[0].Value.Reveal() != "Basic bWU6cGFzcw==" {
		t.Errorf("headers are %+v", w.Headers)
	}
}

func TestSecretsThatCannotBeShownApartAreMaskedTogether(t *testing.T) {
	w := sampleWebhook()
	w.URL = "https://h/a%•••"
	w.Hidden = map[string][]iot.Secret{iot.HiddenURL: {"41bc"}}
	r := mustRender(t, w, sampleInput(sampleMessage()))
	if r.URL != "https://h/a%41bc" || r.MaskedURL() != "https://h/•••" {
		t.Errorf("sent to %s, shown as %s", r.URL, r.MaskedURL())
	}
}

func TestOnlyWhatIsThereMayBeMoreThanTheLimit(t *testing.T) {
	limits := iot.Limits{Headers: 5}
	for _, c := range []struct {
		stored, changed int
		ok              bool
	}{{6, 6, true}, {6, 5, true}, {6, 7, false}, {3, 5, true}, {3, 6, false}, {50, 50, true}, {50, 51, false}} {
		was := sampleWebhook()
		was.Template, was.Headers = "some", manyHeaders(c.stored)
		w := was.Clone()
		w.Headers, w.MessageTypes = manyHeaders(c.changed), nil
		if err := CheckChange(w, was, limits, true); (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "headers") {
			t.Errorf("from %d to %d headers: %v", c.stored, c.changed, err)
		}
	}
	was := sampleWebhook()
	w := was.Clone()
	w.MessageTypes = nil
	if err := CheckChange(w, was, limits, true); !hasFault(err, "message_types") {
		t.Errorf("a person's own webhook without a type: %v", err)
	}
}
