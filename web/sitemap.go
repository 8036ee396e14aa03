package web

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// The first segments of paths that belong to the dialects of other systems. No page of
// ours can be below them.

// reserved are those of The Things Stack and of our own programs. A segment without a
// handler answers 404 in JSON.
func reserved() []string { return []string{"api", "v3", "in"} }

// mainflux are those of Mainflux's dialect.
func mainflux() []string {
	return []string{"http", "messages", "tokens", "users", "register", "orgs", "groups", "things", "profiles",
		"webhooks", "keys", "identify", "commands", "health", "svcauth", "svcusers", "svcthings", "svcwebhooks", "svchttp"}
}

// siteMap finds the handler of a path by its first segment. It does not redirect.
// Programs' paths are normalized first (see tidied), and rights are checked by the
// result.
type siteMap struct {
	segments map[string]http.Handler
	programs map[string]bool // which of the segments are programs'
	rest     http.Handler
}

func (s *Server) siteMap() *siteMap {
	m := &siteMap{segments: map[string]http.Handler{}, programs: map[string]bool{}, rest: s.dashboard()}
	for _, name := range append(reserved(), mainflux()...) {
		m.programs[name] = true
	}
	for _, name := range reserved() {
		m.segments[name] = http.HandlerFunc(nothingHere)
	}
	for _, name := range mainflux() {
		m.segments[name] = bounded(maxAPIBody, orNothing(s.o.Mainflux))
	}
	m.segments["api"] = s.api()
	m.segments["v3"] = s.tts()
	m.segments["embed"] = s.embed()
	m.segments["in"] = s.program(s.o.Inlets)
	m.segments["static"] = orNothing(s.o.Static)
	m.segments["inspect"] = bounded(maxInspectedBody, orNothing(s.o.Inspector))
	m.segments["healthz"] = http.HandlerFunc(healthz)
	m.segments["readyz"] = http.HandlerFunc(s.readyz)
	m.segments["metrics"] = http.HandlerFunc(nothingHere)
	if s.o.Metrics != nil && s.o.MetricsToken != "" {
		m.segments["metrics"] = bearer(s.o.MetricsToken, s.o.Metrics)
	}
	return m
}

// Segments returns the first segments of paths that are not pages of the dashboard, in
// order.
func (s *Server) Segments() []string {
	return slices.Sorted(maps.Keys(s.siteMap().segments))
}

func (m *siteMap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isUntidy(r.URL.Path) {
		tidy, ok := m.tidied(r)
		if !ok {
			nothingHere(w, r)
			return
		}
		r = tidy
	}
	if h, ok := m.segments[firstOf(r.URL.Path)]; ok {
		h.ServeHTTP(w, r)
		return
	}
	m.rest.ServeHTTP(w, r)
}

// api answers programs, without session and cookie. Browsers do not take its JSON
// answers for pages (nosniff), so they need none of a page's headers: each would cost a
// device's message a little.
func (s *Server) api() http.Handler {
	next, tts := orNothing(s.o.API), s.tts()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/v3/") {
			tts.ServeHTTP(w, r)
			return
		}
		if !strings.HasPrefix(r.URL.Path, "/api/v1/") && r.URL.Path != "/api/v1" {
			nothingHere(w, r)
			return
		}
		limitBody(w, r, maxAPIBody)
		next.ServeHTTP(w, r)
	})
}

// tts answers programs that use The Things Stack's dialect.
func (s *Server) tts() http.Handler { return s.program(s.o.TTS) }

// program answers other systems' programs.
func (s *Server) program(h http.Handler) http.Handler {
	next := orNothing(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limitBody(w, r, maxAPIBody)
		next.ServeHTTP(w, r)
	})
}

// dashboard answers people. It puts their account into the context, and refuses changes
// sent from another site's page.
func (s *Server) dashboard() http.Handler {
	next := s.o.Dashboard
	if next == nil {
		return http.NotFoundHandler()
	}
	protected := s.crossOrigin(s.withAccount(compress(next)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Content-Security-Policy"] = s.headers.pageCSP
		h["X-Frame-Options"] = s.headers.frames // for browsers without frame-ancestors
		h["Cache-Control"] = s.headers.unkept
		h["Referrer-Policy"] = s.headers.referrer
		h["Cross-Origin-Opener-Policy"] = s.headers.opener
		h["Permissions-Policy"] = s.headers.permissions
		limitBody(w, r, maxFormBody)
		protected.ServeHTTP(w, r)
	})
}

// bounded answers programs, without session and cookie, and with bodies up to a size.
func bounded(size int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limitBody(w, r, size)
		next.ServeHTTP(w, r)
	})
}

// embed answers frames of other sites, as dashboard but without a session: no cookie is
// read or set. The pages state which site can show them.
func (s *Server) embed() http.Handler {
	next := compress(orNothing(s.o.Dashboard))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Content-Security-Policy"] = s.headers.pageCSP
		h["X-Frame-Options"] = s.headers.frames
		h["Cache-Control"] = s.headers.unkept
		h["Referrer-Policy"] = s.headers.secretive // the address is secret
		h["Permissions-Policy"] = s.headers.permissions
		limitBody(w, r, maxFormBody)
		next.ServeHTTP(w, r)
	})
}

func orNothing(h http.Handler) http.Handler {
	if h == nil {
		return http.HandlerFunc(nothingHere)
	}
	return h
}
