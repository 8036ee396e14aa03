package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan"
)

// Bounds of a webhook's settings. Lengths are in characters.
const (
	maxDescription = 254
	maxURL         = 2048
	maxPath        = 64
	maxHeaderName  = 64
	maxHeaderValue = 4096
	maxDownlinkKey = 128
	minTimeoutMS   = 1_000
	maxTimeoutMS   = 30_000
	maxPerSecond   = 10_000
)

const (
	maskProblem = "is only the mask of a stored value. Enter the value itself."
)

// Check brings a webhook's settings into their stored form, and returns an Invalid
// error that names every fault by its field's JSON name.
//
// It trims the description, URL and headers, moves a user name and password from the
// URL into a secret Authorization header, and fills in the format and empty lists. own
// means that a person created the webhook: it needs a message type and can have
// limits.Headers headers. A webhook of a template or another dialect needs no message
// type and can have iot.MaxTemplateHeaders headers.
//
// Masked values are faults, except masks in the URL and paths whose secrets are in
// w.Hidden.
func Check(w *iot.Webhook, limits iot.Limits, own bool) error {
	most := iot.MaxTemplateHeaders
	if own {
		most = min(limits.Headers, most)
	}
	return check(&iot.Faults{}, w, most, own)
}

// CheckChange is Check for a changed webhook. was is the stored webhook, and w the new
// one, with masks for secrets that stay (iot.Webhook.MaskSecrets). It restores these
// secrets, but only for the same host: otherwise they are faults of their fields.
//
// A webhook of a template or another dialect keeps the headers that it has, even above
// limits.Headers, and can stay without a message type. A person (own) can add headers
// only up to the limit.
func CheckChange(w, was *iot.Webhook, limits iot.Limits, own bool) error {
	var f iot.Faults
	keepSecrets(&f, w, was)
	if own {
		most := min(max(limits.Headers, len(was.Headers)), iot.MaxTemplateHeaders)
		return check(&f, w, most, was.Template == "" && len(was.MessageTypes) > 0)
	}
	return check(&f, w, iot.MaxTemplateHeaders, false)
}

// check is Check with a maximum of headers and the faults so far. needsType means that
// a message type is required.
func check(f *iot.Faults, w *iot.Webhook, headers int, needsType bool) error {
	if w.ID != "" {
		if err := iot.CheckSlug("id", w.ID); err != nil {
			f.Add("id", iot.SlugRule)
		}
	}
	w.Description = strings.TrimSpace(w.Description)
	n := iot.TextLength(w.Description)
	f.Check(n >= 1 && n <= maxDescription, "description", "must have 1 to 254 characters.")
	f.Check(!iot.HasControl(w.Description), "description", "must be a single line without control characters.")
	f.Check(iot.TextLength(w.Channel) <= iot.MaxChannel, "channel", "must have at most 254 characters.")
	f.Check(!iot.HasControl(w.Channel), "channel", "must not contain control characters.")
	f.Check(iot.TextLength(w.DownlinkKey.Reveal()) <= maxDownlinkKey, "downlink_key", "must have at most 128 characters.")
	f.Check(!iot.HasControl(w.DownlinkKey.Reveal()), "downlink_key", "must not contain control characters.")
	f.Check(w.DownlinkKey != iot.Mask, "downlink_key", maskProblem)

	dropHidden(w)
	if w.TemplateFields == nil {
		w.TemplateFields = map[string]iot.TemplateValue{}
	}
	checkURL(f, w)
	checkRoutes(f, w, needsType)
	checkHeaders(f, w, headers)
	checkFormat(f, w)
	checkSettings(f, &w.Settings)
	return f.Err()
}

