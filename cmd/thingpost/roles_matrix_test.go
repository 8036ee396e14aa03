package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
)

// TestRolesMatrix calls every route as every kind of caller, and compares who is
// allowed with testdata/roles.txt. Refused callers get 401, 403 or 404 (for a page: a
// redirect to the sign-in), change nothing stored and read nothing of the project.
// Allowed callers are not refused. Those who can change something do change it: this
// shows that the request would have had an effect.
//
// Under the race detector, which is thirty times as slow, every eighth route is called.
func TestRolesMatrix(t *testing.T) {
	w, table := newRolesWorld(t), readRoles(t)
	if raceDetector {
		table.rows, table.foreign = every(8, table.rows), every(8, table.foreign)
	}
	l := w.newLedger()
	w.patience = time.Minute       // refused callers are answered at once
	refused := w.refuses(table, l) // changes nothing, so it comes first
	foreign := w.keepsApart(table, l)
	w.patience = 300 * time.Millisecond
	cells := refused + w.letsIn(table, l)
	if t.Failed() {
		return
	}
	t.Attr("figure", fmt.Sprintf("%d cells (%d routes, %d callers), %d of them refused without an effect, and %d requests with others' "+
		"ids: 0 wrong",
		cells, len(table.rows), len(w.callers), refused, foreign))
}

// every returns every n-th of a list.
func every[T any](n int, list []T) (some []T) {
	for i := 0; i < len(list); i += n {
		some = append(some, list[i])
	}
	return some
}

// refuses calls as all who must be refused, and returns how many cells it checked.
func (w *rolesWorld) refuses(table *roleTable, l *ledger) (cells int) {
	w.Helper()
	for _, row := range table.rows {
		for _, c := range w.callers {
			if table.lets[row.need][c.group] {
				continue
			}
			cells++
			a := w.ask(row, c, w.standing(row, w.here))
			if !a.refused(row) {
				w.Errorf("%s for %s answers %d, want a refusal: %.300s", row.name(), c.name, a.status, a.body)
			}
			w.readsNothing(row, c, a)
			if tables := l.changed(); tables != nil {
				w.Errorf("%s for %s, who is refused, has changed %v", row.name(), c.name, tables)
			}
		}
	}
	return cells
}

// letsIn calls as all who must be allowed, and returns how many cells it checked.
func (w *rolesWorld) letsIn(table *roleTable, l *ledger) (cells int) {
	w.Helper()
	rows := slices.Clone(table.rows)
	slices.SortStableFunc(rows, func(a, b *roleRow) int {
		return cmp.Compare(atEnd(a.pattern == "/sign-out"), atEnd(b.pattern == "/sign-out"))
	})
	for _, row := range rows {
		effect, asked := false, 0
		for _, c := range w.callers {
			if !table.lets[row.need][c.group] {
				continue
			}
			asked++
			value := w.fresh(row, c)
			l.written()
			a := w.ask(row, c, value)
			effect = l.written() && a.status < 400 || effect
			if a.refused(row) || a.status >= 500 && a.status != http.StatusNotImplemented || a.status == http.StatusTooManyRequests && !row.idle {
				w.Errorf("%s for %s answers %d, want to be let in: %.300s", row.name(), c.name, a.status, a.body)
			}
			w.readsNothing(row, c, a)
		}
		cells += asked
		if row.changes() && asked > 0 && !effect {
			w.Errorf("%s has an effect for nobody: its request is not a good one", row.name())
		}
	}
	return cells
}

