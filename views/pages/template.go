package pages

import (
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/ui"
)

// TemplatesID is the id of the gallery's section that a search swaps.
const TemplatesID = "templates"

// templateFormat is where the format of templates is described.
const templateFormat = "https://www.thethingsindustries.com/docs/integrations/webhooks/webhook-templates/format/"

// TemplatesPage shows the gallery of templates.
type TemplatesPage struct {
	Shell   layout.Props
	Project In
	Search  string
	Kind    string   // what they are for; "" is all
	Kinds   []string // the kinds to choose from
	All     int      // templates that there are
	Cards   []TemplateCard
	CanAdd  bool // the reader can add a webhook, and there is room for one
}

// TemplateCard is a template in the gallery.
type TemplateCard struct {
	Template *iot.Template
	Hue      int  // its place in the catalogue, of which the colour is made
	InUse    bool // a webhook of the project was made from it
}

// TemplatePage shows the form of a template.
type TemplatePage struct {
	Shell    layout.Props
	Project  In
	Template *iot.Template
	Hue      int
	Form     Form
	Preview  WebhookPreview
	CanEdit  bool
	Full     bool // no webhook more can be added
	Limit    int  // webhooks that a project can have
}

// TemplateField is the name of the input of a template's field.
func TemplateField(id string) string { return "fields." + id }

func (p TemplatesPage) hint() string {
	return "Search " + ui.Plural(int64(p.All), "template", "templates")
}

// tabs are the kinds of templates to choose from.
func (p TemplatesPage) tabs() []ui.Tab {
	const most = 4 // kinds that fit a phone
	tabs := []ui.Tab{{Label: "All", Href: p.Project.Templates("q", p.Search), Current: p.Kind == ""}}
	for i, kind := range p.Kinds {
		if i < most || kind == p.Kind {
			tabs = append(tabs, ui.Tab{Label: capital(kind), Href: p.Project.Templates("q", p.Search, "kind", kind), Current: kind == p.Kind})
		}
	}
	return tabs
}

func templateSearchAttrs(action string) templ.Attributes {
	attrs := ui.Swaps("get", action, TemplatesID)
	attrs["hx-trigger"] = "submit, input delay:300ms"
	return attrs
}

func monogramOf(t *iot.Template, place int) ui.MonogramProps {
	const hues = 6
	return ui.MonogramProps{Name: t.Name, Hue: max(place, 0) % hues, Large: true}
}

func (c TemplateCard) fields() string {
	if len(c.Template.Fields) == 0 {
		return "No fields"
	}
	return ui.Plural(int64(len(c.Template.Fields)), "field", "fields")
}

// facts say what a webhook of the template does.
func (p TemplatePage) facts() []ui.Fact {
	t := p.Template
	var types []string
	for _, kind := range t.MessageTypes.Types() {
		types = append(types, string(kind))
	}
	facts := []ui.Fact{{Term: "Messages", Body: ui.Chips(types...)}}
	if len(types) == 0 {
		facts[0] = ui.Fact{Term: "Messages", Value: "none until you choose some in the webhook’s form"}
	}
	facts = append(facts, ui.Fact{Term: "Body", Value: bodyText(&iot.Webhook{Format: t.Format})})
	if len(t.FieldMask) > 0 {
		facts = append(facts, ui.Fact{Term: "Fields", Value: ui.Plural(int64(len(t.FieldMask)), "path", "paths")})
	}
	return facts
}

// input is the input of a field. What was typed into a secret one stays, as in
// the other forms, but is not shown.
func (p TemplatePage) input(i int, f iot.TemplateField) ui.FieldProps {
	name := TemplateField(f.ID)
	label := f.Label()
	if f.Optional && !strings.Contains(strings.ToLower(label), "optional") {
		label += " (optional)"
	}
	props := ui.FieldProps{Name: name, ID: "field-" + strconv.Itoa(i), Label: label, Value: p.Form.Raw(name), Error: p.Form.Error(name),
		Help: Plain(f.Description), Mono: true, Required: !f.Optional,
		MaxLength: 4096, Autocomplete: "off", Autofocus: p.first() == name}
	if f.Secret {
		props.Type, props.Autocomplete = "password", "new-password"
	}
	return props
}

// first is the field that has the focus: the first bad one, or the first one
// that is empty.
func (p TemplatePage) first() string {
	empty := ""
	for _, f := range p.Template.Fields {
		name := TemplateField(f.ID)
		if p.Form.Error(name) != "" {
			return name
		}
		if empty == "" && p.Form.Value(name) == "" {
			empty = name
		}
	}
	if p.Form.Faulty() {
		return ""
	}
	return empty
}
