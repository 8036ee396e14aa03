package dashboard

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
)

func TestSignIn(t *testing.T) {
	w := openWorld(t)
	c := w.anonymous()
	p := c.get("/sign-in").is(200)
	p.has("h1", "Sign in to Thingpost").has("main", "hooks.veldhuis.example").has("footer .status", "Accepting messages").has("footer",
		"Thingpost 1.2.3").lacks(".rail")
	refused := c.post("/sign-in", "email", w.owner.Email, "password", "wrong password").faulty("password",
		"Wrong email or password.")
	if got := refused.Find(`[name="email"]`).AttrOr("value", ""); got != w.owner.Email {
		t.Errorf("the email is %q after a refusal", got)
	}
	unknown := c.post("/sign-in", "email", "nobody@veldhuis.example", "password", "wrong password")
	if a, b := words(refused.Find("main").Text()), words(unknown.Find("main").Text()); a != b {
		t.Errorf("an unknown account reads differently: %q and %q", a, b)
	}
	if strings.Contains(refused.body, "wrong password") {
		t.Error("the password comes back")
	}
	c.post("/sign-in", "email", strings.ToUpper(w.owner.Email), "password", password).leadsTo("/")
	c.get("/").leadsTo("/projects/greenhouse-north")
	a, err := w.db.Account(t.Context(), w.owner.Key)
	w.must(err)
	if a.SignedInAt != iot.At(w.clock.Now()) {
		t.Errorf("signed in at %v", a.SignedInAt)
	}
	c.post("/sign-out").leadsTo("/sign-in")
	c.get("/sign-in").is(200).has("#toasts .toast", "You are signed out.")
	c.get("/sign-in").lacks("#toasts .toast")
}

