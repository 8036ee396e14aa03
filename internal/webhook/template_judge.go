package webhook

import (
	"errors"
	"net/url"
	"regexp"
	"strings"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan"
)

// judge checks what was read, and makes a usable template of it.
func (r *templateReader) judge() {
	t := r.t
	if t.ID == "" {
		r.fault(r.lines["template-id"], "There is no template-id; the file's name is used.")
		t.ID = t.File
	}
	r.warnID("template-id", "template-id", t.ID)
	if t.Name == "" {
		r.fault(r.lines["name"], "There is no name; the id is used.")
		t.Name = t.ID
	}
	r.warnLong(r.lines["name"], "name", t.Name, usualName)
	if t.Description == "" {
		r.warn(r.lines["description"], "There is no description.")
	}
	r.warnLong(r.lines["description"], "description", t.Description, usualText)
	t.LogoURL = r.link("logo-url", t.LogoURL)
	t.InfoURL = r.link("info-url", t.InfoURL)
	t.DocumentationURL = r.link("documentation-url", t.DocumentationURL)
	r.judgeFormat()
	r.judgeFields()
	r.judgeHeaders()
	r.judgeMask()
	r.judgePlaceholders()
	if len(t.MessageTypes) == 0 {
		r.warn(r.lines["paths"], "There are no paths: a webhook of this template sends nothing until a message type is chosen.")
	}
	if !r.unusable {
		r.try()
	}
}

// spoil adds a fault that makes the template unusable.
func (r *templateReader) spoil(line int, format string, args ...any) {
	r.fault(line, format, args...)
	r.unusable = true
}

var usualIDForm = regexp.MustCompile(`^[a-z0-9](?:-?[a-z0-9]){2,}$`)

func (r *templateReader) warnID(place, what, id string) {
	if !usualIDForm.MatchString(id) || len(id) > usualID {
		r.warn(r.lines[place], "The %s %s has an unusual form. Usual are 3 to 36 lower-case letters, digits and single dashes.", what, quoted(id))
	}
}

func (r *templateReader) warnLong(line int, what, text string, most int) {
	if n := iot.TextLength(text); n > most {
		r.warn(line, "The %s has %d characters; other readers accept at most %d.", what, n, most)
	}
}

// link returns an address that pages can link to, or "".
func (r *templateReader) link(key, text string) string {
	if text == "" {
		r.warn(r.lines[key], "There is no %s.", key)
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		r.warn(r.lines[key], "The %s does not begin with https:// or http://; ignored.", key)
		return ""
	}
	return text
}

func (r *templateReader) judgeFormat() {
	switch r.t.Format {
	case iot.JSON, iot.Protobuf:
	case "":
		r.fault(r.lines["format"], "There is no format; json is used.")
		r.t.Format = iot.JSON
	case iot.Envelope:
		fallthrough // only ours: such a template would work nowhere else
	default:
		r.spoil(r.lines["format"], "Unknown format %s. The formats are json and protobuf.", quoted(string(r.t.Format)))
	}
}

func (r *templateReader) judgeFields() {
	used := map[string]bool{}
	for _, p := range r.placeholders() {
		used[p.name] = true
	}
	for _, f := range r.t.Fields {
		place := "field " + f.ID
		r.warnID(place, "field id", f.ID)
		if f.Name == "" {
			r.warn(r.lines[place], "The field %s has no name.", quoted(f.ID))
		}
		r.warnLong(r.lines[place], "name of the field "+quoted(f.ID), f.Name, usualName)
		r.warnLong(r.lines[place], "description of the field "+quoted(f.ID), f.Description, usualText)
		r.warnLong(r.lines[place], "default value of the field "+quoted(f.ID), f.DefaultValue, usualText)
		if f.Secret && f.DefaultValue != "" {
			r.warn(r.lines[place], "The field %s is secret, but its default value is in this file.", quoted(f.ID))
		}
		if !used[f.ID] {
			r.warn(r.lines[place], "The field %s is never used.", quoted(f.ID))
		}
	}
}

