package dashboard

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/downlink"
	"thingpost/internal/egress"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
	"thingpost/internal/settings"
	"thingpost/internal/webhook"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// Options of a dashboard.
type Options struct {
	DB        *db.DB
	Ingest    *ingest.Ingest
	Downlinks *downlink.Queue
	Webhooks  *settings.Webhooks // default settings.New(DB, Now)
	Passwords *iot.Passwords
	SignIns   *handlers.SignIns // default one of its own
	Inviter   *handlers.Inviter // default one that mails nothing
	Sessions  handlers.Sessions
	Hub       handlers.Hub
	// Policy says which addresses can be reached, for a word when a URL is saved.
	Policy *egress.Policy
	// SetupToken opens the set-up page while there is no account.
	SetupToken iot.Secret
	// PublicURL is the address by which devices reach this host, for the commands
	// that pages show; empty: the one that the browser used.
	PublicURL string
	// AllowRegistration lets anybody make organizations.
	AllowRegistration bool
	Limits            iot.Limits
	Templates         *webhook.Catalogue // default webhook.BuiltIn()
	Version           string
	// Accepting reports whether messages can be stored at the moment, for the sign
	// at the foot of each page; nil: no sign.
	Accepting func(context.Context) bool
	// Backups makes copies of the database.
	Backups *db.Backups
	// Host is what the pages about this host tell beside what the store knows.
	Host Host
	// StylePage shows every component on a page of its own.
	StylePage bool
	Secure    bool             // cookies are for HTTPS alone
	Now       func() time.Time // default time.Now
	Log       *slog.Logger     // default discards
}

// Host is what is known of this host where it is started.
type Host struct {
	StartedAt      iot.Instant
	Retention      time.Duration      // 0 is for ever
	RetentionBytes int64              // 0 is no bound
	Options        []pages.HostOption // in force, without secrets
	// LivePages returns how many pages listen for changes; nil: not told.
	LivePages func() int
}

// site is the dashboard. It is safe for concurrent use.
type site struct {
	Options
	shown *once
}

// New returns the dashboard's handler. It answers all paths that it is given,
// those that it does not know with a page that says so.
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
	if o.Limits == (iot.Limits{}) {
		o.Limits = o.DB.Limits()
	}
	if o.SignIns == nil {
		o.SignIns = handlers.NewSignIns(handlers.SignInOptions{Now: o.Now})
	}
	if o.Inviter == nil {
		o.Inviter = handlers.NewInviter(handlers.InviterOptions{Create: o.DB.CreateInvitations, Now: o.Now})
	}
	if o.Templates == nil {
		o.Templates = webhook.BuiltIn()
	}
	o.PublicURL = strings.TrimSuffix(o.PublicURL, "/")
	s := &site{Options: o, shown: newOnce(o.Now)}
	mux := http.NewServeMux()
	for _, rt := range s.routes() {
		mux.Handle(rt.method+" "+rt.pattern, s.serve(rt))
	}
	mux.Handle("/", s.serve(route{access: anyone, handle: s.unknown}))
	return mux
}

// Patterns returns the method and pattern of every page and action, as "GET /settings",
// with those that an option adds.
func Patterns() []string {
	var list []string
	for _, rt := range (&site{Options: Options{StylePage: true}}).routes() {
		list = append(list, rt.method+" "+rt.pattern)
	}
	return list
}

// serve makes a handler of a route: it lets in who may come, and shows what goes
// wrong.
func (s *site) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{account: handlers.Account(r.Context())}
		handlers.HTML(func(w http.ResponseWriter, r *http.Request) error {
			if err := s.admit(r, rt, v); err != nil {
				return err
			}
			return rt.handle(w, r, v)
		}, handlers.HTMLOptions{Log: s.Log, Page: s.failure(v), Toast: failureToast, ToastsID: ui.ToastsID, SignIn: pages.SignInPath}).ServeHTTP(
			w, r)
	})
}

func (s *site) unknown(http.ResponseWriter, *http.Request, *visit) error {
	return iot.NewError(iot.NotFound, "There is no page at this address.")
}

func (s *site) now() iot.Instant { return iot.At(s.Now()) }

// publicURL returns the address by which this host is reached, without a slash
// at its end.
func (s *site) publicURL(r *http.Request) string {
	switch {
	case s.PublicURL != "":
		return s.PublicURL
	case s.Secure || r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