func checkURL(f *iot.Faults, w *iot.Webhook) {
	w.URL = strings.TrimSpace(w.URL)
	full, ok := w.FullURL()
	switch {
	case w.URL == "":
		f.Add("url", "must not be empty. It is the address that gets the messages, like https://example.com/in.")
		return
	case !ok:
		f.Add("url", maskProblem)
		return
	case iot.TextLength(full) > maxURL:
		f.Add("url", "must have at most 2,048 characters.")
		return
	}
	o, raw, problem := parseOrigin(full)
	if problem == "" {
		_, problem = parseURIText(raw)
	}
	if problem != "" {
		f.Add("url", problem)
		return
	}
	if o.user != nil {
		for _, h := range w.Headers {
			if canonical(h.Name) == "Authorization" {
				f.Add("url", "has a user name, and there is also an Authorization header. Keep one of them.")
				return
			}
		}
		password, _ := o.user.Password()
		login := base64.StdEncoding.EncodeToString([]byte(o.user.Username() + ":" + password))
		w.Headers = append(w.Headers, iot.Header{Name: "Authorization", Value: iot.Secret("Basic " + login), Secret: true})
	}
	if len(w.Hidden[iot.HiddenURL]) == 0 {
		w.URL = o.text + raw
	} else {
		dropLogin(w)
	}
}

// dropLogin removes a user name and password from a URL with hidden secrets.
func dropLogin(w *iot.Webhook) {
	scheme, authority, rest, _ := splitURL(w.URL)
	at := strings.LastIndexByte(authority, '@') + 1
	masks := strings.Count(authority[:at], iot.Mask)
	w.URL = scheme + "://" + authority[at:] + rest
	w.Hidden[iot.HiddenURL] = slices.Clone(w.Hidden[iot.HiddenURL][masks:])
	dropHidden(w)
}

// dropHidden removes the secrets of texts that have no masks any more.
func dropHidden(w *iot.Webhook) {
	kept := map[string][]iot.Secret{}
	if s := w.Hidden[iot.HiddenURL]; strings.Contains(w.URL, iot.Mask) && len(s) > 0 {
		kept[iot.HiddenURL] = s
	}
	for kind, route := range w.MessageTypes {
		if s := w.Hidden[iot.HiddenPath(kind)]; strings.Contains(route.Path, iot.Mask) && len(s) > 0 {
			kept[iot.HiddenPath(kind)] = s
		}
	}
	w.Hidden = kept
}

func pathField(kind iot.MessageType) string { return "message_types." + string(kind) + ".path" }

func checkRoutes(f *iot.Faults, w *iot.Webhook, needsType bool) {
	if w.MessageTypes == nil {
		w.MessageTypes = iot.Routes{}
	}
	f.Check(len(w.MessageTypes) > 0 || !needsType, "message_types", "must have at least one message type.")
	for kind, route := range w.MessageTypes {
		field := pathField(kind)
		if !known(kind) {
			f.Add("message_types."+string(kind), "is not a message type. The types are "+typeNames()+".")
			continue
		}
		if iot.TextLength(route.Path) > maxPath {
			f.Add(field, "must have at most 64 characters.")
			continue
		}
		full, ok := w.FullPath(kind)
		if !ok {
			f.Add(field, maskProblem)
			continue
		}
		problem := pathProblem(full)
		if problem == "" {
			_, problem = parseURIText(full)
		}
		f.Check(problem == "", field, problem)
		f.Check(iot.TextLength(full) <= maxURL, field, "must have at most 2,048 characters.")
	}
}

