package dashboard

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/views/pages"
)

// deliveryQuery reads the address of a list of deliveries. What it does not
// understand it leaves out of the query, and names.
func deliveryQuery(v url.Values) (q pages.DeliveryQuery, ignored []string) {
	g := reader{values: v}
	q.ID, q.Webhook, q.Device = g.one(pages.ParamID), g.one(pages.ParamWebhook), g.one(pages.ParamDevice)
	q.Message, q.Before = g.id(pages.ParamMessage), g.id(pages.ParamBefore)
	q.Time, q.Since, q.Until = g.span()
	q.Statuses = g.among(pages.ParamStatus, append(texts(iot.Statuses()), pages.Retrying))
	if len(q.Statuses) > 1 {
		// "Retrying" is part of "pending", and stands alone.
		q.Statuses = slices.DeleteFunc(q.Statuses, func(s string) bool { return s == pages.Retrying })
	}
	q.Errors = g.among(pages.ParamError, texts(iot.ErrorClasses()))
	if text := strings.Join(g.all(pages.ParamCodes), ","); text != "" {
		if _, ok := codeRanges(text); ok {
			q.Codes = text
		} else {
			g.ignore(pages.ParamCodes, text)
		}
	}
	if text := g.one(pages.ParamAttempt); text != "" {
		if n, err := strconv.Atoi(text); err == nil && n > 0 {
			q.Attempt = text
		} else {
			g.ignore(pages.ParamAttempt, text)
		}
	}
	if text := g.one(pages.ParamMS); text != "" {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
			q.MS = text
		} else {
			g.ignore(pages.ParamMS, text)
		}
	}
	return q, g.ignored
}

// texts are the values of a closed set as texts.
func texts[T ~string](all []T) []string {
	list := make([]string, len(all))
	for i, v := range all {
		list[i] = string(v)
	}
	return list
}

// reader reads the parameters of an address and keeps what it did not understand.
type reader struct {
	values  url.Values
	ignored []string
}

func (g *reader) ignore(name, value string) {
	const most = 40
	if runes := []rune(value); len(runes) > most {
		value = string(runes[:most]) + "…"
	}
	g.ignored = append(g.ignored, name+" “"+pages.Plain(value)+"”")
}

// all returns a parameter's values that are not empty.
func (g *reader) all(name string) []string {
	var list []string
	for _, v := range g.values[name] {
		if v = strings.TrimSpace(v); v != "" {
			list = append(list, v)
		}
	}
	return list
}

// one returns the last value that is not empty: a typed one stands after those
// to choose from.
func (g *reader) one(name string) string {
	if all := g.all(name); len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

func (g *reader) id(name string) string {
	text := g.one(name)
	if text == "" {
		return ""
	}
	if _, ok := iot.ParseID(text); !ok {
		g.ignore(name, text)
		return ""
	}
	return strings.ToLower(text)
}

// among returns values of a closed set, each once.
func (g *reader) among(name string, set []string) []string {
	var list []string
	for _, v := range g.all(name) {
		switch {
		case !slices.Contains(set, v):
			g.ignore(name, v)
		case !slices.Contains(list, v):
			list = append(list, v)
		}
	}
	return list
}

// span reads a preset or, where none is chosen, the ends of a range.
func (g *reader) span() (preset, since, until string) {
	const ranged = "range"
	preset = g.one(pages.ParamTime)
	if preset != "" && preset != ranged {
		if slices.ContainsFunc(pages.TimePresets(), func(p pages.TimePreset) bool { return p.Value == preset }) {
			return preset, "", ""
		}
		g.ignore(pages.ParamTime, preset)
	}
	end := func(name string) string {
		text := g.one(name)
		if text != "" && rangeEnd(text) == 0 {
			g.ignore(name, text)
			return ""
		}
		return text
	}
	return "", end(pages.ParamSince), end(pages.ParamUntil)
}

// rangeEnd reads an end of a range, 0 if it is none.
func rangeEnd(text string) iot.Instant {
	t, err := time.Parse(pages.RangeLayout, text)
	// An id holds no time far in the future.
	if err != nil || t.Year() < 1971 || t.Year() > 2099 {
		return 0
	}
	return iot.At(t)
}

// spanOf returns the instants of a preset or range; 0 is no end.
func spanOf(preset, since, until string, now iot.Instant) (from, to iot.Instant) {
	for _, p := range pages.TimePresets() {
		if p.Value == preset {
			return now.Add(-time.Duration(p.Hours) * time.Hour), 0
		}
	}
	return rangeEnd(since), rangeEnd(until)
}

// codeRanges reads HTTP statuses, classes and ranges: "404, 5xx, 300-307".
func codeRanges(text string) (list []db.CodeRange, ok bool) {
	const least, most, many = 100, 599, 20
	for part := range strings.SplitSeq(text, ",") {
		part = strings.ToLower(strings.TrimSpace(part))
		if part == "" {
			continue
		}
		from, to, isRange := strings.Cut(part, "-")
		if class, isClass := strings.CutSuffix(part, "xx"); isClass {
			from, to, isRange = class+"00", class+"99", true
		}
		if !isRange {
			to = from
		}
		a, err1 := strconv.Atoi(strings.TrimSpace(from))
		b, err2 := strconv.Atoi(strings.TrimSpace(to))
		if err1 != nil || err2 != nil || a < least || b > most || a > b || len(list) == many {
			return nil, false
		}
		list = append(list, db.CodeRange{From: a, To: b})
	}
	return list, true
}

// deliveryFilter returns the store's filter of a query. none is set where it
// names a webhook or device that does not exist: then nothing matches.
func (s *site) deliveryFilter(ctx context.Context, v *visit, q pages.DeliveryQuery) (f db.DeliveryFilter, none bool, err error) {
	f.ProjectKey = v.project.Key
	f.Since, f.Until = spanOf(q.Time, q.Since, q.Until, s.now())
	f.Codes, _ = codeRanges(q.Codes)
	f.MinAttempt, _ = strconv.Atoi(q.Attempt)
	f.MinMS, _ = strconv.ParseInt(q.MS, 10, 64)
	f.MessageID, _ = iot.ParseID(q.Message)
	f.Before, _ = iot.ParseID(q.Before)
	for _, text := range q.Errors {
		f.Errors = append(f.Errors, iot.ErrorClass(text))
	}
	for _, text := range q.Statuses {
		if text == pages.Retrying {
			f.Retrying = true
		} else {
			f.Statuses = append(f.Statuses, iot.Status(text))
		}
	}
	if q.Webhook != "" {
		h, err := s.DB.Webhook(ctx, v.project.Key, q.Webhook)
		if iot.CodeOf(err) == iot.NotFound {
			return f, true, nil
		} else if err != nil {
			return f, false, err
		}
		f.WebhookKey = h.Key
	}
	if q.Device != "" {
		f.DeviceKey, none, err = s.findDevice(ctx, v, q.Device)
	}
	return f, none, err
}

// findDevice finds a device by its id, UUID or DevEUI; none is set if there is none.
func (s *site) findDevice(ctx context.Context, v *visit, name string) (key int64, none bool, err error) {
	d, err := s.DB.Device(ctx, v.project.Key, name)
	if iot.CodeOf(err) == iot.NotFound {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	return d.Key, false, nil
}
