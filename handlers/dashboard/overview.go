package dashboard

import (
	"net/http"
	"net/url"
	"os"
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
		if !used {
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
	return handlers.Render(w, r, http.StatusOK, pages.Overview(pages.OverviewPage{Shell: shell, Project: v.project, Figures: f, MaySend: v.may(iot.SendMessages)}))
}

// hasMessages reports whether the project ever had a message.
func (s *site) hasMessages(r *http.Request, v *visit, st *db.Stats) (bool, error) {
	if st.Counters.Made > 0 || sumHours(st).Messages > 0 {
		return true, nil
	}
	m, err := s.DB.Messages(r.Context(), db.MessageFilter{ProjectID: v.project.Key, Limit: 1})
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
	f.Stats = s.numbers(st, hooks, now)
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
	f.Needs = needs(v.in(), hooks, each, st, now)
	silent, err := s.silentNeeds(r, v, now)
	f.Needs = append(f.Needs, silent...)
	return f, err
}

// numbers are the seven figures at the top.
func (s *site) numbers(st *db.Stats, hooks []*iot.Webhook, now iot.Instant) []ui.Stat {
	r, day := recentOf(st, now), sumHours(st)
	active := 0
	for _, w := range hooks {
		if !w.Paused {
			active++
		}
	}
	ended := day.Delivered + day.Failed + day.Retried
	success := ui.Stat{Label: "Success, last hour", Parts: []ui.Part{ui.PercentPart(r.delivered, r.delivered+r.failed)}, Note: ui.Percent(day.Delivered, ended) + " in 24 h"}
	if r.failed*20 > r.delivered+r.failed {
		success.Tone = ui.Danger // more than 5 % of the attempts
	}
	p95 := ui.Stat{Label: "Delivery time, p95", Value: "–", Note: "nothing delivered in 24 h"}
	if st.P95MS > 0 {
		p95.Parts, p95.Note = ui.DurationParts(milliseconds(st.P95MS)), "median "+ui.Duration(milliseconds(st.P50MS))
	}
	oldest := ui.Stat{Label: "Oldest undelivered", Value: "–", Note: "nothing waits"}
	if st.OldestPendingAt != 0 {
		oldest.Parts, oldest.Note = ui.DurationParts(now.Sub(st.OldestPendingAt)), ""
		oldest.More = pages.NextTry(st.NextDueAt, now)
	}
	return []ui.Stat{
		{Label: "Messages in", Parts: []ui.Part{r.perSecond(r.messages)}, Note: ui.Count(day.Messages) + " in 24 h"},
		{Label: "Deliveries out", Parts: []ui.Part{r.perSecond(r.delivered)}, Note: ui.Count(int64(active)) + " of " + ui.Plural(int64(len(hooks)), "webhook", "webhooks")},
		success, p95, oldest,
		{Label: "Pending", Value: ui.Count(st.Counters.Pending), Note: "waiting or retried"},
		{Label: "Disk", Parts: []ui.Part{s.diskUse()}, Note: "the whole database"},
	}
}

// diskUse is the size of the database with its write-ahead log.
func (s *site) diskUse() ui.Part {
	var size int64
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(s.DB.Path() + suffix); err == nil {
			size += info.Size()
		}
	}
	value, unit, _ := strings.Cut(ui.BinaryBytes(size), " ")
	return ui.Part{Value: value, Unit: unit}
}

// A backlog wants attention when it is older than this, and an old signing
// secret when it ends sooner than this.
const (
	oldBacklog  = 15 * time.Minute
	soonExpires = 7 * 24 * time.Hour
)

// needs lists what wants attention, the worst first.
func needs(in pages.In, hooks []*iot.Webhook, each map[int64]*db.Stats, st *db.Stats, now iot.Instant) []ui.NeedProps {
	var failing, waiting, quiet []ui.NeedProps
	for _, w := range hooks {
		href := in.Deliveries("webhook", w.ID)
		switch {
		case w.Paused && w.PausedBy == iot.PausedByThingpost:
			waiting = append(waiting, ui.NeedProps{Tone: ui.Warning, Shape: ui.Dash, Title: w.Description + " is paused", Text: "It answered 410 Gone " + coarse(now.Sub(w.PausedAt)) + " ago", Href: in.Webhooks()})
		case !w.Paused && w.Health.Status == iot.Failing:
			text := strings.TrimSuffix(w.Health.LastError, ".")
			if w.Health.Since != 0 {
				text += ", for " + coarse(now.Sub(w.Health.Since))
			}
			if s := each[w.Key]; s != nil && s.NextDueAt > now {
				text += ", next try in " + coarse(s.NextDueAt.Sub(now))
			}
			failing = append(failing, ui.NeedProps{Tone: ui.Danger, Shape: ui.Square, Title: w.Description + " is failing", Text: text, Href: href})
		}
		if left := w.OldSecretUntil.Sub(now); w.OldSecretUntil > now && left < soonExpires {
			quiet = append(quiet, ui.NeedProps{Tone: ui.Info, Shape: ui.Ring, Title: "An old signing secret ends", Text: w.Description + ", in " + coarse(left), Href: in.Webhook(w.ID)})
		}
	}
	if st.OldestPendingAt != 0 && now.Sub(st.OldestPendingAt) > oldBacklog {
		waiting = append(waiting, ui.NeedProps{Tone: ui.Warning, Title: "Deliveries are waiting", Text: ui.Count(st.Counters.Pending) + " pending, the oldest for " + coarse(now.Sub(st.OldestPendingAt)),
			Href: in.Deliveries("status", string(iot.Pending))})
	}
	return append(append(failing, waiting...), quiet...)
}

// maxSilentNeeds is how many silent devices the overview names.
const maxSilentNeeds = 3

// silentNeeds lists devices gone silent, and how many more there are.
func (s *site) silentNeeds(r *http.Request, v *visit, now iot.Instant) ([]ui.NeedProps, error) {
	list, err := s.DB.Devices(r.Context(), db.DeviceFilter{ProjectID: v.project.Key, Silent: true, Limit: maxSilentNeeds})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	var needs []ui.NeedProps
	for i := range list {
		d := &list[i]
		needs = append(needs, ui.NeedProps{Tone: ui.Warning, Title: d.ID + " has gone silent", Text: "Last seen " + coarse(now.Sub(d.LastSeenAt)) + " ago", Href: v.in().Device(d.ID)})
	}
	all, err := s.DB.CountSilent(r.Context(), v.project.Key, maxCounted)
	if more := all - len(list); more > 0 {
		needs = append(needs, ui.NeedProps{Tone: ui.Warning, Title: ui.Plural(int64(more), "more device is silent", "more devices are silent"), Text: "See which", Href: v.in().Devices("silent", "1")})
	}
	return needs, err
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
	k := &iot.APIKey{ID: id, ProjectID: v.project.Key, Name: "First steps", Rights: firstKeyRights, ExpiresAt: s.now().Add(firstKeyLifetime)}
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
	devices, err := s.DB.Devices(r.Context(), db.DeviceFilter{ProjectID: v.project.Key, Limit: 1})
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
		Shell: shell, Project: v.project, State: state, URL: s.publicURL(r), Key: key.Reveal(), KeyHours: strconv.Itoa(int(firstKeyLifetime.Hours())),
		MayKey: v.may(iot.ManageKeys), MayChange: v.may(iot.WriteDevices | iot.ChangeSettings), MaySend: v.may(iot.SendMessages),
	}))
}
