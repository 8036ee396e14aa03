package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"thingpost/db"
	"thingpost/handlers/tts"
	"thingpost/internal/downlink"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
	"thingpost/web"
)

const rolesActor = "setup@example.org"

// long is the lifetime of what must not expire after an hour.
const long = 1000 * time.Hour

// rolesPlace is a project with one of everything, all named with a canary: a word that
// only its members may read.
type rolesPlace struct {
	canary       string
	organization *iot.Organization
	project      *iot.Project
	device       *iot.Device
	sibling      *iot.Device
	webhook      *iot.Webhook
	key          iot.Secret // of the device
	ids          map[string]string
}

// rolesWorld is the whole server behind real listeners, without background work: only
// requests change something.
type rolesWorld struct {
	*testing.T
	app    *app
	url    string
	grpc   *grpc.ClientConn
	client *http.Client
	clock  atomic.Int64 // how far it is ahead, in ns
	n      int
	// patience is how long a stream must stay open to count as allowed.
	patience time.Duration

	here, there, beside *rolesPlace // the project, another organization's, another of this one
	callers             []*roleCaller
}

// roleCaller is a kind of caller.
type roleCaller struct {
	name, group string
	cookie      *http.Cookie
	credential  string // of the header Authorization
	token       string // of an embedded log
	email       string // of a person
	sees        []string
}

func newRolesWorld(t *testing.T) *rolesWorld {
	t.Helper()
	w := &rolesWorld{T: t, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	folder := t.TempDir()
	writeFile(t, folder, "plain.yml", "template-id: plain\nname: Plain\nformat: json\nbase-url: https://erp.example/\npaths: "+
		"{uplink-message: \"/up\"}\n")
	writeFile(t, folder, "keyed.yml", "template-id: keyed\nname: Keyed\nformat: json\nbase-url: "+
		"https://erp.example/\ncreate-downlink-api-key: true\npaths: {uplink-message: \"/up\"}\n")
	c := testConfig(t, "-max-webhooks", "1000", "-templates", folder, "-style-page")
	c.Watch.MetricsToken = metricsToken
	var err error
	w.app, err = newApp(t.Context(), c, slog.New(slog.DiscardHandler),
		func() time.Time { return time.Now().Add(time.Duration(w.clock.Load())) })
	must(t, err)
	t.Cleanup(func() { must(t, w.app.close()) })
	s := httptest.NewServer(w.app.web.Handler())
	t.Cleanup(s.Close)
	w.url = s.URL
	w.serveGRPC()
	w.people()
	return w
}

func (w *rolesWorld) serveGRPC() {
	w.Helper()
	l, err := (&net.ListenConfig{}).Listen(w.Context(), "tcp", "127.0.0.1:0")
	must(w.T, err)
	server := tts.NewGRPC(w.app.dialect, nil)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }() // ends with Stop below
	w.Cleanup(func() { server.Stop(); must(w.T, <-served) })
	w.grpc, err = grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(w.T, err)
	w.Cleanup(func() { must(w.T, w.grpc.Close()) })
}

// next returns a new number.
func (w *rolesWorld) next() string {
	w.n++
	return fmt.Sprint(w.n)
}

func (w *rolesWorld) account(name string) *iot.Account {
	w.Helper()
	a := &iot.Account{Email: name + "@example.org", Name: "Somebody", PasswordHash: "none", Confirmed: true}
	must(w.T, w.app.db.CreateAccount(a, rolesActor))
	return a
}

// member creates an account with a role in an organization.
func (w *rolesWorld) member(o *iot.Organization, name string, role iot.Role) *iot.Account {
	w.Helper()
	a := w.account(name)
	if role != "" {
		must(w.T, w.app.db.SetMember(o.Key, a.Key, role, rolesActor))
	}
	return a
}

// session signs an account in.
func (w *rolesWorld) session(a *iot.Account) *http.Cookie {
	w.Helper()
	rec := httptest.NewRecorder()
	must(w.T, web.NewSessions(w.app.db, w.app.now, false).SignIn(rec, httptest.NewRequest(http.MethodPost, "/sign-in", nil), a))
	return rec.Result().Cookies()[0]
}

func (w *rolesWorld) token(a *iot.Account, lifetime time.Duration) string {
	w.Helper()
	text := iot.NewToken()
	_, err := w.app.db.CreateToken(text, a.Key, lifetime)
	must(w.T, err)
	return text.Reveal()
}

