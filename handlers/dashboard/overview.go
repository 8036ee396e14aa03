package dashboard

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// overview shows how a project does, or its first steps until a message came.
func (s *site) overview(w http.ResponseWriter, r *http.Request, v *visit) error {
	if handlers.IsFragment(r, pages.FirstStateID) {
		state, err := s.firstState(r, v)
		if err != nil {
			return err
		}
		return handlers.Render(w, r, http.StatusOK, pages.FirstState(state))
	}
	st, err := s.DB.ProjectStats(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	if !handlers.IsFragment(r, pages.FiguresID) {
		used, err := s.hasMessages(r, v, st)
		if err != nil {
			return err
		}
		// While nothing can be stored the tables may lack the first messages, and the
		// overview says what is wrong.
		if !used && s.DB.Outage() == nil {
			return s.firstSteps(w, r, v, s.shown.take(v.account.Key, firstKeySubject(v)))
		}
	}
	f, err := s.figures(r, v, st)
	if err != nil {
		return err
	}
	if handlers.IsFragment(r, pages.FiguresID) {
		return handlers.Render(w, r, http.StatusOK, pages.Figures(f))
	}
	shell, err := s.shell(w, r, v, shellFor{title: "Overview", here: v.in().Overview(), live: true})
	if err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK,
		pages.Overview(pages.OverviewPage{Shell: shell, Project: v.project, Figures: f, MaySend: v.may(iot.SendMessages)}))
}

// hasMessages reports whether the project ever had a message.
func (s *site) hasMessages(r *http.Request, v *visit, st *db.Stats) (bool, error) {
	if st.Counters.Made > 0 || sumHours(st).Messages > 0 {
		return true, nil
	}
	m, err := s.DB.Messages(r.Context(), db.MessageFilter{ProjectKey: v.project.Key, Limit: 1})
	return len(m.Items) > 0, err
}

// figures are all that the overview shows of a project in use.
func (s *site) figures(r *http.Request, v *visit, st *db.Stats) (pages.OverviewFigures, error) {
	f := pages.OverviewFigures{In: v.in(), Bars: deliveryBars(st), Series: deliverySeries()}
	hooks, err := s.DB.Webhooks(r.Context(), v.project.Key)
	if err != nil {
		return f, err
	}
	each, err := s.DB.WebhookStats(r.Context(), v.project.Key)
	if err != nil {
		return f, err
	}
	now := s.now()
	f.Stats = s.numbers(v, st, hooks, each, now)
	for _, w := range hooks {
		g := pages.WebhookGlance{Webhook: w, Host: hostOf(w.URL), Status: pages.WebhookStatus(w, v.name()), Success: "–", P95: "–"}
		if ws := each[w.Key]; ws != nil {
			sum := sumHours(ws)
			g.Bars, g.Success = deliveryBars(ws), ui.Percent(sum.Delivered, sum.Delivered+sum.Failed+sum.Retried)
			g.Backlog = ws.Counters.Pending
			if ws.P95MS > 0 {
				g.P95 = ui.Duration(milliseconds(ws.P95MS))
			}
		}
		f.Webhooks = append(f.Webhooks, g)
	}
	f.Needs, err = s.needs(r, v, overviewFigures{hooks, each, st, now})
	return f, err
}

// hostOf returns a URL's host, the only part that is sure to hold no secret.
func hostOf(address string) string {
	_, rest, ok := strings.Cut(address, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, "/?#{"); i >= 0 {
		rest = rest[:i]
	}
	u := url.URL{Host: rest[strings.LastIndex(rest, "@")+1:]}
	return u.Host
}

// firstKeyRights are what the commands of the first steps need.
const firstKeyRights = iot.SendMessages | iot.ReadTraffic | iot.ReadDevices | iot.WriteDevices | iot.ChangeSettings

const firstKeyLifetime = 24 * time.Hour

func firstKeySubject(v *visit) string { return "first-key " + v.project.UUID }

// makeFirstKey makes a key for the commands of a new project's overview, which
// shows it once.
func (s *site) makeFirstKey(v *visit) error {
	id, secret, text := iot.NewAPIKey()
	k := &iot.APIKey{ID: id, ProjectKey: v.project.Key, Name: "First steps", Rights: firstKeyRights, ExpiresAt: s.now().Add(firstKeyLifetime)}
	if err := s.DB.CreateAPIKey(k, secret, v.actor()); err != nil {
		return err
	}
	s.shown.keep(v.account.Key, firstKeySubject(v), text)
	return nil
}

// createFirstKey makes another key for the commands.
func (s *site) createFirstKey(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := s.makeFirstKey(v); err != nil {
		return err
	}
	return handlers.Redirect(w, r, v.in().Overview())
}

// firstState counts what a new project has.
func (s *site) firstState(r *http.Request, v *visit) (pages.FirstStepsState, error) {
	state := pages.FirstStepsState{In: v.in()}
	devices, err := s.DB.Devices(r.Context(), db.DeviceFilter{ProjectKey: v.project.Key, Limit: 1})
	if err != nil {
		return state, err
	}
	if len(devices) > 0 {
		state.Device = devices[0].ID
	}
	if state.Devices, err = s.DB.CountDevices(r.Context(), v.project.Key); err != nil {
		return state, err
	}
	hooks, err := s.DB.Webhooks(r.Context(), v.project.Key)
	if err != nil {
		return state, err
	}
	state.Webhooks = len(hooks)
	st, err := s.DB.ProjectStats(r.Context(), v.project.Key)
	if err != nil {
		return state, err
	}
	state.Messages = sumHours(st).Messages
	return state, nil
}

// firstSteps shows the three steps to the first delivery. A key is shown if it
// was made just now.
func (s *site) firstSteps(w http.ResponseWriter, r *http.Request, v *visit, key iot.Secret) error {
	state, err := s.firstState(r, v)
	if err != nil {
		return err
	}
	shell, err := s.shell(w, r, v, shellFor{title: "Welcome to " + v.project.Name, here: v.in().Overview(), live: true})
	if err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.FirstSteps(pages.FirstStepsPage{
		Shell: shell, Project: v.project, State: state, URL: s.publicURL(r), Key: key.Reveal(),
		KeyHours: strconv.Itoa(int(firstKeyLifetime.Hours())),
		MayKey:   v.may(iot.ManageKeys), MayChange: v.may(iot.WriteDevices | iot.ChangeSettings), MaySend: v.may(iot.SendMessages),
	}))
}
