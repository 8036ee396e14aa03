package dashboard

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

// address fills in what a pattern leaves open.
func (w *world) address(pattern string) string {
	return strings.NewReplacer("{$}", "", "{project}", w.project.ID, "{organization}", w.organization.ID, "{member}", w.owner.ID.String(),
		"{device}", w.device.ID, "{webhook}", w.webhook.ID, "{profile}", iot.DefaultProfile, "{key}", strings.Repeat("A", 39),
		"{delivery}", w.db.NewID().String(), "{message}", w.db.NewID().String(), "{replay}", w.db.NewID().String(), "{command}",
		w.db.NewID().String(), "{embed}", w.db.NewID().String()).Replace(pattern)
}

func routesOf(w *world) []route { return (&site{Options: Options{DB: w.db}}).routes() }

func TestEveryRouteOfAPersonNeedsASignIn(t *testing.T) {
	w := openWorld(t)
	for _, rt := range routesOf(w) {
		if rt.access == anyone {
			continue
		}
		p := w.anonymous().do(httptest.NewRequest(rt.method, w.address(rt.pattern), nil), nil)
		if p.status != http.StatusSeeOther || !strings.HasPrefix(p.header.Get("Location"), "/sign-in") {
			t.Errorf("%s %s answers %d to someone who is not signed in", rt.method, rt.pattern, p.status)
		}
	}
}

func TestEveryRouteOfAProjectIsAbsentForOthers(t *testing.T) {
	w := openWorld(t)
	stranger := w.as(w.member("eve@elsewhere.example", ""))
	for _, rt := range routesOf(w) {
		if rt.access == inProject || rt.access == inOrganization {
			p := stranger.do(httptest.NewRequest(rt.method, w.address(rt.pattern), nil), nil)
			if p.status != http.StatusNotFound || strings.Contains(p.body, w.project.Name) {
				t.Errorf("%s %s answers %d to a stranger", rt.method, rt.pattern, p.status)
			}
		}
	}
}

func TestEveryRouteNeedsItsRights(t *testing.T) {
	w := openWorld(t)
	for _, role := range []iot.Role{iot.Viewer, iot.Editor, iot.Admin} {
		c := w.as(w.member(string(role)+"@veldhuis.example", role))
		for _, rt := range routesOf(w) {
			if rt.access == anyone || role.Rights().Has(rt.needs) {
				continue
			}
			p := c.do(httptest.NewRequest(rt.method, w.address(rt.pattern), nil), nil)
			if p.status != http.StatusForbidden {
				t.Errorf("%s %s answers %d to a %s", rt.method, rt.pattern, p.status, role)
			}
			p.has("h1", "Not allowed")
		}
	}
}

func TestEveryChangeNeedsMoreThanReading(t *testing.T) {
	viewer := iot.Viewer.Rights()
	for _, rt := range routesOf(openWorld(t)) {
		if rt.method == post && (rt.access == inProject || rt.access == inOrganization) && viewer.Has(rt.needs) {
			t.Errorf("%s %s changes something and needs no more than a viewer has", rt.method, rt.pattern)
		}
	}
}

func TestPatternsAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, rt := range routesOf(openWorld(t)) {
		key := rt.method + " " + rt.pattern
		if seen[key] || rt.handle == nil {
			t.Errorf("%s stands twice, or has no handler", key)
		}
		seen[key] = true
	}
}

func TestPagesTheViewerMayReadShowNoWayToChange(t *testing.T) {
	w := openWorld(t)
	w.send(`{"payload":1}`)
	c := w.as(w.member("viewer@veldhuis.example", iot.Viewer))
	for _, path := range []string{"", "/devices", "/devices/soil-probe-07", "/profiles"} {
		p := c.get("/projects/greenhouse-north" + path).is(http.StatusOK)
		if forms := p.Find(`main form[method="post"]`); forms.Length() > 0 {
			t.Errorf("%s offers a viewer %q", path, words(forms.Text()))
		}
		for _, link := range []string{"/devices/new", "/profiles/new", "/keys", "/settings"} {
			p.lacks(`a[href="/projects/greenhouse-north` + link + `"]`)
		}
	}
}

func TestUnknownAddress(t *testing.T) {
	w := openWorld(t)
	w.as(w.owner).get("/no/such/page").is(http.StatusNotFound).has("h1", "Not found").has(".rail", "")
	w.anonymous().get("/no/such/page").is(http.StatusNotFound).has("h1", "Not found").lacks(".rail")
	p := w.as(w.owner).fragment("/projects/greenhouse-north/devices/none", "dialog").is(http.StatusNotFound)
	p.has(".toast", "There is no such device.").lacks("h1")
	if p.header.Get("HX-Retarget") != "#toasts" || p.header.Get("HX-Reswap") != "beforeend" {
		t.Errorf("the toast goes to %q", p.header.Get("HX-Retarget"))
	}
}
