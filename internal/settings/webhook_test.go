package settings_test

import (
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/internal/settings"
)

const actor = "ada@example.org"

type world struct {
	*db.DB
	*settings.Webhooks
	project *iot.Project
}

func open(t *testing.T) world {
	t.Helper()
	d, err := db.Open(t.Context(), db.Options{Folder: t.TempDir()})
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	a, o := &iot.Account{Email: actor, Name: "Ada", PasswordHash: "x"}, &iot.Organization{Name: "Acme"}
	must(t, d.SetUp(a, o))
	p := &iot.Project{OrganizationKey: o.Key, Name: "Greenhouse"}
	must(t, d.CreateProject(p, actor))
	return world{d, settings.New(d, time.Now), p}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// draft is a new webhook that Apply can change.
func (w world) draft(apply func(*iot.Webhook, *iot.Faults) error) settings.Draft {
	return settings.Draft{Webhook: &iot.Webhook{ProjectKey: w.project.Key, Description: "ERP", URL: "https://erp.example/in",
		MessageTypes: iot.Routes{iot.User: {}}, Settings: iot.DefaultSettings()}, Own: true, Apply: apply}
}

func change(h *iot.Webhook, apply func(h *iot.Webhook)) settings.Draft {
	return settings.Draft{Webhook: h, Own: true, Apply: func(h *iot.Webhook, _ *iot.Faults) error { apply(h); return nil }}
}

func withSecrets(h *iot.Webhook, _ *iot.Faults) error {
	h.Headers = []iot.Header{{Name: "X-Key", Value: "s3cr3t-value", Secret: true}}
	h.DownlinkKey, h.Signed = "downlink-key", true
	return nil
}

func (w world) lastAudit(t *testing.T) iot.AuditEntry {
	t.Helper()
	page, err := w.Audit(t.Context(), db.AuditFilter{ProjectKey: w.project.Key, Limit: 1})
	must(t, err)
	return page.Items[0]
}

// Stored secrets are masked while a door applies its change, and restored in the stored
// webhook.
func TestSecretsAreMaskedForTheDoorAndStay(t *testing.T) {
	w := open(t)
	made, err := w.Create(w.draft(withSecrets), actor)
	must(t, err)
	if len(made.SigningSecrets) != 1 || made.NewSecret != made.SigningSecrets[0] {
		t.Errorf("signing made %d secrets, and returned %q", len(made.SigningSecrets), made.NewSecret)
	}
	stored, err := w.Webhook(t.Context(), w.project.Key, made.ID)
	must(t, err)
	changed, err := w.Change(change(stored, func(h *iot.Webhook) {
		if h.Headers[0].Value != iot.Mask || h.DownlinkKey != iot.Mask {
			t.Error("the door sees a stored secret")
		}
		h.Channel = "alarms"
	}), actor)
	must(t, err)
	if changed.NewSecret != "" {
		t.Error("a change that leaves signing as it is made a secret")
	}
	again, err := w.Webhook(t.Context(), w.project.Key, made.ID)
	must(t, err)
	if again.Headers[0].Value != "s3cr3t-value" || again.DownlinkKey != "downlink-key" || again.SigningSecrets[0] != made.NewSecret ||
		again.Channel != "alarms" {
		t.Error("the change lost a secret, or itself")
	}
	if stored.Channel != "" || stored.Headers[0].Value != "s3cr3t-value" {
		t.Error("the draft's webhook was modified")
	}
	if e := w.lastAudit(t); e.Action != "webhook.update" || e.Detail != "channel" {
		t.Errorf("audit: %s %q", e.Action, e.Detail)
	}
}

func TestSecretsFollowToNoOtherHost(t *testing.T) {
	w := open(t)
	made, err := w.Create(w.draft(withSecrets), actor)
	must(t, err)
	_, err = w.Change(change(made.Webhook, func(h *iot.Webhook) { h.URL = "https://other.example/in" }), actor)
	if iot.CodeOf(err) != iot.Invalid {
		t.Fatalf("a change of the host took the secrets along: %v", err)
	}
	again, err := w.Webhook(t.Context(), w.project.Key, made.ID)
	must(t, err)
	if again.URL != made.URL {
		t.Error("a refused change was stored")
	}
}

// A copy's masks become the secrets of the original, but not on another host.
func TestACopyKeepsSecrets(t *testing.T) {
	w := open(t)
	original, err := w.Create(w.draft(withSecrets), actor)
	must(t, err)
	masked := func(url string) settings.Draft {
		d := w.draft(func(h *iot.Webhook, _ *iot.Faults) error {
			h.URL, h.DownlinkKey = url, iot.Mask
			h.Headers = []iot.Header{{Name: "X-Key", Value: iot.Mask, Secret: true}}
			return nil
		})
		d.Secrets = original.Webhook
		return d
	}
	if _, err := w.Create(masked("https://other.example/in"), actor); iot.CodeOf(err) != iot.Invalid {
		t.Errorf("a copy took secrets to another host: %v", err)
	}
	copied, err := w.Create(masked("https://erp.example/other"), actor)
	must(t, err)
	if copied.Headers[0].Value != "s3cr3t-value" || copied.DownlinkKey != "downlink-key" || copied.UUID == original.UUID {
		t.Error("the copy lacks a secret, or is the original")
	}
}

func TestSigningIsTurnedOnAndOff(t *testing.T) {
	w := open(t)
	made, err := w.Create(w.draft(nil), actor)
	must(t, err)
	if made.NewSecret != "" || len(made.SigningSecrets) != 0 {
		t.Error("a webhook that does not sign has a secret")
	}
	on, err := w.Change(change(made.Webhook, func(h *iot.Webhook) { h.Signed = true }), actor)
	must(t, err)
	secret, err := w.RotateSecret(on.Webhook, time.Hour, actor)
	must(t, err)
	stored, err := w.Webhook(t.Context(), w.project.Key, made.ID)
	must(t, err)
	if len(stored.SigningSecrets) != 2 || stored.SigningSecrets[0] != secret || stored.SigningSecrets[1] != on.NewSecret ||
		stored.OldSecretUntil == 0 {
		t.Errorf("after a rotation: %d secrets, the old one until %v", len(stored.SigningSecrets), stored.OldSecretUntil)
	}
	off, err := w.Change(change(stored, func(h *iot.Webhook) { h.Signed = false }), actor)
	must(t, err)
	if len(off.SigningSecrets) != 0 || off.OldSecretUntil != 0 {
		t.Error("signing was turned off and a secret stayed")
	}
}

// A door's own faults and those of the check are reported together, the door's first.
func TestFaultsAreReportedTogether(t *testing.T) {
	w := open(t)
	_, err := w.Create(w.draft(func(h *iot.Webhook, f *iot.Faults) error {
		h.URL, h.Description = "ftp://x", ""
		f.Add("description", "is the door's.")
		return nil
	}), actor)
	e, ok := err.(*iot.Error) //nolint:errorlint // the error itself, not one in its chain
	if !ok || e.Fields["description"] != "is the door's." || e.Fields["url"] == "" {
		t.Errorf("got %v", err)
	}
}

func TestAListIsCreatedWholeOrNotAtAll(t *testing.T) {
	w := open(t)
	bad := w.draft(func(h *iot.Webhook, _ *iot.Faults) error { h.URL = ""; return nil })
	if _, err := w.CreateAll([]settings.Draft{w.draft(nil), bad}, actor); iot.CodeOf(err) != iot.Invalid {
		t.Fatalf("got %v", err)
	}
	list, err := w.DB.Webhooks(t.Context(), w.project.Key)
	must(t, err)
	if len(list) != 0 {
		t.Errorf("%d of a refused list are stored", len(list))
	}
}

func TestATemplatesKeyTakesTheRightToSendDownlinks(t *testing.T) {
	w := open(t)
	template := &iot.Template{ID: "erp", CreateDownlinkKey: true}
	if _, err := w.CreateFromTemplate(w.draft(nil).Webhook, template,
		settings.Maker{Name: actor, Rights: iot.ChangeSettings}); iot.CodeOf(err) != iot.Forbidden {
		t.Fatalf("without the right: %v", err)
	}
	made, err := w.CreateFromTemplate(w.draft(nil).Webhook, template,
		settings.Maker{Name: actor, Rights: iot.ChangeSettings | iot.SendDownlinks})
	must(t, err)
	keys, err := w.APIKeys(t.Context(), w.project.Key)
	must(t, err)
	if len(keys) != 1 || keys[0].Rights != iot.SendDownlinks || made.DownlinkKey == "" {
		t.Errorf("%d keys", len(keys))
	}
}

func TestTheAuditLogNamesWhatChanged(t *testing.T) {
	w := open(t)
	made, err := w.Create(w.draft(nil), actor)
	must(t, err)
	changed, err := w.Change(change(made.Webhook, func(h *iot.Webhook) {
		h.URL, h.Signed, h.Settings.MaxInFlight = "https://erp.example/b",
			true, 3
	}), actor)
	must(t, err)
	if e := w.lastAudit(t); e.Detail != "url, signed, settings" {
		t.Errorf("audit: %q", e.Detail)
	}
	_, err = w.Change(change(changed.Webhook, func(*iot.Webhook) {}), actor)
	must(t, err)
	if e := w.lastAudit(t); e.Detail != "" {
		t.Errorf("audit of no change: %q", e.Detail)
	}
}