func (w *rolesWorld) apiKey(p *iot.Project, rights iot.Rights, lifetime time.Duration) (text string, k *iot.APIKey) {
	w.Helper()
	id, secret, full := iot.NewAPIKey()
	k = &iot.APIKey{ID: id, ProjectKey: p.Key, Name: "a key", Rights: rights}
	if lifetime > 0 {
		k.ExpiresAt = iot.At(w.app.now()).Add(lifetime)
	}
	must(w.T, w.app.db.CreateAPIKey(k, secret, rolesActor))
	return full.Reveal(), k
}

// newPlace creates a project with one of everything in an organization.
func (w *rolesWorld) newPlace(o *iot.Organization, slug, canary string) *rolesPlace {
	w.Helper()
	d := w.app.db
	p := &rolesPlace{canary: canary, organization: o, project: &iot.Project{ID: slug, Name: "Project " + canary, OrganizationKey: o.Key,
		AutoRegister: true}}
	must(w.T, d.CreateProject(p.project, rolesActor))
	p.ids = map[string]string{"organization": o.ID, "organization_id": o.UUID, "project": slug, "project_id": p.project.UUID,
		"template": "plain"}
	p.key = iot.NewDeviceKey()
	p.sibling, p.device = w.newDevice(p, slug+"-sibling", iot.NewDeviceKey()), w.newDevice(p, slug+"-device", p.key)
	w.newWebhook(p, slug+"-hook")
	w.newProfile(p, slug+"-profile")
	w.newKey(p)
	w.newMember(p, slug+"-member")
	p.ids["stranger"] = w.account(slug + "-stranger").Email
	w.newInvitation(p)
	p.ids["own_invitation"] = p.ids["invitation"] // somebody's
	w.newFailure(p)
	w.newMessage(p)
	w.newEmbed(p, long)
	w.newReplay(p)
	w.newCommand(p)
	w.newDownlink(p, p.device)
	taken, err := w.app.queues.Take(w.Context(), p.project, p.device, 0)
	must(w.T, err)
	p.ids["taken"] = taken.ID.String()
	w.newDownlink(p, p.device)
	i, err := d.CreateInspector(p.project.Key, rolesActor)
	must(w.T, err)
	p.ids["inspector"] = i.Token
	w.newInspection(p)
	w.newBackup(p)
	w.setUpstream(p)
	return p
}

func (w *rolesWorld) newDevice(p *rolesPlace, slug string, key iot.Secret) *iot.Device {
	w.Helper()
	v := &iot.Device{ProjectKey: p.project.Key, ID: slug, Name: "Device " + p.canary}
	must(w.T, w.app.db.CreateDevice(v, key, rolesActor))
	p.ids["device"], p.ids["device_id"] = v.ID, v.UUID
	return v
}

func (w *rolesWorld) newWebhook(p *rolesPlace, slug string) *iot.Webhook {
	w.Helper()
	h := &iot.Webhook{ProjectKey: p.project.Key, ID: slug, Description: "Hook " + p.canary, URL: "https://erp.example/" + p.canary,
		Format:       iot.Envelope,
		MessageTypes: iot.Routes{iot.User: {}, iot.UplinkMessage: {}}, Settings: iot.DefaultSettings()}
	if p.webhook != nil {
		h.MessageTypes = iot.Routes{iot.ServiceData: {}} // it wants no message
	}
	must(w.T, w.app.db.CreateWebhook(h, rolesActor))
	p.ids["webhook"], p.ids["webhook_id"] = h.ID, h.UUID
	if p.webhook == nil {
		p.webhook = h
	}
	return h
}

func (w *rolesWorld) newProfile(p *rolesPlace, slug string) {
	w.Helper()
	v := &iot.Profile{ProjectKey: p.project.Key, ID: slug, Name: "Profile " + p.canary, Webhook: true, Write: true}
	must(w.T, w.app.db.CreateProfile(v, rolesActor))
	p.ids["profile"], p.ids["profile_id"] = v.ID, v.UUID
}

// newKey creates a key that any other one can change: its only right is to manage keys.
func (w *rolesWorld) newKey(p *rolesPlace) {
	w.Helper()
	_, k := w.apiKey(p.project, iot.ManageKeys, 0)
	k.Name = "Key " + p.canary
	must(w.T, w.app.db.UpdateAPIKey(k, rolesActor))
	p.ids["key"] = k.ID
}

