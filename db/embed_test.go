package db_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

func TestALinkToALogIsSignedAndEnds(t *testing.T) {
	w, c := openAt(t)
	link := func(webhook int64) (*iot.Embed, iot.Secret) {
		e := &iot.Embed{ProjectKey: w.project.Key, WebhookKey: webhook, Name: "Portal",
			Origins: []string{"https://portal.example", "http://localhost:8000"}, ExpiresAt: iot.At(c.now().Add(time.Hour))}
		token, err := w.CreateEmbed(e, actor)
		must(t, err)
		return e, token
	}
	e, token := link(w.webhook.Key)
	all, allToken := link(0)
	got, err := w.EmbedByToken(t.Context(), token.Reveal())
	if err != nil || got.ID != e.ID || got.Webhook != w.webhook.ID || !slices.Equal(got.Origins, e.Origins) || got.CreatedBy != actor {
		t.Fatalf("it is %+v, %v", got, err)
	}
	refused := func(token string, code iot.Code, words string) {
		t.Helper()
		if _, err := w.EmbedByToken(t.Context(), token); iot.CodeOf(err) != code || !strings.Contains(err.Error(), words) {
			t.Errorf("%v, want %s with %q", err, code, words)
		}
	}
	text := token.Reveal()
	for i := 0; i < len(text); i += 7 {
		other := "A"
		if text[i] == 'A' {
			other = "B"
		}
		refused(text[:i]+other+text[i+1:], iot.NotFound, "altered")
	}
	refused(text[:len(text)-1], iot.NotFound, "incomplete")
	refused("", iot.NotFound, "incomplete")
	must(t, w.RevokeEmbed(t.Context(), w.project.Key, all.ID, "bob@example.org"))
	refused(allToken.Reveal(), iot.Forbidden, "revoked")
	if err := w.RevokeEmbed(t.Context(), w.project.Key, all.ID, actor); iot.CodeOf(err) != iot.Conflict {
		t.Errorf("a second revocation: %v", err)
	}
	if err := w.RevokeEmbed(t.Context(), w.project.Key+1, e.ID, actor); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("from another project: %v", err)
	}
	log, err := w.Audit(t.Context(), db.AuditFilter{ProjectKey: w.project.Key, Limit: 3})
	must(t, err)
	if log.Items[0].Action != "embed.revoke" || log.Items[0].Actor != "bob@example.org" || log.Items[1].Action != "embed.create" ||
		log.Items[1].Subject != "Portal" {
		t.Errorf("the audit log says %+v", log)
	}
	c.forward(time.Hour)
	refused(text, iot.Forbidden, "expired on 15 January 2027")
	c.forward(31 * 24 * time.Hour)
	if list, err := w.Embeds(t.Context(), w.project.Key); err != nil || len(list) != 0 {
		t.Errorf("%d are listed, %v", len(list), err)
	}
	// The link is not in the file, and another key makes other links.
	must(t, w.Close())
	other, err := db.Open(t.Context(), db.Options{Folder: t.TempDir()}) // has its own key
	must(t, err)
	defer func() { must(t, other.Close()) }()
	if _, err := other.EmbedByToken(t.Context(), text); iot.CodeOf(err) != iot.NotFound || !strings.Contains(err.Error(), "altered") {
		t.Errorf("another host says %v", err)
	}
	d, err := db.Open(t.Context(), db.Options{Folder: filepath.Dir(w.Path())})
	must(t, err)
	defer func() { must(t, d.Close()) }()
	if n, err := d.CountOn(t.Context(), `SELECT count(*) FROM embeds e JOIN audit a WHERE e.name LIKE $1 OR e.origins LIKE $1 OR a.subject `+
		`LIKE $1 OR a.detail LIKE $1`, "%"+text[30:]+"%"); err != nil || n != 0 {
		t.Errorf("the link is stored: %d, %v", n, err)
	}
}

func TestALinkOfWhatWasDeletedShowsNothing(t *testing.T) {
	w, c := openAt(t)
	end := iot.At(c.now().Add(time.Hour))
	token, err := w.CreateEmbed(&iot.Embed{ProjectKey: w.project.Key, WebhookKey: w.webhook.Key, Name: "A",
		Origins: []string{"https://a.example"}, ExpiresAt: end}, actor)
	must(t, err)
	must(t, w.DeleteWebhook(w.webhook, actor))
	if _, err := w.EmbedByToken(t.Context(), token.Reveal()); iot.CodeOf(err) != iot.NotFound || !strings.Contains(err.Error(), "deleted") {
		t.Errorf("of a deleted webhook: %v", err)
	}
	for field, e := range map[string]iot.Embed{
		"name":       {Origins: []string{"https://a.example"}, ExpiresAt: end},
		"origins":    {Name: "A", ExpiresAt: end},
		"expires_at": {Name: "A", Origins: []string{"https://a.example"}, ExpiresAt: iot.At(c.now())},
	} {
		e.ProjectKey = w.project.Key
		if _, err := w.CreateEmbed(&e, actor); iot.CodeOf(err) != iot.Invalid || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	gone := &iot.Embed{ProjectKey: w.project.Key, WebhookKey: w.webhook.Key, Name: "A", Origins: []string{"https://a.example"}, ExpiresAt: end}
	if _, err := w.CreateEmbed(gone, actor); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("to a deleted webhook: %v", err)
	}
}
