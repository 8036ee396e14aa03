package iot_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

func TestPasswords(t *testing.T) {
	p := iot.NewPasswords()
	const word = "correct horse battery"
	hash, err := p.Hash(t.Context(), word, "")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash.Reveal(), "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(hash.Reveal(), word) {
		t.Errorf("the hash is %s", hash.Reveal())
	}
	if again, err := p.Hash(t.Context(), word, ""); err != nil || again == hash {
		t.Errorf("one password has the same hash twice: there is no salt (%v)", err)
	}
	long := iot.Secret(strings.Repeat("x", iot.MaxPassword+1))
	for name, c := range map[string]struct {
		hash, password iot.Secret
		want           bool
	}{
		"right":     {hash, word, true},
		"wrong":     {hash, word + "!", false},
		"empty":     {hash, "", false},
		"too long":  {hash, long, false},
		"no hash":   {"", word, false},
		"odd hash":  {"x", "", false},
		"bcrypt":    {"$2a$10$abcdefghijklmnopqrstuv", word, false},
		"cut hash":  {hash[:len(hash)-4], word, false},
		"bad salt":  {"$argon2id$v=19$m=19456,t=2,p=1$!!$" + hash[strings.LastIndex(hash.Reveal(), "$")+1:], word, false},
		"no passes": {iot.Secret(strings.Replace(hash.Reveal(), "t=2", "t=0", 1)), word, false},
		"giant":     {iot.Secret(strings.Replace(hash.Reveal(), "m=19456", "m=99999999", 1)), word, false},
		"all zero":  {"$argon2id$v=19$m=19456,t=2,p=1$$", word, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := p.Check(t.Context(), c.hash, c.password)
			if err != nil || got != c.want {
				t.Errorf("Check = %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestPasswordsRefuseTheirBounds(t *testing.T) {
	p := iot.NewPasswords()
	for _, bad := range []iot.Secret{"", "123456789", "ääääääääa", iot.Secret(strings.Repeat("x", iot.MaxPassword+1))} {
		_, err := p.Hash(t.Context(), bad, "")
		if e, ok := errors.AsType[*iot.Error](err); !ok || e.Fields["password"] == "" {
			t.Errorf("a password of %d bytes: %v", len(bad), err)
		}
	}
}

func TestPasswordsGiveUpWithTheirContext(t *testing.T) {
	p := iot.NewPasswords()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// A free slot and an ended context are both ready, so the second is chosen sooner
	// or later. The result must never be a wrong answer.
	for range 20 {
		if ok, err := p.Check(ctx, "x", "y"); ok || err != nil && iot.CodeOf(err) != iot.Unavailable {
			t.Fatalf("Check = %v, %v", ok, err)
		}
	}
}

func TestKeysHaveTheirForms(t *testing.T) {
	id, secret, text := iot.NewAPIKey()
	parts := strings.Split(text.Reveal(), ".")
	if len(parts) != 3 || parts[0] != "NNSXS" || len(parts[1]) != 39 || len(parts[2]) != 52 || parts[1] != id || parts[2] != secret.Reveal() {
		t.Errorf("an API key is %s", text.Reveal())
	}
	if strings.Trim(parts[1]+parts[2], "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		t.Errorf("an API key holds other letters than base32's: %s", text.Reveal())
	}
	if gotID, gotSecret, ok := iot.ParseAPIKey(text.Reveal()); !ok || gotID != id || gotSecret != secret {
		t.Errorf("it was read as %s, %s, %v", gotID, gotSecret.Reveal(), ok)
	}
	whole := text.Reveal()
	for _, bad := range []string{"", "NNSXS.", whole[1:], whole[:len(whole)-1], whole + "A", strings.ToLower(whole),
		strings.Replace(whole, ".", "", 1), strings.Replace(whole, "NNSXS.", "NNSXS..", 1)} {
		if _, _, ok := iot.ParseAPIKey(bad); ok {
			t.Errorf("%q is taken for an API key", bad)
		}
	}
	for prefix, key := range map[string]func() iot.Secret{"tpd_": iot.NewDeviceKey, "tpt_": iot.NewToken} {
		a, b := key().Reveal(), key().Reveal()
		if a == b || !strings.HasPrefix(a, prefix) || len(a) < 40 || strings.Trim(a, "abcdefghijklmnopqrstuvwxyz234567_") != "" {
			t.Errorf("keys with %s are %s and %s", prefix, a, b)
		}
	}
}

func TestCheckEmail(t *testing.T) {
	for email, ok := range map[string]bool{
		"ada@example.org": true, "a.b+c@x.co": true, "ö@exämple.org": true,
		"": false, "ada": false, "@example.org": false, "ada@": false, "ada@x": false, "a b@example.org": false, "a@b@example.org": false,
		"ada@example.org\n": false, "<ada@example.org>": false, "a@x.co,b@x.co": false, strings.Repeat("a", 250) + "@example.org": false,
	} {
		if err := iot.CheckEmail(email); ok != (err == nil) {
			t.Errorf("CheckEmail(%q) = %v", email, err)
		}
	}
}

func TestUpdatesAreChecked(t *testing.T) {
	text := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		err   error
		field string
	}{
		"device name":     {iot.DeviceUpdate{Name: text(strings.Repeat("ä", 1025))}.Check(), "name"},
		"dev_eui":         {iot.DeviceUpdate{DevEUI: text("70B3D57ED005ABC")}.Check(), "dev_eui"},
		"dev_eui lower":   {iot.DeviceUpdate{DevEUI: text("70b3d57ed005abcd")}.Check(), "dev_eui"},
		"join_eui":        {iot.DeviceUpdate{JoinEUI: text("70B3D57ED005ABCDE")}.Check(), "join_eui"},
		"dev_addr":        {iot.DeviceUpdate{DevAddr: text("2601150G")}.Check(), "dev_addr"},
		"project name":    {iot.ProjectUpdate{Name: text("")}.Check(), "name"},
		"profile name":    {iot.ProfileUpdate{Name: text(strings.Repeat("x", 1025))}.Check(), "name"},
		"nothing":         {iot.DeviceUpdate{}.Check(), ""},
		"empty is a name": {iot.DeviceUpdate{Name: text(""), DevEUI: text(""), DevAddr: text("")}.Check(), ""},
		"good": {iot.DeviceUpdate{Name: text(strings.Repeat("ä", 1024)), DevEUI: text("70B3D57ED005ABCD"),
			DevAddr: text("2601150F")}.Check(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			e, ok := errors.AsType[*iot.Error](c.err)
			if c.field == "" && c.err != nil || c.field != "" && (!ok || e.Fields[c.field] == "") {
				t.Errorf("got %v, want a fault of %q", c.err, c.field)
			}
		})
	}
}
