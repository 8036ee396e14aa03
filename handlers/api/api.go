package api

import (
	"log/slog"
	"net/http"
	"time"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/downlink"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
	"thingpost/internal/settings"
	"thingpost/internal/webhook"
)

// Options of the API.
type Options struct {
	DB        *db.DB
	Ingest    *ingest.Ingest
	Downlinks *downlink.Queue
	Webhooks  *settings.Webhooks // default settings.New(DB, Now)
	Passwords *iot.Passwords
	SignIns   *handlers.SignIns // default one of its own
	Inviter   *handlers.Inviter // default one that mails nothing
	PublicURL string            // where people reach the server, without a slash at its end
	// AllowRegistration lets anybody create organizations.
	AllowRegistration bool
	Templates         *webhook.Catalogue // default webhook.BuiltIn()
	Now               func() time.Time   // default time.Now
	Log               *slog.Logger       // default discards
}

type server struct {
	Options
}

// Prefix is the path that all routes begin with.
const Prefix = "/api/v1"

// New returns a handler of all paths below Prefix. It is safe for concurrent
// use.
func New(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Webhooks == nil {
		o.Webhooks = settings.New(o.DB, o.Now)
	}
	if o.Templates == nil {
		o.Templates = webhook.BuiltIn()
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
	s := &server{Options: o}
	mux := http.NewServeMux()
	for _, rt := range Routes() {
		mux.Handle(rt.Method+" "+Prefix+rt.Pattern, handlers.JSON(s.authenticated(rt), o.Log))
	}
	mux.Handle("/", handlers.JSON(absent(mux), o.Log))
	return mux
}

// Who is the set of callers that a route allows.
type Who uint8

// The callers.
const (
	UserToken  Who = 1 << iota // a person's token
	ProjectKey                 // an API key of the path's project
	DeviceKey                  // a device's key
	Anyone                     // authorization is ignored
)

// Route is one operation of the API.
type Route struct {
	Method  string
	Pattern string // below Prefix
	Who     Who
	// OneOf has the rights of which a caller needs one in the path's project or
	// organization; 0 requires none. For a device's key only the path counts.
	OneOf iot.Rights

	handle func(*server, http.ResponseWriter, *http.Request, *caller) error
}

// Routes returns every operation of the API.
func Routes() []Route {
	const (
		either   = UserToken | ProjectKey
		senders  = either | DeviceKey
		settings = iot.ReadTraffic | iot.ChangeSettings
		org      = "/organizations/{organization}"
		project  = "/projects/{project}"
		profile  = project + "/profiles/{profile}"
		device   = project + "/devices/{device}"
		hook     = project + "/webhooks/{webhook}"
		delivery = project + "/deliveries/{delivery}"
		queue    = device + "/downlinks"
	)
	return []Route{
		{"GET", "/openapi.json", Anyone, 0, (*server).openAPI},
		{"POST", "/tokens", Anyone, 0, (*server).createToken},
		{"GET", "/organizations", UserToken, 0, (*server).listOrganizations},
		{"POST", "/organizations", UserToken, 0, (*server).createOrganization},
		{"GET", org + "/invitations", UserToken, iot.ManageMembers, (*server).listInvitations},
		{"POST", org + "/invitations", UserToken, iot.ManageMembers, (*server).createInvitation},
		{"GET", org + "/invitations/{invitation}", UserToken, iot.ManageMembers, (*server).showInvitation},
		{"DELETE", org + "/invitations/{invitation}", UserToken, iot.ManageMembers, (*server).revokeInvitation},
		{"GET", "/projects", either, 0, (*server).listProjects},
		{"POST", "/projects", UserToken, 0, (*server).createProject},
		{"GET", project, either, 0, (*server).showProject},
		{"PATCH", project, UserToken, iot.ManageProject, (*server).updateProject},
		{"DELETE", project, UserToken, iot.ManageProject, (*server).deleteProject},

		{"GET", project + "/upstream", UserToken, iot.ManageProject, (*server).showUpstream},
		{"PUT", project + "/upstream", UserToken, iot.ManageProject, (*server).setUpstream},
		{"DELETE", project + "/upstream", UserToken, iot.ManageProject, (*server).clearUpstream},

		{"GET", project + "/profiles", either, iot.ReadDevices | iot.ChangeSettings, (*server).listProfiles},
		{"POST", project + "/profiles", either, iot.ChangeSettings, (*server).createProfile},
		{"GET", profile, either, iot.ReadDevices | iot.ChangeSettings, (*server).showProfile},
		{"PATCH", profile, either, iot.ChangeSettings, (*server).updateProfile},
		{"DELETE", profile, either, iot.ChangeSettings, (*server).deleteProfile},

		{"GET", project + "/devices", either, iot.ReadDevices, (*server).listDevices},
		{"POST", project + "/devices", either, iot.WriteDevices, (*server).createDevice},
		{"GET", device, either, iot.ReadDevices, (*server).showDevice},
		{"PATCH", device, either, iot.WriteDevices, (*server).updateDevice},
		{"DELETE", device, either, iot.WriteDevices, (*server).deleteDevice},
		{"POST", device + "/key", either, iot.WriteDevices, (*server).rotateDeviceKey},

		{"GET", project + "/webhooks", either, settings, (*server).listWebhooks},
		{"POST", project + "/webhooks", either, iot.ChangeSettings, (*server).createWebhook},
		{"POST", project + "/webhooks/from-template", either, iot.ChangeSettings, (*server).createFromTemplate},
		{"GET", hook, either, settings, (*server).showWebhook},
		{"PATCH", hook, either, iot.ChangeSettings, (*server).updateWebhook},
		{"DELETE", hook, either, iot.ChangeSettings, (*server).deleteWebhook},
		{"POST", hook + "/test", either, iot.ChangeSettings, (*server).testWebhook},
		{"POST", hook + "/pause", either, iot.ChangeSettings, (*server).pauseWebhook},
		{"POST", hook + "/resume", either, iot.ChangeSettings, (*server).resumeWebhook},
		{"POST", hook + "/preview", either, iot.ChangeSettings, (*server).previewWebhook},
		{"POST", hook + "/secret", either, iot.ChangeSettings, (*server).rotateSecret},

		{"GET", "/templates", either, 0, (*server).listTemplates},
		{"GET", "/templates/{template}", either, 0, (*server).showTemplate},

		{"GET", project + "/keys", either, iot.ManageKeys, (*server).listKeys},
		{"POST", project + "/keys", either, iot.ManageKeys, (*server).createKey},
		{"DELETE", project + "/keys/{key}", either, iot.ManageKeys, (*server).deleteKey},

		{"POST", device + "/messages", senders, iot.SendMessages, (*server).receiveOne},
		{"POST", project + "/messages", senders, iot.SendMessages, (*server).receiveMany},
		{"GET", project + "/messages", either, iot.ReadTraffic, (*server).listMessages},
		{"GET", project + "/messages/export", either, iot.ReadTraffic, (*server).exportMessages},
		{"POST", project + "/messages/replay", either, iot.ChangeSettings, (*server).replayMessages},
		{"POST", project + "/messages/{message}/send", either, iot.ChangeSettings, (*server).sendMessage},
		{"GET", project + "/messages/{message}", either, iot.ReadTraffic, (*server).showMessage},

		{"GET", queue, senders, iot.ReadTraffic, (*server).listDownlinks},
		{"POST", queue, either, iot.SendDownlinks, (*server).pushDownlinks},
		{"PUT", queue, either, iot.SendDownlinks, (*server).replaceDownlinks},
		{"DELETE", queue, either, iot.SendDownlinks, (*server).clearDownlinks},
		{"POST", queue + "/take", senders, iot.SendMessages, (*server).takeDownlink},
		{"GET", queue + "/{downlink}", senders, iot.ReadTraffic, (*server).showDownlink},
		{"POST", queue + "/{downlink}/ack", senders, iot.SendMessages, (*server).ackDownlink},
		{"POST", queue + "/{downlink}/nack", senders, iot.SendMessages, (*server).nackDownlink},
		{"POST", queue + "/{downlink}/fail", senders, iot.SendMessages, (*server).failDownlink},

		{"GET", project + "/deliveries", either, iot.ReadTraffic, (*server).listDeliveries},
		{"GET", delivery, either, iot.ReadTraffic, (*server).showDelivery},
		{"POST", delivery + "/retry", either, iot.ChangeSettings, (*server).retryDelivery},
		{"POST", delivery + "/cancel", either, iot.ChangeSettings, (*server).cancelDelivery},
		{"GET", project + "/deliveries/export", either, iot.ReadTraffic, (*server).exportDeliveries},
		{"POST", project + "/deliveries/replay", either, iot.ChangeSettings, (*server).replayDeliveries},
		{"POST", project + "/deliveries/cancel", either, iot.ChangeSettings, (*server).cancelDeliveries},

		{"GET", project + "/commands", either, iot.ReadTraffic, (*server).listCommands},
		{"GET", project + "/commands/{command}", either, iot.ReadTraffic, (*server).showCommand},
		{"POST", project + "/commands/{command}/stop", either, iot.SendDownlinks, (*server).stopCommand},
		{"GET", project + "/replays", either, iot.ReadTraffic, (*server).listReplays},
		{"GET", project + "/replays/{replay}", either, iot.ReadTraffic, (*server).showReplay},
		{"POST", project + "/replays/{replay}/stop", either, iot.ChangeSettings, (*server).stopReplay},

		{"GET", project + "/audit", either, iot.ManageKeys, (*server).listAudit},
	}
}

// absent answers a path or method without a route.
func absent(mux *http.ServeMux) handlers.Func {
	return func(w http.ResponseWriter, r *http.Request) error {
		allowed := ""
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			other := *r
			other.Method = method
			if _, pattern := mux.Handler(&other); pattern != "" && pattern != "/" {
				if allowed != "" {
					allowed += ", "
				}
				allowed += method
			}
		}
		if allowed == "" {
			return iot.NewError(iot.NotFound, "Unknown path. GET "+Prefix+"/openapi.json lists all paths.")
		}
		return handlers.NoMethod(w, r, allowed)
	}
}
