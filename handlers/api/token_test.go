package api_test

import (
	"net/http"
	"testing"
	"time"

	"thingpost/handlers/api"
	"thingpost/internal/iot"
)

const tokens = api.Prefix + "/tokens"

func TestTokenActsForTenHours(t *testing.T) {
	w := newWorld(t)
	w.setPassword()
	var v struct {
		Token     string      `json:"token"`
		ExpiresAt iot.Instant `json:"expires_at"`
	}
	w.ok(201, "POST", tokens, "", `{"email":"Ada@Example.org","password":"`+password+`"}`).into(t, &v)
	if want := iot.At(w.clock().Add(10 * time.Hour)); v.ExpiresAt != want {
		t.Errorf("expires at %s, want %s", v.ExpiresAt, want)
	}
	w.ok(200, "GET", base, v.Token, "")
	w.pass(10*time.Hour - time.Second)
	w.ok(200, "GET", base, v.Token, "")
	w.pass(2 * time.Second)
	w.refused(iot.Unauthorized, "GET", base, v.Token, "")
}

func TestWrongPasswordsAreSlowedDown(t *testing.T) {
	w := newWorld(t)
	w.setPassword()
	wrong, right := `{"email":"ada@example.org","password":"not the password"}`, `{"email":"ada@example.org","password":"`+password+`"}`
	w.refused(iot.Unauthorized, "POST", tokens, "", `{"email":"nobody@example.org","password":"whatever it is"}`)
	for range 10 {
		w.refused(iot.Unauthorized, "POST", tokens, "", wrong)
	}
	a := w.ok(429, "POST", tokens, "", right)
	if a.header.Get("Retry-After") == "" || a.fault(t).Code != iot.RateLimited {
		t.Errorf("%v %s", a.header, a.body)
	}
	elsewhere := func(r *http.Request) { r.RemoteAddr = "[2001:db8::1]:4000" }
	if a := w.send("POST", tokens, "", right, elsewhere); a.status != 201 {
		t.Errorf("another address: %d, want 201: it has guessed nothing", a.status)
	}
	w.pass(11 * time.Second)
	w.ok(201, "POST", tokens, "", right)
	// The right password clears the wrong ones.
	for range 3 {
		w.refused(iot.Unauthorized, "POST", tokens, "", wrong)
	}
}

func TestKeyCannotMakeAStrongerOne(t *testing.T) {
	w := newWorld(t)
	weak := w.key(w.project, iot.ManageKeys|iot.ReadTraffic)
	w.refused(iot.Forbidden, "POST", base+"/keys", weak, `{"name":"k","rights":["RIGHT_APPLICATION_ALL"]}`, "rights")
	w.refused(iot.Forbidden, "POST", base+"/keys", weak, `{"name":"k","rights":["RIGHT_APPLICATION_TRAFFIC_READ",`+
		`"RIGHT_APPLICATION_DEVICES_READ"]}`, "rights")
	var v struct{ ID, Key string }
	w.ok(201, "POST", base+"/keys", weak, `{"name":"k","rights":["RIGHT_APPLICATION_TRAFFIC_READ"],"expires_at":"2026-11-02T09:00:00Z"}`).into(
		t, &v)
	if _, _, ok := iot.ParseAPIKey(v.Key); !ok {
		t.Fatalf("%q is no API key", v.Key)
	}
	w.ok(200, "GET", base+"/messages", v.Key, "")
	w.ok(204, "DELETE", base+"/keys/"+v.ID, w.admin, "")
	w.refused(iot.Unauthorized, "GET", base+"/messages", v.Key, "")
	w.refused(iot.NotFound, "DELETE", base+"/keys/"+v.ID, w.admin, "")
}

func TestRotatedAndDeletedKeysOpenNothing(t *testing.T) {
	w := newWorld(t)
	w.message(`{"payload":1}`)
	var v struct{ Key string }
	w.ok(200, "POST", base+"/devices/soil-probe-07/key", w.editor, "").into(t, &v)
	send := base + "/devices/soil-probe-07/messages"
	w.refused(iot.Unauthorized, "POST", send, w.deviceKey, `{"payload":1}`)
	w.ok(202, "POST", send, v.Key, `{"payload":1}`)
	w.ok(204, "DELETE", base+"/devices/soil-probe-07", w.editor, "")
	w.refused(iot.Unauthorized, "POST", send, v.Key, `{"payload":1}`)
	w.ok(204, "DELETE", base, w.admin, "")
	w.refused(iot.Unauthorized, "GET", base, w.fullKey, "")
	w.refused(iot.NotFound, "GET", base, w.owner, "")
}