// keepsApart calls as allowed callers, with each id in turn replaced by that of another
// organization, by slug and by UUID.
func (w *rolesWorld) keepsApart(table *roleTable, l *ledger) (requests int) {
	w.Helper()
	theirs := l.of(w.there)
	rows := slices.Concat(table.rows, table.foreign)
	slices.SortStableFunc(rows, func(a, b *roleRow) int { return cmp.Compare(atEnd(makesHere(a)), atEnd(makesHere(b))) })
	for _, row := range rows {
		own := w.standing(row, w.here)
		for _, swap := range swaps(row) {
			for _, c := range w.callers {
				if !table.lets[row.need][c.group] || !slices.Contains([]string{"session owner", "token owner", "key all", "device own", "embed own"},
					c.group) {
					continue
				}
				requests++
				a := w.ask(row, c, func(name string) string {
					if name == swap.name {
						return w.standing(row, w.there)(swap.by)
					}
					return own(name)
				})
				was := fmt.Sprintf("%s for %s with their %s", row.name(), c.name, swap.by)
				if !a.refused(row) && a.status != http.StatusBadRequest && a.status != http.StatusUnprocessableEntity &&
					!slices.Contains(table.foreign, row) && !makesHere(row) && !deletesAnyway(row) {
					w.Errorf("%s answers %d, want a refusal: %.300s", was, a.status, a.body)
				}
				if strings.Contains(a.body, w.there.canary) {
					w.Errorf("%s shows what is theirs: %.600s", was, a.body)
				}
				if tables := l.changed(); tables != nil && (a.status >= 400 || l.of(w.there) != theirs) {
					w.Errorf("%s has changed %v, and answers %d", was, tables, a.status)
				}
			}
		}
	}
	return requests
}

// makesHere reports whether a route creates something from an unknown name.
func makesHere(r *roleRow) bool {
	return strings.HasPrefix(r.pattern, "/in/tts/") || strings.HasSuffix(r.pattern, "/simulate") ||
		strings.HasSuffix(r.pattern, "/SimulateUplink") ||
		strings.HasSuffix(r.pattern, "/messages") || r.method == "PUT" && strings.HasPrefix(r.pattern, "/api/v3/as/webhooks/")
}

// deletesAnyway reports whether a route reports success for deleting what does not
// exist, as in that system.
func deletesAnyway(r *roleRow) bool {
	return r.method == "DELETE" && strings.HasPrefix(r.pattern, "/api/v3/as/webhooks/") || strings.HasSuffix(r.pattern, "Registry/Delete")
}

