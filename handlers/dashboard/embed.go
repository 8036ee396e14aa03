package dashboard

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/pages"
)

// embedRoutes are the log as another site shows it in a frame. They look at no
// session: the link says it all.
func (s *site) embedRoutes() []route {
	const log = "/embed/{token}"
	return []route{
		{get, log, anyone, 0, s.embedded(s.embedLog)},
		{get, log + "/deliveries/{delivery}", anyone, 0, s.embedded(s.embedDelivery)},
		{get, log + "/events", anyone, 0, s.embedded(s.embedEvents)},
		{http.MethodOptions, log, anyone, 0, s.embedOptions},
		{http.MethodOptions, log + "/{rest...}", anyone, 0, s.embedOptions},
	}
}

// embedVisit is what a link shows, and how.
type embedVisit struct {
	embed *iot.Embed
	path  pages.EmbedPath
}

// embedded finds what the link shows. It answers in words for whoever opened it
// also where that is nothing.
func (s *site) embedded(handle func(w http.ResponseWriter, r *http.Request, v *embedVisit) error) func(http.ResponseWriter, *http.Request,
	*visit) error {
	return func(w http.ResponseWriter, r *http.Request, _ *visit) error {
		v := &embedVisit{path: pages.EmbedPath{Token: r.PathValue("token"), Theme: layout.ParseTheme(r.URL.Query().Get(pages.ParamTheme))}}
		e, err := s.DB.EmbedByToken(r.Context(), v.path.Token)
		s.frameHeaders(w, r, e)
		if err == nil {
			v.embed = e
			err = handle(w, r, v)
		}
		if err == nil {
			return nil
		}
		title, status := "This log cannot be shown", http.StatusInternalServerError
		text := "Something went wrong. Try again in a moment."
		problem, ok := errors.AsType[*iot.Error](err)
		switch {
		case ok && problem.Code == iot.NotFound:
			text, status = problem.Message, http.StatusNotFound
		case ok && problem.Code == iot.Forbidden:
			text, status = problem.Message, http.StatusForbidden
		case r.Context().Err() == nil:
			s.Log.LogAttrs(r.Context(), slog.LevelError, "embedded log", slog.Any("error", err))
		}
		return handlers.Render(w, r, status, pages.EmbedProblem(v.path.Theme, title, text))
	}
}

// frameHeaders let the sites that a link names show the page, and nobody else. In
// a frame with a sandbox the page is of no origin, so that what it fetches from
// here is from elsewhere to the browser; that is allowed, as nothing here knows
// who asks.
func (s *site) frameHeaders(w http.ResponseWriter, r *http.Request, e *iot.Embed) {
	h := w.Header()
	ancestors := "'none'"
	if e != nil {
		ancestors = strings.Join(e.Origins, " ")
		h.Del("X-Frame-Options") // it cannot name sites
	}
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "+
		"connect-src 'self'; "+
		"form-action 'none'; base-uri 'none'; frame-ancestors "+ancestors)
	h.Set("Referrer-Policy", "no-referrer") // the address is the secret
	h.Set("Cache-Control", "no-store")
	h.Del("Cross-Origin-Opener-Policy")
	h.Add("Vary", "Origin")
	if r.Header.Get("Origin") == "null" {
		h.Set("Access-Control-Allow-Origin", "null")
		h.Set("Access-Control-Allow-Credentials", "true") // the event stream asks with them; none are looked at
	}
}

// embedOptions answers what a browser asks before a frame with a sandbox fetches
// a section.
func (s *site) embedOptions(w http.ResponseWriter, r *http.Request, _ *visit) error {
	s.frameHeaders(w, r, nil)
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET")
	h.Set("Access-Control-Allow-Headers", "HX-Request, HX-Target, HX-Current-URL, HX-Trigger, HX-Trigger-Name, HX-Boosted")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// embedPerPage is how many rows a page of an embedded log shows.
const embedPerPage = 25

// embedLog shows the list, or the section of it that refreshes itself.
func (s *site) embedLog(w http.ResponseWriter, r *http.Request, v *embedVisit) error {
	given := r.URL.Query()
	p := pages.EmbedPage{Path: v.path, Title: v.embed.Name, Now: s.now(), OneWebhook: v.embed.WebhookKey != 0}
	f := db.DeliveryFilter{ProjectKey: v.embed.ProjectKey, WebhookKey: v.embed.WebhookKey, Limit: embedPerPage}
	if before, ok := iot.ParseID(given.Get(pages.ParamBefore)); ok {
		f.Before, p.Before = before, before.String()
	}
	switch status := given.Get(pages.ParamStatus); {
	case status == pages.Retrying:
		f.Retrying, p.Status = true, status
	case slices.Contains(iot.Statuses(), iot.Status(status)):
		f.Statuses, p.Status = []iot.Status{iot.Status(status)}, status
	}
	found, err := s.DB.Deliveries(r.Context(), f)
	if err != nil {
		return err
	}
	p.Items, p.Next, p.LookedBackTo = found.Items, found.Next.String(), found.LookedBackTo
	if handlers.IsFragment(r, pages.EmbedListID) {
		return handlers.Render(w, r, http.StatusOK, pages.EmbedList(p))
	}
	return handlers.Render(w, r, http.StatusOK, pages.EmbedLog(p))
}

// embedDelivery shows one delivery of what the link shows.
func (s *site) embedDelivery(w http.ResponseWriter, r *http.Request, v *embedVisit) error {
	absent := iot.NewError(iot.NotFound, "There is no such delivery in this log, or it is no longer kept.")
	id, ok := iot.ParseID(r.PathValue("delivery"))
	if !ok {
		return absent
	}
	d, err := s.DB.Delivery(r.Context(), v.embed.ProjectKey, id)
	if iot.CodeOf(err) == iot.NotFound || err == nil && v.embed.WebhookKey != 0 && d.WebhookKey != v.embed.WebhookKey {
		return absent
	}
	if err != nil {
		return err
	}
	p := pages.EmbedDelivery{Path: v.path, Now: s.now(), Delivery: d}
	if p.Attempts, err = s.DB.Attempts(r.Context(), id, pages.EmbedAttempts); err != nil {
		return err
	}
	slices.Reverse(p.Attempts)
	p.Earlier = max(d.AttemptCount-len(p.Attempts), 0)
	return handlers.Render(w, r, http.StatusOK, pages.EmbedDetail(p))
}

// embedEvents tells when deliveries change, and nothing else, for as long as the
// link holds.
func (s *site) embedEvents(w http.ResponseWriter, r *http.Request, v *embedVisit) error {
	return s.follow(w, r, follower{
		project: v.embed.ProjectKey,
		hears:   func(name iot.EventName) bool { return name == iot.DeliveriesChanged },
		still: func() bool {
			_, err := s.DB.EmbedByToken(r.Context(), v.path.Token)
			return err == nil
		},
	})
}