func (w *rolesWorld) newMember(p *rolesPlace, name string) {
	w.Helper()
	p.ids["member"] = w.member(p.organization, name, iot.Viewer).ID.String()
}

// newInvitation invites a person without an account to the organization.
func (w *rolesWorld) newInvitation(p *rolesPlace) {
	w.Helper()
	p.ids["invitation"] = w.invited(p.organization, "invited-"+p.canary+"-"+w.next()+"@example.org").ID.String()
}

// invited invites a person to an organization, by one of its owners.
func (w *rolesWorld) invited(o *iot.Organization, email string) *iot.Invitation {
	w.Helper()
	members, err := w.app.db.Members(w.Context(), o.Key)
	must(w.T, err)
	for i := range members {
		if members[i].Role == iot.Owner {
			v := &iot.Invitation{Email: email, Role: iot.Viewer}
			must(w.T, w.app.db.CreateInvitations(o, []*iot.Invitation{v}, &members[i].Account))
			return v
		}
	}
	w.Fatal("there is no owner")
	return nil
}

// newOwnInvitation invites a caller to an organization that was created for this.
func (w *rolesWorld) newOwnInvitation(p *rolesPlace, email string) {
	w.Helper()
	o := &iot.Organization{Name: "Fresh " + w.next()}
	must(w.T, w.app.db.CreateOrganization(o, w.account("inviter-"+w.next())))
	p.ids["own_invitation"] = w.invited(o, email).ID.String()
}

// newMessage sends a message of the first device. Its delivery stays pending: nothing
// is sent here.
func (w *rolesWorld) newMessage(p *rolesPlace) {
	w.Helper()
	results, err := w.app.ingest.Accept(w.Context(), ingest.Sender{Project: p.project, Device: p.device}, []byte(`{"payload":"`+p.canary+`"}`))
	must(w.T, err)
	must(w.T, results[0].Err)
	p.ids["message"] = results[0].ID.String()
	list, err := w.app.db.DeliveriesOf(w.Context(), p.project.Key, results[0].ID)
	must(w.T, err)
	for i := range list {
		if list[i].WebhookKey == p.webhook.Key {
			p.ids["delivery"] = list[i].ID.String()
		}
	}
}

// newFailure is newMessage with a failed delivery, for a replay.
func (w *rolesWorld) newFailure(p *rolesPlace) {
	w.Helper()
	w.newMessage(p)
	id, _ := iot.ParseID(p.ids["delivery"])
	v, err := w.app.db.Delivery(w.Context(), p.project.Key, id)
	must(w.T, err)
	done := make(chan error, 1)
	w.app.db.Finish(&iot.Outcome{Delivery: v, Status: iot.Failed, Attempt: &iot.Attempt{DeliveryID: id, Number: 1, At: iot.At(w.app.now()),
		Request: iot.Request{Method: "POST", URL: "https://erp.example/" + p.canary},
		Error:   &iot.FailedError{Class: iot.ErrConnect, Detail: "No answer to " + p.canary}}}, func(err error) { done <- err })
	must(w.T, <-done)
}

func (w *rolesWorld) newEmbed(p *rolesPlace, lifetime time.Duration) iot.Secret {
	w.Helper()
	e := &iot.Embed{ProjectKey: p.project.Key, Name: "Embed " + p.canary, Origins: []string{"https://portal.example"},
		ExpiresAt: iot.At(w.app.now()).Add(lifetime)}
	text, err := w.app.db.CreateEmbed(e, rolesActor)
	must(w.T, err)
	p.ids["embed"] = e.ID.String()
	return text
}

func (w *rolesWorld) newReplay(p *rolesPlace) {
	w.Helper()
	w.stopReplays(p)
	r := &iot.Replay{}
	must(w.T, w.app.db.CreateReplay(w.Context(), r, db.ReplaySpec{Deliveries: &db.DeliveryFilter{ProjectKey: p.project.Key}}, rolesActor))
	p.ids["replay"] = r.ID.String()
}

// newCommand starts a command, in place of the one before.
func (w *rolesWorld) newCommand(p *rolesPlace) {
	w.Helper()
	running, err := w.app.db.RunningCommands(w.Context())
	must(w.T, err)
	for _, c := range running {
		if c.ProjectKey == p.project.Key {
			_, err := w.app.db.StopCommand(w.Context(), p.project.Key, c.ID, rolesActor)
			must(w.T, err)
		}
	}
	c, err := w.app.db.CreateCommand(p.project, []byte(`{"payload":1}`), p.canary, rolesActor)
	must(w.T, err)
	p.ids["command"] = c.ID.String()
}

