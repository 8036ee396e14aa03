package dashboard

import (
	"net/http"
	"os"
	"strings"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// overviewFigures are what the overview was read from.
type overviewFigures struct {
	hooks []*iot.Webhook
	each  map[int64]*db.Stats // by webhook
	all   *db.Stats
	now   iot.Instant
}

// numbers are the seven figures at the top.
func (s *site) numbers(v *visit, st *db.Stats, hooks []*iot.Webhook, each map[int64]*db.Stats, now iot.Instant) []ui.Stat {
	r, day := recentOf(st, v.project.CreatedAt, now), sumHours(st)
	active := 0
	for _, w := range hooks {
		if !w.Paused {
			active++
		}
	}
	ended := day.Delivered + day.Failed + day.Retried
	success := ui.Stat{Label: "Success, last hour", Parts: []ui.Part{ui.PercentPart(r.delivered, r.delivered+r.failed)},
		Note: ui.Percent(day.Delivered, ended) + " in 24 h"}
	if r.failed*20 > r.delivered+r.failed {
		success.Tone = ui.Danger // more than 5 % of the attempts
	}
	p95 := ui.Stat{Label: "Delivery time, p95", Value: "–", Note: "nothing delivered in 24 h"}
	if st.P95MS > 0 {
		p95.Parts, p95.Note = ui.DurationParts(milliseconds(st.P95MS)), "median "+ui.Duration(milliseconds(st.P50MS))
	}
	pending := ui.Stat{Label: "Pending", Value: ui.Count(st.Counters.Pending), Note: "waiting or retrying"}
	if st.Counters.Pending == 0 {
		pending.Note = "none pending"
	} else if r.grown > 0 {
		pending.Note = "+" + ui.Count(min(r.grown, st.Counters.Pending)) + " in the last hour"
	}
	return []ui.Stat{
		{Label: "Messages in", Parts: []ui.Part{r.perSecond(r.messages)}, Note: ui.Count(day.Messages) + " in 24 h"},
		{Label: "Deliveries out", Parts: []ui.Part{r.perSecond(r.delivered)}, Note: ui.Count(int64(active)) + " of " +
			ui.Plural(int64(len(hooks)), "webhook", "webhooks")},
		success, p95, oldestStat(st, hooks, each, now), pending,
		{Label: "Disk", Parts: []ui.Part{s.diskUse()}, Note: "the whole database"},
	}
}

// oldestStat says what waits the longest, for which webhook and until when.
func oldestStat(st *db.Stats, hooks []*iot.Webhook, each map[int64]*db.Stats, now iot.Instant) ui.Stat {
	oldest := ui.Stat{Label: "Oldest undelivered", Value: "–", Note: "none pending"}
	if st.OldestPendingAt == 0 {
		return oldest
	}
	oldest.Parts, oldest.Note = coarseParts(now.Sub(st.OldestPendingAt)), ""
	oldest.More = pages.NextTry(st.NextDueAt, now)
	for _, w := range hooks {
		if e := each[w.Key]; e != nil && e.OldestPendingAt == st.OldestPendingAt && len(hooks) > 1 {
			oldest.Note, oldest.More = w.Description, nil
		}
	}
	return oldest
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

// A backlog wants attention when its oldest delivery is older than oldBacklog, or
// when it is of manyPending and more than a quarter of it came in the last hour;
// a secret or key when it ends sooner than soonExpires.
const (
	oldBacklog  = 15 * time.Minute
	manyPending = 100
	soonExpires = 7 * 24 * time.Hour
)

// maxNeeds is how many silent devices, and how many keys, the overview names.
const maxNeeds = 3

// needs lists what wants attention, the worst first: a disk without room, webhooks that fail, what
// waits or was stopped, devices gone silent, and what ends soon.
func (s *site) needs(r *http.Request, v *visit, f overviewFigures) ([]ui.NeedProps, error) {
	in := v.in()
	var failing, waiting, quiet []ui.NeedProps
	for _, w := range f.hooks {
		switch {
		case w.Paused && w.PausedBy == iot.PausedByThingpost:
			waiting = append(waiting, ui.NeedProps{Tone: ui.Warning, Shape: ui.Dash, Title: w.Description + " is paused",
				Text: "It answered 410 Gone " + ui.AgoText(w.PausedAt, f.now), Href: in.Webhooks()})
		case !w.Paused && w.Health.Status == iot.Failing:
			failing = append(failing, failingNeed(in, w, f.each[w.Key], f.now))
		}
		if left := w.OldSecretUntil.Sub(f.now); w.OldSecretUntil > f.now && left < soonExpires {
			quiet = append(quiet, ui.NeedProps{Tone: ui.Info, Shape: ui.Ring, Title: "An old signing secret expires",
				Text: w.Description + ", in " + ui.Span(left), Href: in.Webhook(w.ID)})
		}
	}
	if n, ok := outageNeed(v, s.DB.Outage(), f.now); ok {
		failing = append([]ui.NeedProps{n}, failing...)
	} else if n, ok := diskNeed(v, s.DB.Disk()); ok {
		failing = append([]ui.NeedProps{n}, failing...)
	}
	if n, ok := backlogNeed(v, f); ok {
		waiting = append(waiting, n)
	}
	silent, err := s.silentNeeds(r, v, f.now)
	if err != nil {
		return nil, err
	}
	keys, err := s.keyNeeds(r, v, f.now)
	return append(append(append(append(failing, waiting...), silent...), quiet...), keys...), err
}

// outageNeed is about a disk that takes no messages.
func outageNeed(v *visit, t *db.Outage, now iot.Instant) (n ui.NeedProps, ok bool) {
	if t == nil {
		return n, false
	}
	n = ui.NeedProps{Tone: ui.Danger, Shape: ui.Square, Title: "Messages cannot be stored", Href: v.in().Messages(),
		Text: outageText(t, now) + " It resumes automatically when the disk works again."}
	if v.account.Administrator {
		n.Href = instanceOf(v).Storage()
	}
	return n, true
}

// outageText says since when nothing can be stored, why, and what to do.
func outageText(t *db.Outage, now iot.Instant) string {
	text := "For " + ui.Span(now.Sub(t.Since))
	if t.Refused > 0 {
		text += ", " + ui.Plural(t.Refused, "message", "messages") + " refused"
	}
	return text + ". " + t.Message
}

// diskNeed is about a disk that is nearly full.
func diskNeed(v *visit, d db.Disk) (n ui.NeedProps, ok bool) {
	n = ui.NeedProps{Tone: ui.Danger, Shape: ui.Square, Title: "The disk is getting full", Href: v.in().Messages(),
		Text: ui.BinaryBytes(d.Free) + " are free. On a full disk, messages are refused until there is room again."}
	if v.account.Administrator {
		n.Href = instanceOf(v).Storage()
	}
	return n, d.Known && d.Free < lowBytes
}

func failingNeed(in pages.In, w *iot.Webhook, st *db.Stats, now iot.Instant) ui.NeedProps {
	// What went wrong, without what to do.
	text, _, _ := strings.Cut(strings.TrimSuffix(w.Health.LastError, "."), ": ")
	text, _, _ = strings.Cut(text, "; ")
	if w.Health.Since != 0 {
		text += ", for " + ui.Span(now.Sub(w.Health.Since))
	}
	if st != nil && st.NextDueAt > now {
		text += ", next try in " + ui.Span(st.NextDueAt.Sub(now))
	}
	return ui.NeedProps{Tone: ui.Danger, Shape: ui.Square, Title: w.Description + " is failing", Text: text,
		Href: in.Deliveries("webhook", w.ID)}
}

// backlogNeed is about what waits: that it grows, or that it is old.
func backlogNeed(v *visit, f overviewFigures) (n ui.NeedProps, ok bool) {
	pending := f.all.Counters.Pending
	grown := recentOf(f.all, v.project.CreatedAt, f.now).grown
	growing := pending >= manyPending && grown*4 > pending
	old := f.all.OldestPendingAt != 0 && f.now.Sub(f.all.OldestPendingAt) > oldBacklog
	if !growing && !old {
		return n, false
	}
	n = ui.NeedProps{Tone: ui.Warning, Title: "Deliveries are waiting", Href: v.in().Deliveries("status", string(iot.Pending))}
	n.Text = ui.Count(pending) + " pending"
	if growing {
		n.Title = "The backlog is growing"
		n.Text += ", " + ui.Count(min(grown, pending)) + " of them in the last hour"
	}
	if old {
		n.Text += ", the oldest for " + ui.Span(f.now.Sub(f.all.OldestPendingAt))
	}
	for _, w := range f.hooks {
		if e := f.each[w.Key]; e != nil && len(f.hooks) > 1 && e.Counters.Pending == pending {
			n.Text += ", all for " + w.Description
			n.Href = v.in().Deliveries("status", string(iot.Pending), "webhook", w.ID)
		}
	}
	return n, true
}

// silentNeeds lists devices gone silent, and how many more there are.
func (s *site) silentNeeds(r *http.Request, v *visit, now iot.Instant) ([]ui.NeedProps, error) {
	list, err := s.DB.Devices(r.Context(), db.DeviceFilter{ProjectKey: v.project.Key, Silent: true, Limit: maxNeeds})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	var needs []ui.NeedProps
	for i := range list {
		d := &list[i]
		profile, err := s.DB.Profile(r.Context(), v.project.Key, d.Profile)
		if err != nil {
			return nil, err
		}
		text := "Last seen " + ui.AgoText(d.LastSeenAt, now)
		if every := d.ExpectedInterval(profile); every > 0 {
			text += ", expected " + pages.EveryText(every)
		}
		needs = append(needs, ui.NeedProps{Tone: ui.Warning, Title: d.ID + " is silent", Text: text, Href: v.in().Device(d.ID)})
	}
	all, err := s.DB.CountSilent(r.Context(), v.project.Key, maxCounted)
	if more := all - len(list); more > 0 {
		needs = append(needs, ui.NeedProps{Tone: ui.Warning, Title: ui.Plural(int64(more), "more device is silent", "more devices are silent"),
			Text: "See which", Href: v.in().Devices("silent", "1")})
	}
	return needs, err
}

// keyNeeds lists keys that end soon, for those who can make others. A key that was
// made to end soon, such as that of the first steps, is not among them.
func (s *site) keyNeeds(r *http.Request, v *visit, now iot.Instant) ([]ui.NeedProps, error) {
	if !v.may(iot.ManageKeys) {
		return nil, nil
	}
	keys, err := s.DB.APIKeys(r.Context(), v.project.Key)
	var needs []ui.NeedProps
	for _, k := range keys {
		left := k.ExpiresAt.Sub(now)
		if k.ExpiresAt <= now || left >= soonExpires || k.ExpiresAt.Sub(k.CreatedAt) <= soonExpires || len(needs) == maxNeeds {
			continue
		}
		needs = append(needs, ui.NeedProps{Tone: ui.Info, Shape: ui.Ring, Title: "The API key “" + k.Name + "” expires in " + ui.Span(left),
			Text: "Create another key and use it before then", Href: v.in().Keys()})
	}
	return needs, err
}
