package webhook

import (
	"strings"

	"github.com/tidwall/gjson"
	"github.com/yosida95/uritemplate/v3"

	"thingpost/internal/iot"
)

// Variable is a name in braces that URLs, paths and header values can contain.
type Variable struct {
	Name        string
	Description string // for a form's help
}

type variable struct {
	Variable
	value func(*Input) string
}

// Variables returns all variables in the order of display.
func Variables() []Variable {
	all := variables()
	list := make([]Variable, len(all))
	for i, v := range all {
		list[i] = v.Variable
	}
	return list
}

func variables() []variable {
	application := func(in *Input) string { return ofMessage(in, "application_ids.application_id", in.Project.ID) }
	device := func(in *Input) string { return ofMessage(in, "device_id", in.Device.ID) }
	devEUI := func(in *Input) string { return strings.ToUpper(ofMessage(in, "dev_eui", in.Device.DevEUI)) }
	joinEUI := func(in *Input) string { return strings.ToUpper(ofMessage(in, "join_eui", in.Device.JoinEUI)) }
	devAddr := func(in *Input) string { return strings.ToUpper(ofMessage(in, "dev_addr", in.Device.DevAddr)) }
	return []variable{
		{Variable{"deviceID", "The device's id."}, device},
		{Variable{"deviceUUID", "The device's UUID."}, func(in *Input) string { return in.Device.UUID }},
		{Variable{"projectID", "The project's id."}, func(in *Input) string { return in.Project.ID }},
		{Variable{"messageID", "The message's id; the same on every try."}, func(in *Input) string { return in.Message.ID.String() }},
		{Variable{"messageType", "The message's type, such as user."}, func(in *Input) string { return string(in.Message.Type) }},
		{Variable{"channel", "The message's channel; empty if it has none."}, func(in *Input) string { return in.Message.Channel }},
		{Variable{"devEUI", "The device's DevEUI, 16 hex digits; empty if it has none."}, devEUI},
		{Variable{"joinEUI", "The device's JoinEUI, 16 hex digits; empty if it has none."}, joinEUI},
		{Variable{"devAddr", "The device's address, 8 hex digits; empty if it has none."}, devAddr},
		{Variable{"fPort", "The LoRaWAN port of the message; empty for user and iottly messages."}, fPort},
		{Variable{"devID", "The same as deviceID."}, device},
		{Variable{"appID", "The application in a LoRaWAN message, otherwise the project's id."}, application},
		{Variable{"applicationID", "The same as appID."}, application},
		{Variable{"appEUI", "The same as joinEUI."}, joinEUI},
	}
}

// ofMessage returns an identifier in a LoRaWAN message, or other if it has none.
func ofMessage(in *Input, name, other string) string {
	if in.Message.Type.LoRaWAN() {
		if r := gjson.GetBytes(in.Message.Payload, "end_device_ids."+name); r.Type == gjson.String && r.Str != "" {
			return r.Str
		}
	}
	return other
}

func fPort(in *Input) string {
	if !in.Message.Type.LoRaWAN() {
		return ""
	}
	return gjson.GetBytes(in.Message.Payload, string(in.Message.Type)+".f_port").String()
}

func findVariable(name string) (variable, bool) {
	for _, v := range variables() {
		if v.Name == name {
			return v, true
		}
	}
	return variable{}, false
}

// uriText is a piece of a URL that can have RFC 6570 expressions.
type uriText struct {
	fixed    string // the whole text if there are none
	template *uritemplate.Template
	vars     []variable // existing ones that the template names
}

// expand fills in the variables. An unknown one counts as undefined; one without a
// value is empty.
func (t *uriText) expand(in *Input) (string, error) {
	if t.template == nil {
		return t.fixed, nil
	}
	return t.expandBy(func(v variable) string { return v.value(in) })
}

func (t *uriText) expandBy(value func(variable) string) (string, error) {
	if t.template == nil {
		return t.fixed, nil
	}
	values := make(uritemplate.Values, len(t.vars))
	for _, v := range t.vars {
		values[v.Name] = uritemplate.String(value(v))
	}
	return t.template.Expand(values)
}

// headerText is a header value that can have {variables}. Values are filled in
// unchanged. Braces around anything else are text.
type headerText struct {
	fixed  string
	pieces []headerPiece // nil without variables
}

type headerPiece struct {
	text  string // before the variable
	value func(*Input) string
}

func parseHeaderText(s string) headerText {
	var t headerText
	from := 0 // start of the text that is not in a piece yet
	for i := 0; i < len(s); i++ {
		if s[i] != '{' {
			continue
		}
		n := strings.IndexByte(s[i:], '}')
		if n < 0 {
			break
		}
		if v, ok := findVariable(s[i+1 : i+n]); ok {
			t.pieces = append(t.pieces, headerPiece{text: s[from:i], value: v.value})
			from = i + n + 1
			i += n
		}
	}
	t.fixed = s[from:]
	return t
}

// expand fills in the variables.
func (t *headerText) expand(in *Input) string {
	if t.pieces == nil {
		return t.fixed
	}
	var b strings.Builder
	for i := range t.pieces {
		b.WriteString(t.pieces[i].text)
		b.WriteString(t.pieces[i].value(in))
	}
	b.WriteString(t.fixed)
	return b.String()
}

// checkExpanded refuses an expanded header value that would break the request.
func checkExpanded(name, value string) error {
	if iot.HasControl(value) {
		return iot.FieldError("headers", "the value of "+name+" contains a control character after its variables were filled in.")
	}
	return nil
}