// stopReplays makes room: only ten can run.
func (w *rolesWorld) stopReplays(p *rolesPlace) {
	w.Helper()
	running, err := w.app.db.Running(w.Context(), p.project.Key)
	must(w.T, err)
	for _, r := range running {
		_, err := w.app.db.StopReplay(w.Context(), p.project.Key, r.ID, rolesActor)
		must(w.T, err)
	}
}

func (w *rolesWorld) newDownlink(p *rolesPlace, v *iot.Device) {
	w.Helper()
	list, err := w.app.queues.Push(w.Context(), p.project, v, []downlink.Order{{FPort: 1, CorrelationIDs: []string{p.canary}}}, false)
	must(w.T, err)
	p.ids["downlink"] = list[0].ID.String()
}

func (w *rolesWorld) newInspection(p *rolesPlace) {
	w.Helper()
	must(w.T, w.app.db.AddInspection(&iot.Inspection{ID: w.app.db.NewID(), ProjectKey: p.project.Key, At: iot.At(w.app.now()), Method: "POST",
		Body: []byte(p.canary), Status: 200}))
}

func (w *rolesWorld) newBackup(p *rolesPlace) {
	w.Helper()
	folder := filepath.Join(w.app.config.Store.Data, db.BackupsFolder)
	must(w.T, os.MkdirAll(folder, 0o700))
	p.ids["backup"] = fmt.Sprintf("thingpost-20260101-%06s.db", w.next())
	must(w.T, os.WriteFile(filepath.Join(folder, p.ids["backup"]), []byte(p.canary), 0o600))
}

// clearUpstream keeps downlinks here, so that they can be taken.
func (w *rolesWorld) clearUpstream() {
	w.Helper()
	if err := w.app.db.ClearUpstream(w.here.project, rolesActor); iot.CodeOf(err) != iot.NotFound {
		must(w.T, err)
	}
}

func (w *rolesWorld) setUpstream(p *rolesPlace) {
	w.Helper()
	must(w.T, w.app.db.SetUpstream(p.project, nil, iot.Upstream{URL: "https://tts.example/" + p.canary, Key: "NNSXS.A"}, rolesActor))
}

// people creates the places and all persons.
func (w *rolesWorld) people() {
	w.Helper()
	d := w.app.db
	root := &iot.Account{Email: "root@example.org", Name: "Root", PasswordHash: "none"}
	must(w.T, d.SetUp(root, &iot.Organization{Name: "Host"}))
	here, there := &iot.Organization{ID: "here", Name: "Organization KANARIA"}, &iot.Organization{ID: "there", Name: "Organization ZEBRANO"}
	owner, theirs := w.account("here-owner"), w.account("there-owner")
	must(w.T, d.CreateOrganization(here, owner))
	must(w.T, d.CreateOrganization(there, theirs))
	w.here, w.there, w.beside = w.newPlace(here, "in-here", "KANARIA"), w.newPlace(there, "in-there", "ZEBRANO"),
		w.newPlace(here, "beside", "NEXTDOOR")

	member := func(group, name string, a *iot.Account, sees ...string) {
		w.callers = append(w.callers, &roleCaller{name: "session of " + name, group: "session " + group, cookie: w.session(a), email: a.Email,
			sees: sees},
			&roleCaller{name: "token of " + name, group: "token " + group, credential: w.token(a, long), email: a.Email, sees: sees})
	}
	member("owner", "an owner", owner, "KANARIA", "NEXTDOOR")
	member("root", "the host's administrator", root)
	for _, role := range []iot.Role{iot.Viewer, iot.Editor, iot.Admin} {
		member(string(role), "the "+string(role), w.member(here, "here-"+string(role), role), "KANARIA", "NEXTDOOR")
		member("other", "another organization's "+string(role), w.member(there, "there-"+string(role), role), "ZEBRANO")
	}
	member("other", "another organization's owner", theirs, "ZEBRANO")
	member("other", "somebody of no organization", w.account("alone"))
	was := w.member(here, "here-removed", iot.Admin)
	member("other", "a removed member", was)
	must(w.T, d.SetMember(here.Key, was.Key, "", rolesActor))
	w.keys()
	w.ended(owner)
}

