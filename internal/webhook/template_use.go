package webhook

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"thingpost/internal/iot"
)

// maxFieldValue bounds the value of a field, in characters.
const maxFieldValue = 4096

// fieldKey is the name of a template's field in faults.
func fieldKey(id string) string { return "fields." + id }

// Instantiate makes a webhook from a template, with the id (a slug; if empty, made from
// the description when the webhook is created) and the values of the fields. Missing
// values get the field's default. The webhook has passed Check. It still lacks its
// project, and the downlink key that t.CreateDownlinkKey asks for.
//
// A value is percent-encoded in the URL or a path, unless its placeholder is of the
// form {+name}. In headers it stays unchanged. No value can change the host that the
// template fixes, or add a header. The values of secret fields are hidden: a header
// with one is secret, and in URL and paths that part is (Webhook.Hidden).
//
// An Invalid error names each fault by "fields." and the field's id, by "id", or by
// "template" if the template itself cannot be used.
func Instantiate(t *iot.Template, id string, inputs map[string]string) (*iot.Webhook, error) {
	var faults iot.Faults
	u := use{t: t, faults: &faults, values: fieldValues(t, inputs, &faults), used: map[string][]string{}}
	w := u.webhook(id)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	err := Check(w, iot.Limits{}, false)
	if e, ok := errors.AsType[*iot.Error](err); ok {
		return nil, u.blame(w, e)
	}
	return w, err
}

// fieldValues returns each field's value or default, and adds the faults of single
// values.
func fieldValues(t *iot.Template, inputs map[string]string, faults *iot.Faults) map[string]string {
	values := make(map[string]string, len(t.Fields))
	for _, field := range t.Fields {
		key := fieldKey(field.ID)
		value, ok := inputs[field.ID]
		if !ok {
			value = field.DefaultValue
		}
		value = strings.TrimSpace(value)
		faults.Check(value != "" || field.Optional, key, "must not be empty.")
		faults.Check(utf8.ValidString(value), key, "must be UTF-8 text.")
		faults.Check(!iot.HasControl(value), key, "must be a single line without control characters.")
		faults.Check(iot.TextLength(value) <= maxFieldValue, key, "must have at most 4,096 characters.")
		faults.Check(!strings.Contains(value, iot.Mask), key, maskProblem)
		values[field.ID] = value
	}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		if _, ok := values[name]; !ok {
			faults.Add(fieldKey(name), "unknown field of this template.")
		}
	}
	return values
}

// use is one use of a template.
type use struct {
	t      *iot.Template
	values map[string]string
	faults *iot.Faults
	used   map[string][]string // IDs of fields by the place of their values
}

func (u *use) webhook(id string) *iot.Webhook {
	w := &iot.Webhook{ID: id, Description: description(u.t), Format: u.t.Format, FieldMask: slices.Clone(u.t.FieldMask), Template: u.t.ID,
		Settings: iot.DefaultSettings(), MessageTypes: iot.Routes{}, Hidden: map[string][]iot.Secret{},
		TemplateFields: map[string]iot.TemplateValue{}}
	w.URL = u.text(w, iot.HiddenURL, u.t.URL, true)
	for kind, route := range u.t.MessageTypes {
		w.MessageTypes[kind] = iot.Route{Path: u.text(w, iot.HiddenPath(kind), route.Path, false)}
	}
	for _, h := range u.t.Headers {
		f := filler{template: u.t, values: u.values}
		value, secret := f.header(h.Value)
		if value == "" {
			continue // for example of an empty optional field
		}
		u.used[headerField(len(w.Headers), "value")] = f.used
		w.Headers = append(w.Headers, iot.Header{Name: h.Name, Value: iot.Secret(value), Secret: secret})
	}
	for _, field := range u.t.Fields {
		if value := u.values[field.ID]; value != "" {
			w.TemplateFields[field.ID] = iot.TemplateValue{Value: iot.Secret(value), Secret: field.Secret}
		}
	}
	return w
}

// text fills the base URL or a path, and returns it for display.
func (u *use) text(w *iot.Webhook, place, text string, isBase bool) string {
	f := filler{template: u.t, values: u.values, faults: u.faults}
	if problem := f.uri(text, isBase); problem != "" {
		u.faults.Add("template", "cannot be used: its "+placeName(place)+" "+problem)
		return ""
	}
	if len(f.secrets) > 0 {
		w.Hidden[place] = f.secrets
	}
	u.used[place] = f.used
	return f.shown.String()
}

// blame names for each fault of the webhook the field that caused it, or the template.
func (u *use) blame(w *iot.Webhook, e *iot.Error) error {
	var f iot.Faults
	for _, place := range slices.Sorted(maps.Keys(e.Fields)) {
		text := e.Fields[place]
		fields := u.used[place]
		switch {
		case place == "id":
			f.Add("id", text)
		case len(fields) > 0 && strings.HasPrefix(place, "headers."):
			f.Add(fieldKey(fields[0]), "The header "+headerName(w, place)+" that it makes "+text)
		case len(fields) > 0:
			f.Add(fieldKey(fields[0]), "The "+placeName(place)+" that it makes "+text)
		default:
			f.Add("template", "cannot be used: its "+placeName(place)+" "+text)
		}
	}
	return f.Err()
}

func headerName(w *iot.Webhook, place string) string {
	part, _, _ := strings.Cut(strings.TrimPrefix(place, "headers."), ".")
	if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(w.Headers) {
		return w.Headers[i].Name
	}
	return ""
}

// placeName names a part of a webhook in a sentence.
func placeName(place string) string {
	if place == "url" {
		return "URL"
	}
	if kind, ok := strings.CutPrefix(place, "message_types."); ok {
		return "path of " + strings.TrimSuffix(kind, ".path")
	}
	return place
}

// description is the webhook's description: the template's name, in one line.
func description(t *iot.Template) string {
	text := strings.Join(strings.FieldsFunc(cmp.Or(t.Name, t.ID), func(r rune) bool {
		return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 ||
			r == 0x2028 || r == 0x2029
	}), " ")
	return cut(text, maxDescription)
}