// atEnd orders rows: 1 for those at the end.
func atEnd(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// swap replaces a variable's id by another's, by the name of an id.
type swap struct{ name, by string }

func swaps(r *roleRow) (list []swap) {
	for _, name := range slices.Compact(slices.Sorted(slices.Values(r.names()))) {
		switch name {
		case "n", "token", "template", "backup", "stranger", "inspector":
			continue
		case "project", "organization", "device", "webhook", "profile":
			list = append(list, swap{name, name + "_id"})
		}
		list = append(list, swap{name, name})
	}
	return list
}

// readsNothing fails if an answer has the canary of a place that the caller does not
// belong to.
func (w *rolesWorld) readsNothing(r *roleRow, c *roleCaller, a roleAnswer) {
	w.Helper()
	if r.need == "page-root" && c.group == "session root" || r.need == "metrics" && c.group == "metrics" {
		return // the host's administrator sees the names of everything
	}
	for _, p := range []*rolesPlace{w.here, w.there, w.beside} {
		if strings.Contains(a.body, p.canary) && (!slices.Contains(c.sees, p.canary) || a.refused(r) && !strings.HasPrefix(c.group, "session")) {
			w.Errorf("%s shows %s of %s: %.600s", r.name(), c.name, p.canary, a.body)
		}
	}
}

// standing finds permanent things.
func (w *rolesWorld) standing(r *roleRow, p *rolesPlace) func(string) string {
	return func(name string) string {
		if name == "downlink" && answersDownlink(r) {
			name = "taken"
		}
		return p.ids[name]
	}
}

// answersDownlink reports whether a route is for a taken downlink.
func answersDownlink(r *roleRow) bool {
	return strings.HasSuffix(r.pattern, "/ack") || strings.HasSuffix(r.pattern, "/nack") || strings.HasSuffix(r.pattern, "/fail")
}

// fresh creates the subject of a changing request again, so that it exists for the next
// request too, and finds the others.
func (w *rolesWorld) fresh(r *roleRow, c *roleCaller) func(string) string {
	w.Helper()
	w.clearUpstream()
	if strings.Contains(r.pattern, "/upstream") {
		w.setUpstream(w.here)
	}
	if r.name() == "GET /projects/new" && c.email != "" { // for an admin of any organization
		a, err := w.app.db.AccountByEmail(w.Context(), c.email)
		must(w.T, err)
		must(w.T, w.app.db.CreateOrganization(&iot.Organization{Name: "Own " + w.next()}, a))
	}
	if !r.changes() {
		return w.standing(r, w.here)
	}
	p := *w.here
	p.ids = maps.Clone(p.ids)
	for _, name := range r.names() {
		kind := strings.TrimSuffix(name, "_id")
		if (kind == "project" || kind == "organization") && !r.whole || kind == "device" && strings.HasPrefix(c.group, "device") {
			continue
		}
		if kind == "own_invitation" {
			w.newOwnInvitation(&p, c.email)
		}
		if maker := w.makers(r)[kind]; maker != nil {
			maker(&p)
		}
	}
	w.prepare(r, &p)
	return w.standing(r, &p)
}

// makers create what a variable is the id of.
func (w *rolesWorld) makers(r *roleRow) map[string]func(*rolesPlace) {
	slug := "fresh-" + w.next()
	return map[string]func(*rolesPlace){
		"project": func(p *rolesPlace) {
			made := &iot.Project{ID: slug, Name: "Fresh", OrganizationKey: p.organization.Key}
			must(w.T, w.app.db.CreateProject(made, rolesActor))
			p.ids["project"], p.ids["project_id"] = made.ID, made.UUID
		},
		"organization": func(p *rolesPlace) { w.newOrganization(p, slug) },
		"device":       func(p *rolesPlace) { p.device = w.newDevice(p, slug, iot.NewDeviceKey()) },
		"webhook": func(p *rolesPlace) {
			h := w.newWebhook(p, slug)
			if strings.HasSuffix(r.pattern, "/resume") {
				must(w.T, w.app.db.PauseWebhook(h, "test", "", rolesActor))
			}
		},
		"profile":    func(p *rolesPlace) { w.newProfile(p, slug) },
		"key":        w.newKey,
		"member":     func(p *rolesPlace) { w.newMember(p, slug) },
		"stranger":   func(p *rolesPlace) { p.ids["stranger"] = w.account(slug).Email },
		"invitation": w.newInvitation,
		"message":    w.newMessage,
		"delivery": func(p *rolesPlace) {
			if strings.HasSuffix(r.pattern, "/retry") {
				w.newFailure(p)
			} else {
				w.newMessage(p)
			}
		},
		"embed":   func(p *rolesPlace) { w.newEmbed(p, long) },
		"replay":  w.newReplay,
		"command": w.newCommand,
		"backup":  w.newBackup,
	}
}

// newOrganization creates an organization of the same people.
func (w *rolesWorld) newOrganization(p *rolesPlace, slug string) {
	w.Helper()
	members, err := w.app.db.Members(w.Context(), p.organization.Key)
	must(w.T, err)
	o := &iot.Organization{ID: slug, Name: "Fresh"}
	for _, m := range members {
		if m.Account.Email != "here-owner@example.org" {
			continue
		}
		must(w.T, w.app.db.CreateOrganization(o, &m.Account))
	}
	p.ids["organization"], p.ids["organization_id"] = o.ID, o.UUID
}

// prepare creates what a request needs to have an effect.
func (w *rolesWorld) prepare(r *roleRow, p *rolesPlace) {
	w.Helper()
	switch {
	case strings.Contains(r.pattern, "/downlinks/"), r.method == "DELETE" && strings.HasSuffix(r.pattern, "/downlinks"):
		w.newDownlink(p, p.device)
	case strings.HasSuffix(r.pattern, "/deliveries/cancel"):
		w.newMessage(p)
	case strings.Contains(r.pattern, "/replay") && !strings.Contains(r.pattern, "/stop"), strings.HasSuffix(r.pattern, "/messages/send"):
		w.stopReplays(p)
	case strings.HasSuffix(r.pattern, "/inspector/clear"):
		w.newInspection(p)
	}
	if !answersDownlink(r) {
		return
	}
	for p.ids["taken"] != p.ids["downlink"] { // oldest first
		v, err := w.app.queues.Take(w.Context(), p.project, p.device, 0)
		must(w.T, err)
		p.ids["taken"] = v.ID.String()
	}
}
