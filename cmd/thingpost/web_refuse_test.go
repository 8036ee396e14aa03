package main

import (
	"fmt"
	"net/http"
	neturl "net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"thingpost/handlers/dashboard"
	"thingpost/internal/iot"
)

// webWorld is a server with a project that has one of everything.
type webWorld struct {
	*reader
	p    *process
	api  *apiClient
	fill *strings.Replacer // the open parts of a route's pattern
	key  string            // of the project, with all rights
	// embed is the path of an embedded log that https://portal.example can show.
	embed string
}

func newWebWorld(t *testing.T, args ...string) *webWorld {
	t.Helper()
	w := &webWorld{p: serve(t, adminEnv(), append([]string{"-data", t.TempDir(), "-allow-networks", "127.0.0.0/8"}, args...)...)}
	t.Cleanup(func() { w.p.end(t, syscall.SIGTERM) })
	w.api, w.reader = signIn(t, w.p.url), visitor(t, w.p.url)
	w.enters()
	const at = "/projects/world"
	w.api.call("POST", "/projects", map[string]string{"id": "world", "name": "World"}, 201, nil)
	w.api.call("POST", at+"/devices", map[string]string{"id": "probe"}, 201, nil)
	w.api.call("POST", at+"/profiles", map[string]any{"id": "quiet", "name": "Quiet"}, 201, nil)
	w.api.call("POST", at+"/webhooks", map[string]any{"id": "erp", "description": "ERP", "url": "http://127.0.0.1:1/in", "type": "user"}, 201,
		nil)
	var key struct{ ID, Key string }
	w.api.call("POST", at+"/keys", map[string]any{"name": "all", "rights": []string{"RIGHT_APPLICATION_ALL"}}, 201, &key)
	w.key = key.Key
	var sent struct{ ID string }
	w.api.call("POST", at+"/devices/probe/messages", map[string]any{"payload": 1}, 202, &sent)
	w.api.call("POST", at+"/deliveries/replay", map[string]any{"filter": map[string]string{"webhook": "erp"}}, 202, nil)
	var deliveries struct{ Items []struct{ ID string } }
	w.api.call("GET", at+"/deliveries", nil, 200, &deliveries)
	var organizations struct{ Items []struct{ ID string } }
	w.api.call("GET", "/organizations", nil, 200, &organizations)
	w.tries("POST", "/projects/world/inspector", neturl.Values{})
	w.embed = w.makesEmbed(at)
	w.fill = strings.NewReplacer("{$}", "", "{project}", "world", "{organization}", organizations.Items[0].ID, "{member}", iot.ID{}.String(),
		"{invitation}", iot.ID{}.String(), "{device}", "probe", "{webhook}", "erp",
		"{profile}", "quiet", "{key}", key.ID, "{delivery}", deliveries.Items[0].ID, "{message}", sent.ID, "{token}",
		strings.TrimPrefix(w.embed, "/embed/"), "{template}", "datacake", "{rest...}", "x")
	return w
}

