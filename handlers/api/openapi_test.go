package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"thingpost/handlers/api"
	"thingpost/internal/iot"
)

// extension reads an operation's x-… value.
func extension(t *testing.T, all map[string]any, name string, into any) {
	t.Helper()
	b, err := json.Marshal(all[name])
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func callers(who api.Who) []string {
	list := []string{}
	for bit, name := range []string{"user", "key", "device", "anyone"} {
		if who&(1<<bit) != 0 {
			list = append(list, name)
		}
	}
	return list
}

func leastRole(rights iot.Rights) string {
	for _, role := range iot.Roles() {
		if rights&role.Rights() != 0 {
			return string(role)
		}
	}
	return ""
}

func TestDocumentAndRoutesAgree(t *testing.T) {
	w := newWorld(t)
	routes := map[string]api.Route{}
	for _, rt := range api.Routes() {
		name := rt.Method + " " + rt.Pattern
		if _, ok := routes[name]; ok {
			t.Errorf("%s is there twice", name)
		}
		routes[name] = rt
	}
	for path, item := range w.doc.Paths.Map() {
		for method, op := range item.Operations() {
			name := method + " " + path
			rt, ok := routes[name]
			delete(routes, name)
			if !ok {
				t.Errorf("%s is in the document, but no route", name)
				continue
			}
			var who, rights []string
			var role string
			extension(t, op.Extensions, "x-callers", &who)
			extension(t, op.Extensions, "x-rights", &rights)
			extension(t, op.Extensions, "x-role", &role)
			if want := callers(rt.Who); !slices.Equal(who, want) {
				t.Errorf("%s: the document lets in %v, the route %v", name, who, want)
			}
			want := rt.OneOf.Names()
			slices.Sort(rights)
			slices.Sort(want)
			if !slices.Equal(rights, want) {
				t.Errorf("%s: the document asks for %v, the route for %v", name, rights, want)
			}
			if want := leastRole(rt.OneOf); role != want {
				t.Errorf("%s: the document asks for the role %q, the route for %q", name, role, want)
			}
		}
	}
	for name := range routes {
		t.Errorf("%s is a route, but not in the document", name)
	}
}

// TestMatrix asks every operation as every kind of caller, and compares who is
// let in with the document.
func TestMatrix(t *testing.T) {
	w := newWorld(t)
	type asker struct {
		name, token string
		kind        string // as in x-callers; "" for nobody
		can         iot.Rights
		foreign     bool
	}
	askers := []asker{
		{name: "nobody"},
		{name: "a false token", token: "tpt_falsefalsefalsefalsefalse"},
		{name: "a false key", token: "NNSXS." + strings.Repeat("A", 39) + "." + strings.Repeat("B", 52)},
		{name: "a false device key", token: "tpd_falsefalsefalsefalse"},
		{"viewer", w.viewer, "user", iot.Viewer.Rights(), false},
		{"editor", w.editor, "user", iot.Editor.Rights(), false},
		{"admin", w.admin, "user", iot.Admin.Rights(), false},
		{"owner", w.owner, "user", iot.Owner.Rights(), false},
		{"outsider", w.outsider, "user", 0, true},
		{"the other project's key", w.otherKey, "key", iot.AllKeyRights, true},
		{"the device", w.deviceKey, "device", iot.SendMessages, false},
		{"the other project's device", w.otherDeviceKey, "device", iot.SendMessages, true},
	}
	for _, name := range iot.RightNames() {
		right, err := iot.ParseRights([]string{name})
		w.must(err)
		askers = append(askers, asker{"a key with " + name, w.key(w.project, right), "key", right, false})
	}
	absent := strings.NewReplacer("{profile}", "nothing-here", "{webhook}", "nothing-here", "{key}", "nothing-here",
		"{message}", "nothing-here", "{delivery}", "nothing-here", "{device}", w.device.ID)
	for path, item := range w.doc.Paths.Map() {
		for method, op := range item.Operations() {
			var who, names []string
			var role iot.Role
			extension(t, op.Extensions, "x-callers", &who)
			extension(t, op.Extensions, "x-rights", &names)
			extension(t, op.Extensions, "x-role", &role)
			if slices.Contains(who, "anyone") {
				continue
			}
			for _, a := range askers {
				inProject := strings.Contains(path, "{project}")
				want := "in"
				switch {
				case a.kind == "":
					want = "unauthorized"
				case !slices.Contains(who, a.kind) && a.kind != "user":
					want = "forbidden"
				case inProject && a.foreign:
					want = "not found"
				case a.kind == "key" && len(names) > 0 && !holdsOne(a.can, names):
					want = "forbidden"
				case a.kind == "user" && role != "" && a.can < role.Rights():
					want = "forbidden"
				}
				at := strings.ReplaceAll(absent.Replace(path), "{project}", w.project.ID)
				if strings.HasSuffix(path, "/devices/{device}") && method != "GET" || strings.HasSuffix(path, "/key") {
					at = strings.ReplaceAll(at, w.device.ID, "nothing-here")
				}
				if method == "DELETE" && path == "/projects/{project}" && want == "in" {
					p := &iot.Project{Name: "To be deleted", OrganizationKey: w.project.OrganizationKey}
					w.must(w.db.CreateProject(p, email))
					at = "/projects/" + p.ID
				}
				got := w.send(method, api.Prefix+at, a.token, `{"nothing":"here"}`)
				if is := judged(t, got); is != want {
					t.Errorf("%s %s for %s: %s, want %s\n%d %s", method, path, a.name, is, want, got.status, got.body)
				}
			}
		}
	}
}

func holdsOne(r iot.Rights, names []string) bool {
	for _, name := range names {
		if one, err := iot.ParseRights([]string{name}); err == nil && r&one != 0 {
			return true
		}
	}
	return false
}

// judged says whether a caller came in, whatever became of the request then.
func judged(t *testing.T, a answer) string {
	t.Helper()
	switch {
	case a.status == 401:
		if a.header.Get("WWW-Authenticate") == "" {
			t.Error("401 without WWW-Authenticate")
		}
		return "unauthorized"
	case a.status == 403:
		return "forbidden"
	case a.status == 404 && a.fault(t).Message == "There is no such project.":
		return "not found"
	case a.status >= 500:
		return "failed"
	}
	return "in"
}

func TestUnknownPathsAndMethods(t *testing.T) {
	w := newWorld(t)
	for path, allow := range map[string]string{
		base:                          "GET, PATCH, DELETE",
		base + "/webhooks":            "GET, POST",
		base + "/deliveries/replay":   "GET, POST",
		base + "/webhooks/erp/resume": "POST",
		api.Prefix + "/tokens":        "POST",
	} {
		a := w.ok(405, "PUT", path, w.owner, "{}")
		if a.header.Get("Allow") != allow || a.fault(t).Message == "" {
			t.Errorf("%s: %v %s, want %s", path, a.header, a.body, allow)
		}
	}
	for _, path := range []string{api.Prefix, api.Prefix + "/", api.Prefix + "/nope", base + "/nope", base + "/templates"} {
		w.refused(iot.NotFound, "GET", path, w.owner, "")
	}
	r := httptest.NewRecorder()
	w.api.ServeHTTP(r, httptest.NewRequest(http.MethodHead, api.Prefix+"/openapi.json", nil))
	if r.Code != 200 {
		t.Errorf("HEAD answers %d", r.Code)
	}
}
