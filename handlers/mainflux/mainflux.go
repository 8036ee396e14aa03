package mainflux

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/downlink"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
	"thingpost/internal/settings"
)

// Options of the dialect.
type Options struct {
	DB        *db.DB
	Ingest    *ingest.Ingest
	Downlinks *downlink.Queue
	Webhooks  *settings.Webhooks // default settings.New(DB, Now)
	Passwords *iot.Passwords
	SignIns   *handlers.SignIns // default one of its own
	Inviter   *handlers.Inviter // default one that mails nothing
	// AllowRegistration lets anybody create an account, and organizations.
	AllowRegistration bool
	// PublicURL is the address of the pages, without a trailing slash, for the links of
	// invitations.
	PublicURL string
	Version   string           // of this program
	Now       func() time.Time // default time.Now
	Log       *slog.Logger     // default discards
}

type server struct {
	Options
	mux     *http.ServeMux
	guesses *handlers.Guesses // of things' keys
}

// New returns a handler of all paths of the dialect. Other paths answer 404. It is safe
// for concurrent use.
func New(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Webhooks == nil {
		o.Webhooks = settings.New(o.DB, o.Now)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Inviter == nil {
		o.Inviter = handlers.NewInviter(handlers.InviterOptions{Create: o.DB.CreateInvitations, Now: o.Now})
	}
	if o.SignIns == nil {
		o.SignIns = handlers.NewSignIns(handlers.SignInOptions{Now: o.Now})
	}
	s := &server{Options: o, mux: http.NewServeMux(), guesses: handlers.NewGuesses(o.Now)}
	for _, rt := range routes() {
		s.mux.Handle(rt.method+" "+rt.pattern, s.handler(rt))
	}
	s.mux.HandleFunc("/", s.absent)
	return s
}

// ServeHTTP finds the route. It tries publishing first: that is the most frequent.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, prefix := strip(r.URL.Path)
	if path == "/messages" || strings.HasPrefix(path, "/messages/") {
		s.publish(w, r, path)
		return
	}
	inner := *r
	// Escapes stay: an escaped slash is part of a name, and cannot become "..".
	raw, _ := strip(r.URL.EscapedPath())
	inner.URL = &url.URL{Path: strings.TrimRight(path, "/"), RawPath: strings.TrimRight(raw, "/"), RawQuery: r.URL.RawQuery}
	ctx := withPrefix(r.Context(), prefix)
	s.mux.ServeHTTP(w, inner.WithContext(ctx))
}

// strip removes the prefix of a Mainflux service from a path. After /webhooks there is
// either a path of the webhooks service, as its document has it, or a webhook's id.
func strip(path string) (rest, prefix string) {
	prefix, rest, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch prefix {
	case "svcwebhooks", "svcthings", "svcauth", "svcusers", "svchttp", "http":
		return "/" + rest, prefix
	case "webhooks":
		switch next, _, _ := strings.Cut(rest, "/"); next {
		case "webhooks", "things", "groups", "health":
			return "/" + rest, prefix
		}
	}
	return path, ""
}

// access is the set of callers that a route allows.
type access uint8

const (
	anyone access = iota
	person        // with a token
)

type route struct {
	method, pattern string
	access          access
	// takesJSON refuses a body of another content type.
	takesJSON bool
	handle    func(*server, http.ResponseWriter, *http.Request, *caller) error
}