// TestOtherSitesChangeNothingByAnyRoute sends every action of the dashboard as another
// site's page would, with a session: each is refused before it is processed.
func TestOtherSitesChangeNothingByAnyRoute(t *testing.T) {
	w := newWebWorld(t)
	routes, tries := 0, 0
	for _, pattern := range dashboard.Patterns() {
		method, path, _ := strings.Cut(pattern, " ")
		if method == http.MethodGet || method == http.MethodOptions {
			continue
		}
		routes++
		for name, from := range map[string][]string{
			"cross-site":    {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
			"same-site":     {"Sec-Fetch-Site", "same-site", "Origin", "http://other.127.0.0.1"},
			"older browser": {"Origin", "https://evil.example"},
			"frame or file": {"Origin", "null"},
			"another port":  {"Origin", "http://127.0.0.1:1"},
			"htmx":          {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example", "HX-Request", "true"},
			"with an override": {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example", "X-HTTP-Method-Override", "GET",
				"X-Forwarded-Host", "evil.example"},
		} {
			tries++
			if s := w.tries(method, w.fill.Replace(path), neturl.Values{"name": {"x"}, "_method": {"GET"}},
				from...); s.status != http.StatusForbidden || !strings.Contains(s.body, "from another site") {
				t.Errorf("%s from %s answers %d", pattern, name, s.status)
			}
		}
	}
	w.api.call("GET", "/projects/world/webhooks/erp", nil, 200, nil)
	var list struct{ Items []any }
	if w.api.call("GET", "/projects", nil, 200, &list); len(list.Items) != 1 || !opens(t, w.url, w.session()) {
		t.Error("something was changed")
	}
	// The method comes only from the request line, and pages change nothing.
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		w.tries("GET", "/projects/world/webhooks/erp/delete?_method=POST", nil, name, "POST")
		w.tries("POST", "/api/v1/projects/world/webhooks/erp?_method=DELETE", neturl.Values{}, name, "DELETE", "Authorization",
			"Bearer "+w.api.token)
	}
	w.api.call("GET", "/projects/world/webhooks/erp", nil, 200, nil)
	t.Attr("figure", fmt.Sprintf("%d actions, %d requests of other sites, all refused", routes, tries))
}

// TestEveryPageForbidsScriptsAndFrames requests every route as a page, and checks the
// headers of each answer, whatever its status.
func TestEveryPageForbidsScriptsAndFrames(t *testing.T) {
	w := newWebWorld(t)
	paths := []string{"/nowhere", "/projects/nowhere", "/static/nowhere.js", "/api/v1/nowhere", "/v3/x", "/inspect/nowhere", "/embed/wrong",
		"/metrics", "/setup?token=wrong", "/projects/world?" + strings.Repeat("x", 3000)}
	for _, pattern := range dashboard.Patterns() {
		if method, path, _ := strings.Cut(pattern, " "); method == http.MethodGet {
			paths = append(paths, w.fill.Replace(path))
		}
	}
	pages := 0
	look := func(name string, s seen) {
		t.Helper()
		h := s.header
		if h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s (%d) can be sniffed", name, s.status)
		}
		kind := h.Get("Content-Type")
		if !strings.HasPrefix(kind, "text/html") {
			if s.status < 300 && kind == "" && len(s.body) > 0 {
				t.Errorf("%s has no content type", name)
			}
			return
		}
		pages++
		policy := map[string]string{}
		for part := range strings.SplitSeq(h.Get("Content-Security-Policy"), ";") {
			directive, value, _ := strings.Cut(strings.TrimSpace(part), " ")
			policy[directive] = value
		}
		ancestors := "'none'"
		if strings.HasPrefix(name, w.embed) && s.status == http.StatusOK {
			ancestors = "https://portal.example"
		}
		if policy["default-src"] != "'none'" || policy["script-src"] != "'self'" || policy["style-src"] != "'self'" ||
			policy["base-uri"] != "'none'" ||
			strings.Contains(fmt.Sprint(policy), "unsafe") || !slices.Contains([]string{"'self'", "'none'"}, policy["form-action"]) {
			t.Errorf("%s (%d): the policy is %v", name, s.status, policy)
		}
		if policy["frame-ancestors"] != ancestors {
			t.Errorf("%s (%d) can be framed by %q", name, s.status, policy["frame-ancestors"])
		}
		if frames := h.Get("X-Frame-Options"); (frames == "DENY") != (policy["frame-ancestors"] == "'none'") {
			t.Errorf("%s (%d): X-Frame-Options is %q", name, s.status, frames)
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") == "" || h.Get("Permissions-Policy") == "" {
			t.Errorf("%s (%d) has the headers %v", name, s.status, h)
		}
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "/events") {
			continue // a stream without an end
		}
		look(path, w.tries("GET", path, nil))
		look(path, w.tries("GET", path, nil, "HX-Request", "true", "HX-Target", "main"))
		look(path, visitor(t, w.url).tries("GET", path, nil))
		look(path, w.tries("PUT", path, neturl.Values{"x": {"y"}}))
	}
	if pages < 150 {
		t.Errorf("only %d pages were looked at", pages)
	}
	if status := w.tries("GET", w.embed, nil).status; status != http.StatusOK {
		t.Errorf("the embedded log answers %d", status)
	}
	t.Attr("figure", fmt.Sprintf("%d answers in HTML of %d addresses: strict policy, no frame but the embedded log's own site", pages,
		len(paths)))
}

