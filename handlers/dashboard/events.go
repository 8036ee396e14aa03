package dashboard

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"thingpost/internal/iot"
	"thingpost/views/pages"
)

const (
	// eventPause is the least time between two batches of names, so that a busy
	// project does not make its pages fetch without end.
	eventPause = 500 * time.Millisecond
	// heartbeat is how often a line is sent while nothing happens: it keeps proxies
	// from closing the stream, and shows that the reader is gone.
	heartbeat = 20 * time.Second
	// eventTimeout is how long a reader may take for what was sent.
	eventTimeout = 10 * time.Second
)

// events sends the names of what changes in the project, as server-sent events,
// for as long as the page is open. It ends when the reader falls behind or is no
// longer a member.
func (s *site) events(w http.ResponseWriter, r *http.Request, v *visit) error {
	return s.follow(w, r, follower{
		project: v.project.Key,
		hears:   func(iot.EventName) bool { return true },
		still: func() bool {
			role, err := s.DB.Role(r.Context(), v.project.OrganizationKey, v.account.Key)
			return err != nil || role != ""
		},
	})
}

// follower is a page that hears of changes in a project.
type follower struct {
	project int64
	hears   func(iot.EventName) bool
	still   func() bool // whether it may still hear; asked at each heartbeat
}

// follow sends a page what it hears, until it is closed or may hear no more.
func (s *site) follow(w http.ResponseWriter, r *http.Request, f follower) error {
	names, stop := s.Hub.Subscribe(f.project)
	defer stop()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	out := stream{w: w, c: http.NewResponseController(w), now: s.Now}
	if out.send(": open\n\n") != nil {
		return nil
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	var waiting []iot.EventName
	paused := false
	for {
		select {
		case <-r.Context().Done():
			return nil
		case name, ok := <-names:
			if !ok {
				return nil
			}
			if f.hears(name) && !slices.Contains(waiting, name) {
				waiting = append(waiting, name)
			}
		case <-pause.C:
			paused = false
		case <-beat.C:
			if !f.still() || out.send(": still here\n\n") != nil {
				return nil
			}
		}
		if len(waiting) > 0 && !paused {
			if out.send(eventText(waiting)) != nil {
				return nil
			}
			waiting, paused = waiting[:0], true
			pause.Reset(eventPause)
		}
	}
}

// eventText writes names as events, and one more for sections that show a bit of
// all.
func eventText(names []iot.EventName) string {
	var b strings.Builder
	for _, name := range append(slices.Clone(names), pages.AnyChange) {
		b.WriteString("event: " + string(name) + "\ndata:\n\n")
	}
	return b.String()
}

// stream sends pieces at once, with time for each.
type stream struct {
	w http.ResponseWriter
	c *http.ResponseController

	now func() time.Time
}

func (o stream) send(text string) error {
	if err := o.c.SetWriteDeadline(o.now().Add(eventTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := o.w.Write([]byte(text)); err != nil {
		return err
	}
	return o.c.Flush()
}