// judgeHeaders removes headers that cannot be set.
func (r *templateReader) judgeHeaders() {
	var kept []iot.TemplateHeader
	seen := map[string]bool{}
	for _, h := range r.t.Headers {
		line := r.lines["header "+h.Name]
		switch problem := nameProblem(h.Name); {
		case !isToken(h.Name) || len(h.Name) > maxHeaderName:
			r.fault(line, "The header %s is ignored: a name has letters, digits and dashes, at most 64.", quoted(h.Name))
		case problem != "":
			r.warn(line, "The header %s is ignored: Thingpost sets it itself.", h.Name)
		case seen[canonical(h.Name)]:
			r.warn(line, "The header %s is there twice; the first one counts.", h.Name)
		case len(kept) == iot.MaxTemplateHeaders:
			r.fault(line, "There are more than %d headers; this one is ignored.", iot.MaxTemplateHeaders)
		case iot.HasControl(h.Value):
			r.fault(line, "The header %s is ignored: its value contains control characters.", h.Name)
		default:
			seen[canonical(h.Name)] = true
			kept = append(kept, h)
		}
	}
	r.t.Headers = kept
}

// judgeMask removes paths that no message has. The others still apply.
func (r *templateReader) judgeMask() {
	kept := []string{}
	for _, path := range r.t.FieldMask {
		if _, err := lorawan.CompileMask([]string{path}); err != nil {
			r.fault(r.lines["field-mask"], "The path %s of the field-mask is ignored: no message has it.", quoted(path))
			continue
		}
		kept = append(kept, path)
	}
	r.t.FieldMask = kept
}

// placeholder is a name in braces, and its place.
type placeholder struct {
	name, place string
	line        int
}

// placeholders returns all placeholders of base URL, paths and headers.
func (r *templateReader) placeholders() []placeholder {
	var all []placeholder
	add := func(place string, line int, text string) {
		pieces, _ := parsePieces(text) // their faults are reported elsewhere
		for _, p := range pieces {
			for _, v := range p.vars {
				all = append(all, placeholder{v.name, place, line})
			}
		}
	}
	add("base-url", r.lines["base-url"], r.t.URL)
	for _, kind := range r.t.MessageTypes.Types() {
		add("path of "+string(kind), r.lines["path "+string(kind)], r.t.MessageTypes[kind].Path)
	}
	for _, h := range r.t.Headers {
		add("header "+h.Name, r.lines["header "+h.Name], h.Value)
	}
	return all
}

func (r *templateReader) judgePlaceholders() {
	if r.t.URL == "" {
		r.spoil(r.lines["base-url"], "There is no base-url.")
	} else if _, problem := parsePieces(r.t.URL); problem != "" {
		r.spoil(r.lines["base-url"], "The base-url %s", problem)
	}
	for _, kind := range r.t.MessageTypes.Types() {
		line, text := r.lines["path "+string(kind)], r.t.MessageTypes[kind].Path
		if _, problem := parsePieces(text); problem != "" {
			r.spoil(line, "The path of %s %s", kind, problem)
		}
		r.warnLong(line, "path of "+string(kind), text, maxPath)
	}
	for _, p := range r.placeholders() {
		if _, ok := findVariable(p.name); !ok && r.field(p.name) == nil {
			r.fault(p.line, "{%s} in the %s is neither a field nor a variable.", p.name, p.place)
		}
	}
}

// try uses the template with plausible values. If none makes a webhook, and the values
// are not the cause, the template cannot be used.
func (r *templateReader) try() {
	var last error
	for _, value := range []string{"x", "example.com", "https://example.com/x", ":8080", "8080", "https", ""} {
		values := make(map[string]string, len(r.t.Fields))
		for _, f := range r.t.Fields {
			values[f.ID] = value
		}
		_, err := Instantiate(r.t, "", values)
		e, ok := errors.AsType[*iot.Error](err)
		if !ok || e.Fields["template"] == "" {
			return
		}
		last = e
	}
	if e, ok := errors.AsType[*iot.Error](last); ok {
		r.spoil(r.lines["base-url"], "The template %s", strings.TrimSpace(e.Fields["template"]))
	}
}
