package tts

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/downlink"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
	"thingpost/internal/settings"
	"thingpost/internal/webhook"
)

// Options of the dialect.
type Options struct {
	DB        *db.DB
	Ingest    *ingest.Ingest
	Downlinks *downlink.Queue
	Webhooks  *settings.Webhooks // default settings.New(DB, Now)
	Templates *webhook.Catalogue // default the built-in one
	// Hub reports new messages to subscribers by gRPC. Without it subscriptions are
	// refused.
	Hub handlers.Hub
	Now func() time.Time // default time.Now
	Log *slog.Logger     // default discards
}

type server struct{ Options }

func newServer(o Options) *server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Templates == nil {
		o.Templates = webhook.BuiltIn()
	}
	if o.Webhooks == nil {
		o.Webhooks = settings.New(o.DB, o.Now)
	}
	return &server{o}
}

// Prefix is the path that all routes begin with.
const Prefix = "/api/v3"

// misspelt is Prefix as The Things Stack's documents also write it.
const misspelt = "/v3/api"

// New returns a handler of all paths below Prefix and its misspelling. It is safe
// for concurrent use.
func New(o Options) http.Handler {
	s := newServer(o)
	mux := http.NewServeMux()
	for _, rt := range routes(s) {
		mux.Handle(rt.in(), s.answering(rt))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { absent(mux, w, r) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// An escaped slash is part of a name: path and escaped path change together.
		if rest, ok := strings.CutPrefix(r.URL.EscapedPath(), misspelt+"/"); ok {
			moved := r.Clone(r.Context())
			moved.URL.Path, moved.URL.RawPath = Prefix+strings.TrimPrefix(r.URL.Path, misspelt), Prefix+"/"+rest
			r = moved
		}
		mux.ServeHTTP(w, r)
	})
}

func routes(s *server) []route { return slices.Concat(methodRoutes(s), hookRoutes(), upRoutes()) }

// Patterns returns the method and pattern of every path of New, as "GET
// /api/v3/as/webhook-formats". A route for any method has no method.
func Patterns() []string {
	var list []string
	for _, rt := range routes(nil) {
		list = append(list, rt.in())
	}
	return list
}

// route is one operation. Its handler answers, or returns an *Error, an *iot.Error, or
// another error that callers must not see.
type route struct {
	method, pattern string // any method if empty
	handle          func(*server, http.ResponseWriter, *http.Request) error
	bare            bool // not a method of a service: its errors are indented, as in The Things Stack
}

// in is the route's pattern in the mux.
func (rt *route) in() string { return strings.TrimSpace(rt.method + " " + Prefix + rt.pattern) }

// absent answers a path or method without a route.
func absent(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := *r
		other.Method = method
		if _, pattern := mux.Handler(&other); pattern != "" && pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		writeError(w, errNoRoute, false)
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeError(w, errNoMethod, false)
}

func (s *server) answering(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(withCall(r.Context(), call{authorization: r.Header.Get("Authorization"), header: w.Header().Set}))
		err := rt.handle(s, w, r)
		if err == nil {
			return
		}
		e := errorOf(err)
		s.logFailure(r.Context(), r.Method+" "+r.URL.Path, w.Header().Get(handlers.RequestIDHeader), e, err)
		handlers.SetRetryAfter(w.Header(), iot.CodeOf(err))
		writeError(w, e, rt.bare)
	})
}

// logFailure logs our own faults, for operators.
func (s *server) logFailure(ctx context.Context, method, request string, e *Error, err error) {
	if known := (*Error)(nil); !errors.As(err, &known) && e.Code == codeInternal || e.Code == codeUnavailable {
		s.Log.ErrorContext(ctx, "request failed", slog.String("method", method), slog.String("request_id", request), slog.Any("error", err))
	}
}

// writeJSON answers 200 with encoded JSON.
func writeJSON(w http.ResponseWriter, body []byte) {
	handlers.WriteJSONBytes(w, http.StatusOK, body)
}
