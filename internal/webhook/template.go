package webhook

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"thingpost/internal/iot"
)

// Remark is a fault in a template's file. An error means that the template cannot be
// used, or does not do what its author wants. A warning means that another reader of
// the format can refuse it, or that something is missing.
type Remark struct {
	File  string // "" if there is none
	Line  int    // from 1; 0 for the whole file
	Error bool
	Text  string // a sentence
}

// String returns the remark as a line: file, line, error or warning, and text.
func (f Remark) String() string {
	where := f.File
	if f.Line > 0 {
		where += fmt.Sprintf(":%d", f.Line)
	}
	what := "warning"
	if f.Error {
		what = "error"
	}
	return strings.TrimPrefix(where+": ", ": ") + what + ": " + f.Text
}

// Bounds that The Things Stack sets on templates. Existing templates exceed them, so
// these are only warnings. Lengths are in characters.
const (
	usualID   = 36
	usualName = 20
	usualText = 100
)

// maxTemplateFile bounds a template's file in bytes.
const maxTemplateFile = 256 << 10

// ParseTemplate reads a template in the YAML format of The Things Stack. It is lenient:
// unknown and unusual parts are only warnings. The template is nil if it cannot be
// used; the remarks say why. file is the name in the remarks, and its stem is the id of
// a template without one.
func ParseTemplate(file string, text []byte) (*iot.Template, []Remark) {
	r := &templateReader{file: file}
	stem := strings.TrimSuffix(path.Base(file), path.Ext(file))
	r.t = &iot.Template{File: stem, MessageTypes: iot.Routes{}, Fields: []iot.TemplateField{}, FieldMask: []string{}}
	root, ok := r.parse(text)
	if !ok {
		return nil, r.remarks
	}
	r.read(root)
	r.judge()
	slices.SortStableFunc(r.remarks, func(a, b Remark) int { return a.Line - b.Line })
	if r.unusable {
		return nil, r.remarks
	}
	return r.t, r.remarks
}

// templateReader reads one template. It continues after a remark.
type templateReader struct {
	file     string
	t        *iot.Template
	remarks  []Remark
	unusable bool
	lines    map[string]int // of top-level keys, fields, headers and paths, by place
	present  map[string]bool
}

// say adds a remark. Control characters of the file do not reach a terminal.
func (r *templateReader) say(line int, isError bool, format string, args ...any) {
	text := strings.Map(func(c rune) rune {
		if iot.HasControl(string(c)) {
			return '?'
		}
		return c
	}, fmt.Sprintf(format, args...))
	r.remarks = append(r.remarks, Remark{File: r.file, Line: line, Error: isError, Text: text})
}

func (r *templateReader) warn(line int, format string, args ...any) {
	r.say(line, false, format, args...)
}

func (r *templateReader) fault(line int, format string, args ...any) {
	r.say(line, true, format, args...)
}

// read reads the top-level keys.
func (r *templateReader) read(root mapping) {
	r.lines, r.present = map[string]int{}, map[string]bool{}
	for _, e := range root {
		r.lines[e.key], r.present[e.key] = e.line, true
		t := r.t
		switch e.key {
		case "template-id":
			t.ID = r.text(e)
		case "name":
			t.Name = r.text(e)
		case "description":
			t.Description = r.text(e)
		case "logo-url":
			t.LogoURL = r.text(e)
		case "info-url":
			t.InfoURL = r.text(e)
		case "documentation-url":
			t.DocumentationURL = r.text(e)
		case "base-url":
			t.URL = r.text(e)
		case "baseurl":
			r.warn(e.line, "baseurl is an old name of base-url.")
			if !r.present["base-url"] {
				t.URL, r.lines["base-url"] = r.text(e), e.line
			}
		case "format":
			t.Format = iot.Format(r.text(e))
		case "kind":
			t.Kind = r.text(e)
		case "create-downlink-api-key":
			t.CreateDownlinkKey = r.flag(e)
		case "fields":
			r.readFields(e)
		case "headers":
			r.readHeaders(e)
		case "paths":
			r.readPaths(e)
		case "field-mask":
			for _, item := range r.list(e) {
				t.FieldMask = append(t.FieldMask, r.text(item))
			}
		case "tts-documentation-url":
		default:
			r.warn(e.line, "Unknown key %s; ignored.", quoted(e.key))
		}
	}
}

func (r *templateReader) readFields(e entry) {
	for _, item := range r.list(e) {
		var f iot.TemplateField
		for _, part := range r.mapping(item) {
			switch part.key {
			case "id":
				f.ID = r.text(part)
			case "name":
				f.Name = r.text(part)
			case "description":
				f.Description = r.text(part)
			case "default-value":
				f.DefaultValue = r.text(part)
			case "secret":
				f.Secret = r.flag(part)
			case "optional":
				f.Optional = r.flag(part)
			default:
				r.warn(part.line, "Unknown key %s of a field; ignored.", quoted(part.key))
			}
		}
		switch {
		case f.ID == "":
			r.fault(item.line, "This field has no id; ignored.")
		case r.field(f.ID) != nil:
			r.fault(item.line, "There are two fields %s; this one is ignored.", quoted(f.ID))
		default:
			r.lines["field "+f.ID] = item.line
			r.t.Fields = append(r.t.Fields, f)
		}
	}
}

func (r *templateReader) field(id string) *iot.TemplateField {
	return findField(r.t, id)
}

// readHeaders reads a mapping, or a list of mappings as in some old templates.
func (r *templateReader) readHeaders(e entry) {
	parts := []entry{e}
	if r.isList(e) {
		r.warn(e.line, "The headers are a list; other readers expect a mapping.")
		parts = r.list(e)
	}
	for _, part := range parts {
		for _, h := range r.mapping(part) {
			r.lines["header "+h.key] = h.line
			r.t.Headers = append(r.t.Headers, iot.TemplateHeader{Name: h.key, Value: r.text(h)})
		}
	}
}

func (r *templateReader) readPaths(e entry) {
	for _, part := range r.mapping(e) {
		kind := iot.MessageType(strings.ReplaceAll(part.key, "-", "_"))
		switch {
		case !known(kind) || !kind.LoRaWAN() || strings.Contains(part.key, "_"):
			r.warn(part.line, "Unknown message type %s; ignored.", quoted(part.key))
		case r.isNull(part):
			r.warn(part.line, "The path of %s is null, which turns it off. Write \"\" for an empty path, or remove the line.", part.key)
		default:
			r.lines["path "+string(kind)] = part.line
			r.t.MessageTypes[kind] = iot.Route{Path: r.text(part)}
		}
	}
}

func findField(t *iot.Template, id string) *iot.TemplateField {
	for i := range t.Fields {
		if t.Fields[i].ID == id {
			return &t.Fields[i]
		}
	}
	return nil
}

// quoted returns a text from a file, short and safe for a terminal's line.
func quoted(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