// TestNobodyIsSentElsewhere uses addresses of other sites in everything that redirects,
// and names of other hosts in pages that show our own address.
func TestNobodyIsSentElsewhere(t *testing.T) {
	address := freeAddress(t)
	p := serve(t, adminEnv(), "-data", t.TempDir(), "-public-url", "https://hooks.example", "-listen", address)
	defer p.end(t, syscall.SIGTERM)
	url := "http://" + address
	tries := 0
	// Paths of this site are kept; beside them is where they lead.
	kept := map[string]string{"/%09/evil.example": "/%09/evil.example", "/..//evil.example": "/evil.example"}
	wayBack := regexp.MustCompile(`^/sign-in(\?next=%2F(%25|[^%]).*)?$`) // to a path that begins with one slash
	for _, next := range []string{"https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/%09/evil.example",
		"/\t/evil.example", "javascript:alert(1)", "data:text/html,x", "https:evil.example",
		"http:///evil.example", "/..//evil.example", "///evil.example", " //evil.example", "\x01https://evil.example", "/\n/evil.example",
		"@evil.example", "hooks.example.evil.example"} {
		v, want, leadsTo := visitor(t, url), "/", "/"
		if to, ok := kept[next]; ok {
			want, leadsTo = next, to
		}
		if got := v.form("/sign-in?next="+neturl.QueryEscape(next), "/sign-in").Get("next"); got != want {
			t.Errorf("%q stands on the page as %q", next, got)
		}
		form := asks("ada@example.org", "correct horse battery")
		form.Set("next", next)
		if s := v.tries("POST", "/sign-in", form); s.status != http.StatusSeeOther || s.header.Get("Location") != leadsTo {
			t.Errorf("%q leads to %q (%d)", next, s.header.Get("Location"), s.status)
		}
		tries += 2
		if iot.HasControl(next) {
			continue // a header cannot contain it
		}
		tries++
		s := visitor(t, url).tries("GET", "/settings", nil, "HX-Request", "true", "HX-Current-URL", next)
		if to := s.header.Get("HX-Redirect"); s.status != http.StatusUnauthorized || !wayBack.MatchString(to) {
			t.Errorf("%q leads by way of the sign-in to %q (%d)", next, to, s.status)
		}
	}
	r := visitor(t, url)
	jar := visitor(t, url).tries("POST", "/sign-in", asks("ada@example.org", "correct horse battery"), "X-Forwarded-Host",
		"evil.example").sessionCookie()
	cookie := []string{"Cookie", jar.Name + "=" + jar.Value, "Host", "evil.example", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto",
		"gopher", "Forwarded", "host=evil.example"}
	r.tries("POST", "/projects/new", neturl.Values{"name": {"World"}, "id": {"world"}}, cookie[:2]...)
	for _, path := range []string{"/", "/sign-in", "/settings", "/projects/world", "/projects/world/devices", "/projects/world/settings",
		"/projects/world/inspector", "/projects/world/embeds", "/nowhere", "//evil.example", "/static", "/projects/world/"} {
		s := r.tries("GET", path, nil, cookie...)
		to := s.header.Get("Location")
		if tries++; path != "//evil.example" && strings.Contains(s.body+to, "evil.example") || to != "" &&
			(!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//")) {
			t.Errorf("%s tells another host's name, or leads to %q", path, to)
		}
	}
	for _, path := range []string{"/static/../thingpost.db", "/static/..%2f..%2fsecret.key", "/static/%2e%2e/%2e%2e/etc/passwd",
		"/static//etc/passwd", "/static/..\\..\\secret.key", "/settings/storage/backups/..%2fthingpost.db",
		"/settings/storage/backups/../../secret.key",
		"/templates/..%2f..%2fsecret.key", "/settings/storage/backups/%2e%2e%2fsecret.key", "/settings/storage/backups/thingpost.db",
		"/static/%00", "/templates/%2e%2e%2f%2e%2e%2fetc%2fpasswd"} {
		if tries++; r.tries("GET", path, nil, cookie[:2]...).status == http.StatusOK {
			t.Errorf("%s is answered", path)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d addresses of other sites, hosts and folders, none followed or shown", tries))
}
