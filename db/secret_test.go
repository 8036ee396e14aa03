package db_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

func TestNoSecretIsStoredInClear(t *testing.T) {
	w := open(t)
	canary := func(name string) iot.Secret { return iot.Secret("canary-" + name + "-0123456789abcdef") }
	h := &iot.Webhook{ProjectKey: w.project.Key, Description: "Secrets", URL: "https://erp.example/hook", Format: iot.Envelope,
		MessageTypes: iot.Routes{iot.User: {}}, Settings: iot.DefaultSettings(),
		Headers: []iot.Header{{Name: "X-Known-Name", Value: canary("header"), Secret: true},
			{Name: "X-Plain", Value: canary("plain-header")}},
		DownlinkKey: canary("downlink"), SigningSecrets: []iot.Secret{canary("signing")}, Signed: true,
		Hidden:         map[string][]iot.Secret{iot.HiddenURL: {canary("url")}, iot.HiddenPath(iot.User): {canary("path"), ""}},
		TemplateFields: map[string]iot.TemplateValue{"token": {Value: canary("field"), Secret: true}, "open": {Value: canary("open-field")}}}
	must(t, w.CreateWebhook(h, actor))
	h.SigningSecrets = append([]iot.Secret{canary("rotated")}, h.SigningSecrets...)
	must(t, w.UpdateWebhook(h, actor, "rotated"))
	must(t, w.SetDeviceKey(w.device, canary("device"), actor))
	must(t, w.CreateAPIKey(&iot.APIKey{ID: strings.Repeat("A", 39), ProjectKey: w.project.Key, Name: "k", Rights: iot.SendMessages},
		canary("api-key"), actor))
	hash, err := iot.NewPasswords().Hash(t.Context(), canary("password"), "")
	must(t, err)
	must(t, w.SetPassword(w.account.Key, hash, nil, actor))
	must(t, w.SaveSession(canary("session"), db.Session{AccountKey: w.account.Key, Data: "data",
		ExpiresAt: iot.At(time.Now()).Add(time.Hour)}))
	_, err = w.CreateToken(canary("token"), w.account.Key, time.Hour)
	must(t, err)

	got, err := w.Webhook(t.Context(), w.project.Key, h.ID)
	must(t, err)
	if got.Headers[0].Value != canary("header") || got.DownlinkKey != canary("downlink") || len(got.SigningSecrets) != 2 ||
		got.SigningSecrets[0] != canary("rotated") || got.SigningSecrets[1] != canary("signing") {
		t.Error("the webhook's secrets did not come back")
	}
	if !reflect.DeepEqual(got.Hidden, h.Hidden) || !reflect.DeepEqual(got.TemplateFields, h.TemplateFields) {
		t.Error("what a template put in did not come back")
	}
	if key, err := w.DeviceKey(t.Context(), w.device); err != nil || key != canary("device") {
		t.Errorf("the device's key did not come back: %v", err)
	}
	if a, err := w.TokenAccount(t.Context(), canary("token")); err != nil || a.Key != w.account.Key {
		t.Errorf("the token opens nothing: %v", err)
	}
	if s, err := w.Session(t.Context(), canary("session")); err != nil || s.AccountKey != w.account.Key {
		t.Errorf("the session is not found: %v", err)
	}
	look := func(when string) {
		files, err := filepath.Glob(w.Path() + "*")
		must(t, err)
		for _, file := range files {
			b, err := os.ReadFile(file)
			must(t, err)
			if bytes.Contains(b, []byte("canary-")) {
				i := bytes.Index(b, []byte("canary-"))
				t.Errorf("%s, %s holds %q", when, filepath.Base(file), b[i:min(len(b), i+40)])
			}
		}
	}
	look("running")
	must(t, w.Close())
	look("closed")
	if b := read(t, w.Path()); !bytes.Contains(b, []byte("https://erp.example/hook")) {
		t.Error("the file does not even hold what is no secret: the test looks at the wrong one")
	}
}

func TestTheWrongKeyFileIsRefused(t *testing.T) {
	w := open(t)
	must(t, w.Close())
	folder := filepath.Dir(w.Path())
	file := filepath.Join(folder, db.KeyFileName)
	right := read(t, file)
	for name, c := range map[string]struct{ content, want string }{
		"another key": {strings.Repeat("ab", 32), "the key file is not the one"},
		"too short":   {"abcdef", "must hold 64 hex digits"},
		"empty":       {"", "must hold 64 hex digits"},
		"not hex":     {strings.Repeat("x", 64), "must hold 64 hex digits"},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.WriteFile(file, []byte(c.content), 0o600))
			_, err := db.Open(t.Context(), db.Options{Folder: folder})
			if iot.CodeOf(err) != iot.Unavailable || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	must(t, os.Remove(file))
	if _, err := db.Open(t.Context(), db.Options{Folder: folder}); iot.CodeOf(err) != iot.Unavailable ||
		!strings.Contains(err.Error(), "is missing") {
		t.Errorf("without its key file: %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a new key was made beside an old database")
	}
	must(t, os.WriteFile(file, right, 0o600))
	d, err := db.Open(t.Context(), db.Options{Folder: folder})
	must(t, err)
	must(t, d.Close())
}

func TestTheKeyFileIsItsOwnersAlone(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	d, err := db.Open(t.Context(), db.Options{Folder: folder})
	must(t, err)
	must(t, d.Close())
	for name, want := range map[string]os.FileMode{db.KeyFileName: 0o600, "": 0o700} {
		info, err := os.Stat(filepath.Join(folder, name))
		must(t, err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has the mode %o, want %o", name, got, want)
		}
	}
}
