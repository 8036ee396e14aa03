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

// asker is a kind of caller.
type asker struct {
	name, token string
	kind        string // as in x-callers; "" for nobody
	can         iot.Rights
	foreign     bool // belongs to another project
}

func (w *world) askers() []asker {
	list := []asker{
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
		list = append(list, asker{"a key with " + name, w.key(w.project, right), "key", right, false})
	}
	return list
}

// verdict is the documented result for an asker.
func (a asker) verdict(who, rights []string, role iot.Role, inProject bool) string {
	switch {
	case a.kind == "":
		return "unauthorized"
	case !slices.Contains(who, a.kind) && a.kind != "user":
		return "forbidden"
	case inProject && a.foreign:
		return "not found"
	case a.kind == "key" && len(rights) > 0 && !holdsOne(a.can, rights):
		return "forbidden"
	case a.kind == "user" && role != "" && !a.can.Has(role.Rights()):
		return "forbidden"
	}
	return "in"
}

// TestMatrix calls every operation as every kind of caller, and compares who is allowed
// with the document.
func TestMatrix(t *testing.T) {
	w := newWorld(t)
	askers := w.askers()
	for path, item := range w.doc.Paths.Map() {
		for method, op := range item.Operations() {
			var who, rights []string
			var role iot.Role
			extension(t, op.Extensions, "x-callers", &who)
			extension(t, op.Extensions, "x-rights", &rights)
			extension(t, op.Extensions, "x-role", &role)
			if slices.Contains(who, "anyone") {
				continue
			}
			_, administrator := op.Extensions["x-administrator"]
			for _, a := range askers {
				want := a.verdict(who, rights, role, strings.Contains(path, "{project}") || strings.Contains(path, "{organization}"))
				if administrator && want == "in" && a.name != "owner" { // set up the host
					want = "forbidden"
				}
				got := w.send(method, w.harmless(method, path, want == "in"), a.token, `{"nothing":"here"}`)
				if is := judged(t, got); is != want {
					t.Errorf("%s %s for %s: %s, want %s\n%d %s", method, path, a.name, is, want, got.status, got.body)
				}
			}
		}
	}
}

// harmless fills in a path so that a request changes nothing that others need.
func (w *world) harmless(method, path string, in bool) string {
	project, device := w.project.ID, w.device.ID
	if strings.HasSuffix(path, "/devices/{device}") && method != http.MethodGet || strings.HasSuffix(path, "/key") {
		device = "nothing-here"
	}
	if method == http.MethodDelete && path == "/projects/{project}" && in {
		p := &iot.Project{Name: "To be deleted", OrganizationKey: w.project.OrganizationKey}
		w.must(w.db.CreateProject(p, email))
		project = p.ID
	}
	return api.Prefix + strings.NewReplacer("{project}", project, "{device}", device, "{profile}", "nothing-here", "{webhook}", "nothing-here",
		"{key}", "nothing-here", "{message}", "nothing-here", "{delivery}", "nothing-here", "{replay}", "nothing-here",
		"{template}", "nothing-here", "{organization}", "works", "{invitation}", "nothing-here").Replace(path)
}

func holdsOne(r iot.Rights, names []string) bool {
	for _, name := range names {
		if one, err := iot.ParseRights([]string{name}); err == nil && r&one != 0 {
			return true
		}
	}
	return false
}

// judged reports whether a caller was allowed, whatever the request did then.
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
	case a.status == 404 && (a.fault(t).Message == "There is no such project." || a.fault(t).Message == "There is no such organization."):
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