// keys creates the callers that are not persons.
func (w *rolesWorld) keys() {
	w.Helper()
	add := func(group, name, credential string, sees ...string) {
		w.callers = append(w.callers, &roleCaller{name: name, group: group, credential: credential, sees: sees})
	}
	for group, right := range map[string]iot.Rights{"up": iot.SendMessages, "down": iot.SendDownlinks, "read": iot.ReadTraffic,
		"set":  iot.ChangeSettings,
		"keys": iot.ManageKeys, "dread": iot.ReadDevices, "dwrite": iot.WriteDevices, "all": iot.AllKeyRights} {
		text, _ := w.apiKey(w.here.project, right, 0)
		add("key "+group, "a key with "+right.String(), text, "KANARIA")
	}
	for _, p := range []*rolesPlace{w.there, w.beside} {
		text, _ := w.apiKey(p.project, iot.AllKeyRights, 0)
		add("key other", "a key of "+p.project.ID, text, p.canary)
		add("device other", "a device of "+p.project.ID, p.key.Reveal(), p.canary)
	}
	add("device own", "the device", w.here.key.Reveal(), "KANARIA")
	key, err := w.app.db.DeviceKey(w.Context(), w.here.sibling)
	must(w.T, err)
	add("device sib", "another device of the project", key.Reveal(), "KANARIA")
	add("metrics", "the token for metrics", metricsToken)
	for group, p := range map[string]*rolesPlace{"embed own": w.here, "embed other": w.there} {
		text := w.newEmbed(p, long).Reveal()
		w.callers = append(w.callers, &roleCaller{name: "the link to the log of " + p.project.ID, group: group, credential: text, token: text,
			sees: []string{p.canary}})
	}
}

// ended creates invalid callers: false, expired, revoked and signed out.
func (w *rolesWorld) ended(owner *iot.Account) {
	w.Helper()
	d, p := w.app.db, w.here.project
	add := func(name, credential string) {
		w.callers = append(w.callers, &roleCaller{name: name, group: "nobody", credential: credential})
	}
	add("nobody", "")
	add("a false token", "tpt_falsefalsefalsefalsefalsefalse")
	add("a false key", "NNSXS."+strings.Repeat("A", 39)+"."+strings.Repeat("B", 52))
	add("a false device key", "tpd_falsefalsefalsefalse")
	add("an expired token", w.token(owner, time.Hour))
	text, _ := w.apiKey(p, iot.AllKeyRights, time.Hour)
	add("an expired key", text)
	text, revoked := w.apiKey(p, iot.AllKeyRights, 0)
	must(w.T, d.DeleteAPIKey(p.Key, revoked.ID, rolesActor))
	add("a revoked key", text)
	ids := maps.Clone(w.here.ids)
	gone, rotated := iot.NewDeviceKey(), iot.NewDeviceKey()
	must(w.T, d.DeleteDevice(w.newDevice(w.here, "gone-device", gone), rolesActor))
	add("a deleted device", gone.Reveal())
	must(w.T, d.SetDeviceKey(w.newDevice(w.here, "rotated-device", rotated), iot.NewDeviceKey(), rolesActor))
	add("a device's former key", rotated.Reveal())
	changed := w.member(w.here.organization, "here-changed", iot.Owner)
	cookie := w.session(changed)
	w.callers = append(w.callers, &roleCaller{name: "a session that a changed password has ended", group: "nobody", cookie: cookie})
	add("a token that a changed password has ended", w.token(changed, long))
	must(w.T, d.SetPassword(changed.Key, "none", nil, rolesActor))
	out := w.session(owner)
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/sign-out", nil)
	r.AddCookie(out)
	must(w.T, web.NewSessions(d, w.app.now, false).SignOut(httptest.NewRecorder(), r))
	w.callers = append(w.callers, &roleCaller{name: "a signed-out session", group: "nobody", cookie: out})
	link := func(name string) {
		text := w.newEmbed(w.here, time.Hour).Reveal()
		w.callers = append(w.callers, &roleCaller{name: name, group: "nobody", credential: text, token: text})
	}
	link("a link that has ended")
	link("a revoked link")
	id, _ := iot.ParseID(w.here.ids["embed"])
	must(w.T, d.RevokeEmbed(w.Context(), p.Key, id, rolesActor))
	w.here.ids = ids
	w.clock.Store(int64(2 * time.Hour)) // everything with a lifetime of an hour has expired
}