// routes returns every operation except publishing.
func routes() []route {
	const (
		get, post, put, patch, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete
	)
	return []route{
		{post, "/tokens", anyone, true, (*server).createToken},
		{post, "/register", anyone, true, (*server).register},
		{get, "/health", anyone, false, (*server).health},
		{post, "/identify", anyone, true, (*server).identify},

		{post, "/things/{id}/webhooks", person, true, (*server).createWebhooks},
		{get, "/things/{id}/webhooks", person, false, (*server).listThingWebhooks},
		{get, "/groups/{id}/webhooks", person, false, (*server).listGroupWebhooks},
		{post, "/things/{id}/webhooks/search", person, false, (*server).listThingWebhooks},
		{post, "/groups/{id}/webhooks/search", person, false, (*server).listGroupWebhooks},
		{get, "/webhooks/{id}", person, false, (*server).showWebhook},
		{put, "/webhooks/{id}", person, true, (*server).updateWebhook},
		{patch, "/webhooks", person, true, (*server).removeWebhooks},
		{del, "/webhooks", person, true, (*server).removeWebhooks},

		{post, "/orgs", person, true, (*server).createOrg},
		{get, "/orgs", person, false, (*server).listOrgs},
		{get, "/orgs/{id}", person, false, (*server).showOrg},
		{put, "/orgs/{id}", person, true, (*server).updateOrg},
		{del, "/orgs/{id}", person, false, (*server).removeOrg},
		{get, "/orgs/{id}/memberships", person, false, (*server).listMemberships},
		{get, "/orgs/{id}/members/{member}", person, false, (*server).showMembership},
		{post, "/orgs/{id}/memberships", person, true, (*server).createMemberships},
		{put, "/orgs/{id}/memberships", person, true, (*server).updateMemberships},
		{patch, "/orgs/{id}/memberships", person, true, (*server).removeMemberships},

		{post, "/orgs/{id}/groups", person, true, (*server).createGroups},
		{get, "/orgs/{id}/groups", person, false, (*server).listGroups},
		{post, "/orgs/{id}/groups/search", person, false, (*server).listGroups},
		{get, "/groups", person, false, (*server).listGroups},
		{post, "/groups/search", person, false, (*server).listGroups},
		{get, "/groups/{id}", person, false, (*server).showGroup},
		{get, "/things/{id}/groups", person, false, (*server).showThingGroup},
		{get, "/profiles/{id}/groups", person, false, (*server).showProfileGroup},
		{put, "/groups/{id}", person, true, (*server).updateGroup},
		{del, "/groups/{id}", person, false, (*server).removeGroup},
		{patch, "/groups", person, true, (*server).removeGroups},
		{get, "/groups/{id}/memberships", person, false, (*server).listGroupMemberships},

		{post, "/groups/{id}/profiles", person, true, (*server).createProfiles},
		{get, "/groups/{id}/profiles", person, false, (*server).listProfiles},
		{post, "/groups/{id}/profiles/search", person, false, (*server).listProfiles},
		{get, "/orgs/{id}/profiles", person, false, (*server).listOrgProfiles},
		{post, "/orgs/{id}/profiles/search", person, false, (*server).listOrgProfiles},
		{get, "/profiles", person, false, (*server).listAllProfiles},
		{post, "/profiles/search", person, false, (*server).listAllProfiles},
		{get, "/profiles/{id}", person, false, (*server).showProfile},
		{get, "/things/{id}/profiles", person, false, (*server).showThingProfile},
		{put, "/profiles/{id}", person, true, (*server).updateProfile},
		{del, "/profiles/{id}", person, false, (*server).removeProfile},
		{patch, "/profiles", person, true, (*server).removeProfiles},

		{post, "/profiles/{id}/things", person, true, (*server).createThings},
		{get, "/profiles/{id}/things", person, false, (*server).listProfileThings},
		{post, "/profiles/{id}/things/search", person, false, (*server).listProfileThings},
		{get, "/groups/{id}/things", person, false, (*server).listGroupThings},
		{post, "/groups/{id}/things/search", person, false, (*server).listGroupThings},
		{get, "/orgs/{id}/things", person, false, (*server).listOrgThings},
		{post, "/orgs/{id}/things/search", person, false, (*server).listOrgThings},
		{get, "/things", person, false, (*server).listThings},
		{post, "/things/search", person, false, (*server).listThings},
		{get, "/things/{id}", person, false, (*server).showThing},
		{put, "/things/{id}", person, true, (*server).updateThing},
		{del, "/things/{id}", person, false, (*server).removeThing},
		{patch, "/things", person, true, (*server).removeThings},

		{post, "/things/{id}/commands", person, false, (*server).commandThing},
		{post, "/things/{id}/commands/{subtopic...}", person, false, (*server).commandThing},
		{post, "/groups/{id}/commands", person, false, (*server).commandGroup},
		{post, "/groups/{id}/commands/{subtopic...}", person, false, (*server).commandGroup},
	}
}

// Patterns returns the method and pattern of every operation, as "GET /orgs", without
// the prefixes of Mainflux's services.
func Patterns() []string {
	list := []string{http.MethodPost + " /messages/{subtopic...}"}
	for _, rt := range routes() {
		list = append(list, rt.method+" "+rt.pattern)
	}
	return list
}

// handler answers a route, after checking the caller.
func (s *server) handler(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &caller{}
		err := s.authorize(c, r, rt)
		if err == nil {
			err = rt.handle(s, w, r, c)
		}
		if err != nil {
			s.answerError(w, r, err)
		}
	})
}

// absent answers a path or method without a route.
func (s *server) absent(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := *r
		other.Method = method
		if _, pattern := s.mux.Handler(&other); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		s.noMethod(w, r, strings.Join(allowed, ", "))
		return
	}
	s.answerError(w, r, &fault{status: http.StatusNotFound, text: "404 page not found"})
}

// noMethod answers a method that a path does not accept, and OPTIONS, which asks for
// those it accepts.
func (s *server) noMethod(w http.ResponseWriter, r *http.Request, allowed string) {
	w.Header().Set("Allow", allowed)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	s.answerError(w, r, &fault{status: http.StatusMethodNotAllowed, text: "method not allowed"})
}

// health answers that the service is running.
func (s *server) health(w http.ResponseWriter, r *http.Request, _ *caller) error {
	service := map[string]string{"svcthings": "things", "svcauth": "auth", "svcusers": "users", "http": "http",
		"svchttp": "http"}[prefixOf(r.Context())]
	if service == "" {
		service = "webhooks"
	}
	return handlers.WriteJSON(w, http.StatusOK, map[string]string{"status": "pass", "version": s.Version, "commit": "",
		"description": service + " service", "build_time": ""})
}