func typeNames() string {
	var names []string
	for _, t := range iot.MessageTypes() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

func headerField(i int, part string) string { return "headers." + strconv.Itoa(i) + "." + part }

func checkHeaders(f *iot.Faults, w *iot.Webhook, most int) {
	if w.Headers == nil {
		w.Headers = []iot.Header{}
	}
	f.Check(len(w.Headers) <= most, "headers", fmt.Sprintf("can be at most %d; there are %d.", most, len(w.Headers)))
	seen := make(map[string]bool, len(w.Headers))
	for i := range w.Headers {
		h := &w.Headers[i]
		h.Name = strings.TrimSpace(h.Name)
		h.Value = iot.Secret(strings.Trim(h.Value.Reveal(), " \t"))
		name, value := headerField(i, "name"), headerField(i, "value")
		problem := nameProblem(h.Name)
		f.Check(problem == "", name, problem)
		f.Check(len(h.Name) <= maxHeaderName, name, "must have at most 64 characters.")
		f.Check(!seen[canonical(h.Name)], name, "is there twice. Keep one.")
		seen[canonical(h.Name)] = true
		f.Check(!iot.HasControl(h.Value.Reveal()), value, "must not contain line breaks or other control characters.")
		f.Check(iot.TextLength(h.Value.Reveal()) <= maxHeaderValue, value, "must have at most 4,096 characters.")
		f.Check(h.Value != iot.Mask, value, maskProblem)
	}
}

func checkFormat(f *iot.Faults, w *iot.Webhook) {
	if w.Format == "" {
		w.Format = iot.Envelope
		for kind := range w.MessageTypes {
			if known(kind) && kind.LoRaWAN() {
				w.Format = iot.JSON
			}
		}
	}
	switch w.Format {
	case iot.Envelope, iot.JSON, iot.Protobuf:
	default:
		f.Add("format", "must be envelope, json or protobuf.")
	}
	f.Check(!w.PayloadOnly || w.Format != iot.Protobuf, "payload_only", "works with the formats envelope and json; choose one of them.")
	checkMask(f, w)
}

func checkMask(f *iot.Faults, w *iot.Webhook) {
	mask := make([]string, 0, len(w.FieldMask))
	for _, path := range w.FieldMask {
		if path = strings.TrimSpace(path); path != "" && !slices.Contains(mask, path) {
			mask = append(mask, path)
		}
	}
	w.FieldMask = mask
	switch {
	case len(mask) == 0:
	case w.Format == iot.Envelope:
		f.Add("field_mask", "works only with the formats json and protobuf. Remove it.")
	case w.PayloadOnly:
		f.Add("field_mask", "selects parts of the whole message, but payload only sends just the payload. Keep one of them.")
	default:
		_, err := lorawan.CompileMask(mask)
		if e, ok := errors.AsType[*iot.Error](err); ok {
			f.Add("field_mask", e.Fields["field_mask"])
		}
	}
}

func checkSettings(f *iot.Faults, s *iot.Settings) {
	f.Check(s.TimeoutMS >= minTimeoutMS && s.TimeoutMS <= maxTimeoutMS, "settings.timeout_ms", "must be 1,000 to 30,000 (1 to 30 seconds).")
	least, most := time.Minute.Milliseconds(), (30 * 24 * time.Hour).Milliseconds()
	f.Check(s.GiveUpAfterMS >= least && s.GiveUpAfterMS <= most, "settings.give_up_after_ms",
		"must be 60,000 to 2,592,000,000 (1 minute to 30 days).")
	f.Check(s.MaxInFlight >= 0 && s.MaxInFlight <= iot.MaxSlots, "settings.max_in_flight", "must be 1 to 64, or 0 for adaptive.")
	f.Check(s.MaxPerSecond >= 0 && s.MaxPerSecond <= maxPerSecond, "settings.max_per_second", "must be 1 to 10,000, or 0 for no limit.")

	classes := iot.ErrorClasses()
	retry := make([]iot.ErrorClass, 0, len(s.RetryOn))
	for _, class := range s.RetryOn {
		switch {
		case class == iot.ErrConfig:
			f.Add("settings.retry_on", "must not contain config: a request that could not be made is not retried.")
		case !slices.Contains(classes, class):
			f.Add("settings.retry_on", "contains the unknown failure "+string(class)+".")
		case !slices.Contains(retry, class):
			retry = append(retry, class)
		}
	}
	s.RetryOn = retry
}
