package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// filterText is one filter of a query: values separated by commas. In JSON it can also
// be a number, or a list of strings and numbers.
type filterText string

// UnmarshalJSON reads a string, a number or a list of them.
func (t *filterText) UnmarshalJSON(b []byte) error {
	var list []json.RawMessage
	if json.Unmarshal(b, &list) != nil || list == nil {
		list = []json.RawMessage{b}
	}
	var parts []string
	for _, e := range list {
		e = bytes.TrimSpace(e)
		var text string
		var number json.Number
		if json.Unmarshal(e, &text) == nil && e[0] == '"' {
			parts = append(parts, text)
		} else if json.Unmarshal(e, &number) == nil && number != "" {
			parts = append(parts, number.String())
		} else {
			return iot.NewError(iot.Invalid, "must be a text, a number, or a list of them.")
		}
	}
	*t = filterText(strings.Join(parts, ","))
	return nil
}

// deliveryFilter has the filters of deliveries, by their names in queries and replays.
type deliveryFilter struct {
	Status  filterText `json:"status"`
	Webhook filterText `json:"webhook"`
	Device  filterText `json:"device"`
	Type    filterText `json:"type"`
	Code    filterText `json:"code"`
	Error   filterText `json:"error"`
	Since   filterText `json:"since"`
	Until   filterText `json:"until"`
	Message filterText `json:"message"`
}

// deliveryFilters are the names of a query's filters.
func deliveryFilters() []string {
	return []string{"status", "webhook", "device", "type", "code", "error", "since", "until", "message"}
}

// deliveryFilterOf reads the filters of a query.
func deliveryFilterOf(q url.Values) deliveryFilter {
	get := func(name string) filterText { return filterText(q.Get(name)) }
	return deliveryFilter{Status: get("status"), Webhook: get("webhook"), Device: get("device"), Type: get("type"), Code: get("code"),
		Error: get("error"), Since: get("since"), Until: get("until"), Message: get("message")}
}

// messageFilter has the filters of messages, by their names in queries and replays.
type messageFilter struct {
	Device   filterText `json:"device"`
	Type     filterText `json:"type"`
	Channel  filterText `json:"channel"`
	Webhooks filterText `json:"webhooks"`
	Since    filterText `json:"since"`
	Until    filterText `json:"until"`
}

// messageFilters are the names of a query's filters.
func messageFilters() []string {
	return []string{"device", "type", "channel", "webhooks", "since", "until"}
}

// messageFilterOf reads the filters of a query.
func messageFilterOf(q url.Values) messageFilter {
	get := func(name string) filterText { return filterText(q.Get(name)) }
	return messageFilter{get("device"), get("type"), get("channel"), get("webhooks"), get("since"), get("until")}
}

// parse is like that of deliveryFilter.
func (f messageFilter) parse(ctx context.Context, s *server, project int64, prefix string) (db.MessageFilter, error) {
	p := filterParser{s: s, project: project, prefix: prefix}
	out := db.MessageFilter{ProjectKey: project, DeviceKey: p.device(ctx, string(f.Device)), Channel: string(f.Channel),
		Nobody: f.Webhooks == "none",
		Since:  p.instant("since", string(f.Since)), Until: p.instant("until", string(f.Until))}
	p.faults.Check(f.Webhooks == "" || f.Webhooks == "none", prefix+"webhooks", "can only be none: messages without a delivery.")
	if types := p.types(string(f.Type)); len(types) == 1 {
		out.Type = types[0]
	} else {
		p.faults.Check(len(types) == 0, prefix+"type", "must be one message type.")
	}
	return out, p.end()
}

// parse returns the store's filter. Invalid names each bad field, with prefix.
func (f deliveryFilter) parse(ctx context.Context, s *server, project int64, prefix string) (db.DeliveryFilter, error) {
	p := filterParser{s: s, project: project, prefix: prefix}
	out := db.DeliveryFilter{
		ProjectKey: project,
		Statuses:   among(&p, "status", string(f.Status), iot.Statuses()),
		WebhookKey: p.webhook(ctx, string(f.Webhook)),
		DeviceKey:  p.device(ctx, string(f.Device)),
		Types:      p.types(string(f.Type)),
		Codes:      p.codes(string(f.Code)),
		Errors:     among(&p, "error", string(f.Error), iot.ErrorClasses()),
		Since:      p.instant("since", string(f.Since)),
		Until:      p.instant("until", string(f.Until)),
	}
	if f.Message != "" {
		id, ok := iot.ParseID(string(f.Message))
		p.faults.Check(ok, prefix+"message", "must be a message's id.")
		out.MessageID = id
	}
	return out, p.end()
}

// filterParser reads filters and collects their faults.
type filterParser struct {
	s       *server
	project int64
	prefix  string
	faults  iot.Faults
	failed  error // of the store
}

func (p *filterParser) end() error {
	if p.failed != nil {
		return p.failed
	}
	return p.faults.Err()
}

func values(text string) []string {
	if text == "" {
		return nil
	}
	list := strings.Split(text, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// among reads values of a closed set.
func among[T ~string](p *filterParser, name, text string, all []T) []T {
	var list []T
	for _, v := range values(text) {
		if !slices.Contains(all, T(v)) {
			names := make([]string, len(all))
			for i, a := range all {
				names[i] = string(a)
			}
			p.faults.Add(p.prefix+name, "must be one of "+strings.Join(names, ", ")+".")
			return nil
		}
		if !slices.Contains(list, T(v)) {
			list = append(list, T(v))
		}
	}
	return list
}

func (p *filterParser) types(text string) []iot.MessageType {
	return among(p, "type", text, iot.MessageTypes())
}

// codes reads statuses and ranges of them, such as 404,500-599.
func (p *filterParser) codes(text string) []db.CodeRange {
	var list []db.CodeRange
	for _, v := range values(text) {
		from, to, isRange := strings.Cut(v, "-")
		if !isRange {
			to = from
		}
		a, err1 := strconv.Atoi(from)
		b, err2 := strconv.Atoi(to)
		const least, most, many = 100, 599, 50
		if err1 != nil || err2 != nil || a < least || b > most || a > b || len(list) == many {
			p.faults.Add(p.prefix+"code", "must be HTTP statuses or ranges of them, like 404,500-599.")
			return nil
		}
		list = append(list, db.CodeRange{From: a, To: b})
	}
	return list
}

func (p *filterParser) instant(name, text string) iot.Instant {
	if text == "" {
		return 0
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	p.faults.Check(err == nil, p.prefix+name, "must be a time like 2026-01-31T08:00:00Z.")
	// 0 means no filter, and no id has a time far in the future.
	last := iot.At(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
	return min(max(iot.Instant(t.UnixMilli()), 1), last)
}

// found handles the result of looking up a name.
func (p *filterParser) found(name string, key func() int64, err error) int64 {
	if iot.CodeOf(err) == iot.NotFound {
		p.faults.Add(p.prefix+name, "There is no such "+name+" in this project.")
		return 0
	}
	if err != nil {
		p.failed = err
		return 0
	}
	return key()
}

func (p *filterParser) device(ctx context.Context, text string) int64 {
	if text == "" {
		return 0
	}
	d, err := p.s.DB.Device(ctx, p.project, text)
	return p.found("device", func() int64 { return d.Key }, err)
}

func (p *filterParser) webhook(ctx context.Context, text string) int64 {
	if text == "" {
		return 0
	}
	w, err := p.s.DB.Webhook(ctx, p.project, text)
	return p.found("webhook", func() int64 { return w.Key }, err)
}