func TestSignInLeadsToLocalPagesOnly(t *testing.T) {
	w := openWorld(t)
	w.anonymous().get("/projects/greenhouse-north/devices?q=soil").leadsTo("/sign-in?next=%2Fprojects%2Fgreenhouse-north%2Fdevices%3Fq%3Dsoil")
	for next, want := range map[string]string{
		"/projects/greenhouse-north": "/projects/greenhouse-north",
		"https://evil.example/":      "/",
		"//evil.example/":            "/",
		`/\evil.example`:             "/",
		"/\t/evil.example":           "/",
		"javascript:alert(1)":        "/",
		"evil":                       "/",
		"":                           "/",
	} {
		c := w.anonymous()
		form := c.get("/sign-in?next=" + strings.NewReplacer("\t", "%09", `\`, "%5C").Replace(next)).is(200)
		if got := form.Find(`[name="next"]`).AttrOr("value", ""); got != want {
			t.Errorf("the form would lead to %q for %q", got, next)
		}
		c.post("/sign-in", "email", w.owner.Email, "password", password, "next", next).leadsTo(want)
		c.get("/sign-in?next=" + strings.NewReplacer("\t", "%09", `\`, "%5C").Replace(next)).leadsTo(want)
	}
}

func TestSignInByHTMXOfWhoIsNotSignedIn(t *testing.T) {
	w := openWorld(t)
	p := w.anonymous().get("/projects/greenhouse-north", "HX-Request", "true", "HX-Target", "figures", "HX-Current-URL",
		"https://hooks.veldhuis.example/projects/greenhouse-north")
	if p.is(401).header.Get("HX-Redirect") != "/sign-in?next=%2Fprojects%2Fgreenhouse-north" {
		t.Errorf("leads to %q", p.header.Get("HX-Redirect"))
	}
}

func TestSignInIsThrottledByAccountAndAddress(t *testing.T) {
	const sourceBurst, sourceEvery, ceiling, addressBurst = 10, 10 * time.Second, 30, 50 // of handlers.SignIns
	w := openWorld(t)
	wrong := func(from string) {
		t.Helper()
		c := w.anonymous()
		c.remote = from + ":1"
		c.post("/sign-in", "email", w.owner.Email, "password", "wrong password").is(422)
	}
	c := w.anonymous()
	for range sourceBurst {
		c.post("/sign-in", "email", w.owner.Email, "password", "wrong password").is(422)
	}
	p := c.post("/sign-in", "email", strings.ToUpper(w.owner.Email), "password", password).is(http.StatusTooManyRequests)
	p.has(".alert", "Too many tries to sign in to this account. Wait 10 s")
	if p.header.Get("Retry-After") != "10" {
		t.Errorf("Retry-After is %q", p.header.Get("Retry-After"))
	}
	at := w.anonymous() // another address is not kept out by this one
	at.remote = "203.0.113.5:1"
	at.post("/sign-in", "email", w.owner.Email, "password", password).leadsTo("/")
	w.clock.advance(sourceEvery)
	c.post("/sign-in", "email", w.owner.Email, "password", password).leadsTo("/")

	w.clock.advance(ceiling * sourceEvery)
	for i := range ceiling { // all that the account does not know share a ceiling
		wrong("198.51.100." + strconv.Itoa(i+1))
	}
	stranger := w.anonymous()
	stranger.remote = "203.0.113.77:1"
	stranger.post("/sign-in", "email", w.owner.Email, "password", password).is(http.StatusTooManyRequests)
	at.remote = "203.0.113.78:1" // a new address, but a browser that has signed in
	at.post("/sign-out").leadsTo("/sign-in")
	at.post("/sign-in", "email", w.owner.Email, "password", password).leadsTo("/")
	// nor does a session stand in line with them
	at.post("/settings/password", "current", "wrong password", "password", "a quite new one").is(422)

	w.clock.advance(addressBurst * time.Second)
	for i := range addressBurst {
		c.post("/sign-in", "email", "nobody"+strconv.Itoa(i)+"@veldhuis.example", "password", strings.Repeat("x", 513)) // too long to be hashed
	}
	other := w.member("other@veldhuis.example", iot.Viewer)
	c.post("/sign-in", "email", other.Email, "password", password).is(http.StatusTooManyRequests)
	elsewhere := w.anonymous()
	elsewhere.remote = "[2001:db8::1]:99"
	elsewhere.post("/sign-in", "email", other.Email, "password", password).leadsTo("/")
}

func TestSetUp(t *testing.T) {
	w := bareWorld(t)
	c := w.anonymous()
	c.get("/").leadsTo("/sign-in")
	c.get("/sign-in").is(200).has(".alert", "Not set up yet")
	c.get("/setup").is(403)
	c.get("/setup?token=guess").is(403).has("main", "set-up link")
	c.get("/setup?token=" + setUpToken).is(200)
	good := []string{"token", setUpToken, "name", "Marit Veldhuis", "email", "marit@veldhuis.example", "password", password, "organization",
		"Veldhuis Growers", "project", "Greenhouse North"}
	for field, bad := range map[string]string{"name": "", "email": "marit", "password": "short", "organization": " ", "project": ""} {
		form := append([]string(nil), good...)
		for i := 0; i < len(form); i += 2 {
			if form[i] == field {
				form[i+1] = bad
			}
		}
		c.post("/setup", form...).faulty(field, "")
	}
	c.post("/setup", append([]string{"token", "guess"}, good[2:]...)...).is(403)
	if has, err := w.db.HasAccounts(t.Context()); err != nil || has {
		t.Fatalf("accounts %v, %v after refusals", has, err)
	}
	c.post("/setup", good...).leadsTo("/projects/greenhouse-north")
	first := c.get("/projects/greenhouse-north").is(200).has("h1", "Welcome to Greenhouse North").has("#add-device", "NNSXS.")
	key := first.Find("#first-key").AttrOr("value", "")
	if _, _, ok := iot.ParseAPIKey(key); !ok || !strings.Contains(first.Find("#send-message").Text(), key) {
		t.Errorf("the key in the commands is %q", key)
	}
	again := c.get("/projects/greenhouse-north").is(200).has("#add-device", "$API_KEY")
	if strings.Contains(again.body, key) {
		t.Error("the key is shown twice")
	}
	w.anonymous().get("/setup?token="+setUpToken).is(403).has("main", "already set up")
	w.anonymous().post("/setup", good...).is(403)
}

func TestPagesSayWhetherMessagesAreStored(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get("/settings").has(".rail .status", "Accepting")
	w.accepting = false
	c.get("/settings").has(".rail .status[data-shape=square]", "Not accepting")
	w.anonymous().get("/sign-in").has("footer .status", "Not accepting messages")
}

func TestTheme(t *testing.T) {
	w := openWorld(t)
	c := w.anonymous()
	c.post("/theme", "theme", "dark", "back", "/sign-in").leadsTo("/sign-in")
	c.get("/sign-in").has(`html[data-theme="dark"]`, "")
	c.post("/theme", "theme", "mauve", "back", "https://evil.example").leadsTo("/")
	c.get("/sign-in").has(`html[data-theme="system"]`, "")
}

func TestChangePassword(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get("/settings").is(200).has("h1", "Account").has("table", "Veldhuis Growers")
	c.post("/settings/password", "current", "wrong password", "password", "another long one").faulty("current",
		"This is not your current password.")
	c.post("/settings/password", "current", password, "password", "short").faulty("password", "Must have at least 10 characters.")
	c.post("/settings/password", "current", password, "password", "another long one").leadsTo("/settings")
	c.get("/settings").has("#toasts .toast", "The password was changed")
	w.anonymous().post("/sign-in", "email", w.owner.Email, "password", password).is(422)
	w.anonymous().post("/sign-in", "email", w.owner.Email, "password", "another long one").leadsTo("/")
}

func TestCreateOrganization(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.post("/settings/organizations", "organization", " ").faulty("organization", "Must not be empty.")
	c.post("/settings/organizations", "organization", "Orchard Pilots").leadsTo("/settings")
	c.get("/settings").has("table", "Orchard Pilots")
	c.get("/settings/organizations/orchard-pilots/members").is(200).has("table", w.owner.Email)
}
