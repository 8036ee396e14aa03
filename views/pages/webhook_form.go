package pages

import (
	"strconv"
	"strings"
	"time"

	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/ui"
)

// The ids of what the form's page swaps, and of the form itself.
const (
	WebhookFormID     = "webhook-form"
	WebhookHeadersID  = "webhook-headers"
	WebhookPreviewID  = "webhook-preview"
	webhookRotateID   = "webhook-rotate"
	webhookLookID     = "webhook-look"
	webhookDevicesID  = "webhook-devices"
	WebhookMaskID     = "webhook-mask"
	webhookPathsID    = "webhook-mask-paths"
	webhookPreviewNow = "webhook-preview-now" // the event that asks for a new preview
)

// WebhookPreviewEvent is the name of the event that makes the preview fetch
// itself, for HX-Trigger-After-Swap.
const WebhookPreviewEvent = webhookPreviewNow

// The fields of the form whose names are not those of the JSON, as they hold
// other units or only a part. A field of header 0 is headers.0.name, .value or
// .secret, one of a path path.user.
const (
	FieldType         = "type"          // user, iottly or both
	FieldOnlyLoRaWAN  = "only_lorawan"  // none of them
	FieldHeaderCount  = "header_rows"   // rows of headers on the form
	FieldTimeout      = "timeout"       // seconds
	FieldGiveUp       = "give_up_after" // in the unit
	FieldGiveUpUnit   = "give_up_unit"  // m, h or d
	FieldInFlight     = "max_in_flight"
	FieldPerSecond    = "max_per_second"
	FieldRetryOn      = "retry_on"
	FieldInOrder      = "in_order"
	FieldFormat       = "format"     // "" for the one that the message types suggest
	FieldMask         = "field_mask" // a path on each line
	FieldMaskAdd      = "mask_path"  // a path to add
	FieldDownlinkKey  = "downlink_key"
	FieldVersion      = "version" // of the webhook when the form was read
	FieldCopy         = "copy"    // the webhook that the form was copied from
	FieldPreviewOf    = "webhook" // the webhook that is edited, for the preview
	FieldMessage      = "message" // that the preview is made with
	ButtonRemove      = "remove"  // the row of a header
	ButtonAdd         = "add"
	ButtonMask        = "add_path"
	typeUser          = "user"
	typeIottly        = "iottly"
	typeBoth          = "both"
	maxHeaderRows     = iot.MaxTemplateHeaders
	unitMinutes       = "m"
	unitHours         = "h"
	unitDays          = "d"
	newRowPlaceholder = "X-Name"
)

// HeaderField names a field of the row of a header: name, value or secret.
func HeaderField(row int, part string) string {
	return "headers." + strconv.Itoa(row) + "." + part
}

// PathField names the field with the path of a message type.
func PathField(t iot.MessageType) string { return "path." + string(t) }

// WebhookFormPage shows the form of a new webhook or of one that exists, with
// its preview beside it.
type WebhookFormPage struct {
	Shell       layout.Props
	Project     In
	Form        Form
	Webhook     *iot.Webhook // nil for a new one
	Reader      string       // the person's name, as Webhook.PausedBy holds it
	Now         iot.Instant
	CanEdit     bool
	HeaderLimit int  // headers that a person can add up to
	HeaderFocus int  // row that was just added, from 1
	MaskFocus   bool // a path was just added to the field mask
	// TemplateKnown says that the template it was made from has a page.
	TemplateKnown bool
	MaskPaths     []string // to choose from
	Variables     []Variable
	Devices       []string // some of the project's, to choose from
	Schedule      []time.Duration
	Preview       WebhookPreview
	Secret        iot.Secret // just made: shown this once
}

// Variable is a name that URLs, paths and header values may hold in braces.
type Variable struct{ Name, Text string }

// MessageOption is a message that a preview can be made with.
type MessageOption struct {
	ID     string // "" for the sample
	Label  string // what the server says; its time is UTC
	Chosen bool
}

// WebhookPreview is what the form's webhook would do with a message.
type WebhookPreview struct {
	Project  In
	Action   string // where the form is previewed, if not as a webhook's form is
	Look     string // where those who may not change the form choose a message
	Messages []MessageOption
	Faults   []string // why there is no preview: what the form must say first
	Hint     string   // why the URL would not be reached
	Matches  bool
	Checks   []ui.Check
	Skip     string // why nothing would be sent although it matches
	Problem  string // why no request can be made
	Signing  string // which libraries cannot verify the signature of this
	Request  *iot.Request
	Body     []byte
}

func (p WebhookPreview) action() string { return orText(p.Action, p.Project.PreviewWebhook()) }

func (p WebhookFormPage) title() string {
	if p.Webhook == nil {
		return "Add a webhook"
	}
	return p.Webhook.Description
}

func (p WebhookFormPage) action() string {
	if p.Webhook == nil {
		return p.Project.NewWebhook()
	}
	return p.Project.Webhook(p.Webhook.ID)
}

func (p WebhookFormPage) save() string {
	if p.Webhook == nil {
		return "Add webhook"
	}
	return "Save webhook"
}

// rows is how many rows of headers the form has.
func (p WebhookFormPage) rows() int { return HeaderRows(p.Form) }

// HeaderRows reads how many rows of headers a form has.
func HeaderRows(f Form) int {
	n, _ := strconv.Atoi(f.Value(FieldHeaderCount))
	return min(max(n, 0), maxHeaderRows)
}

// fields are the names that the form shows faults for, in its order.
func (p WebhookFormPage) fields() []string { return WebhookFields(p.rows()) }

// WebhookFields are the names by which faults of a webhook stand at the form's
// fields, in the form's order.
func WebhookFields(rows int) []string {
	names := []string{"description", "url", "message_types", "channel", "payload_only", "headers"}
	for i := range rows {
		names = append(names, HeaderField(i, "name"), HeaderField(i, "value"))
	}
	for _, t := range iot.MessageTypes() {
		names = append(names, pathFault(t))
	}
	return append(names, FieldFormat, FieldMask, "device", FieldDownlinkKey, "settings.timeout_ms", "settings.give_up_after_ms",
		"settings.max_in_flight", "settings.max_per_second", "settings.retry_on")
}

// first is the first field with a fault, "" if there is none.
func (p WebhookFormPage) first() string {
	for _, name := range p.fields() {
		if p.Form.Error(name) != "" {
			return name
		}
	}
	return ""
}

// faults counts the fields with a fault.
func (p WebhookFormPage) faults() int {
	n := 0
	for _, name := range p.fields() {
		if p.Form.Error(name) != "" {
			n++
		}
	}
	return n
}

// faultWords counts them in words, "" if there are none.
func (p WebhookFormPage) faultWords() string {
	switch n := p.faults(); n {
	case 0:
		return ""
	case 1:
		return "Correct one field"
	default:
		return "Correct " + numeral(n) + " fields"
	}
}

// moreOpen reports whether the part behind "More" is open: it holds a fault or
// something that is not as usual.
func (p WebhookFormPage) moreOpen() bool {
	f := p.Form
	for _, name := range p.fields() {
		switch name {
		case "description", "url", "channel", "payload_only", "headers":
			continue
		}
		if f.Error(name) != "" && !strings.HasPrefix(name, "headers.") {
			return true
		}
	}
	for _, t := range iot.MessageTypes() {
		if f.Value(PathField(t)) != "" || f.Has("message_types", string(t)) {
			return true
		}
	}
	format := f.Value(FieldFormat)
	return format != "" && format != string(iot.Envelope) || f.Value(FieldMask) != "" || f.Value(FieldDownlinkKey) != "" ||
		f.Checked(FieldOnlyLoRaWAN) || f.Value("device") != "" || f.Checked("signed")
}

func (p WebhookFormPage) typeOptions() []ui.ChoiceOption {
	options := []ui.ChoiceOption{
		{Value: typeUser, Title: "user", Text: "Messages that your devices send"},
		{Value: typeIottly, Title: "iottly", Text: "Reports of the agent on the device"},
	}
	if p.Form.Value(FieldType) == typeBoth {
		options = append(options, ui.ChoiceOption{Value: typeBoth, Title: "user and iottly", Text: "Both kinds of messages"})
	}
	return options
}

// formatOptions are the formats; a new webhook may leave the choice to its types.
func (p WebhookFormPage) formatOptions() []ui.Option {
	var options []ui.Option
	if p.Webhook == nil {
		options = append(options, ui.Option{Label: "By message type"})
	}
	return append(options, ui.Option{Value: string(iot.Envelope), Label: "Envelope"},
		ui.Option{Value: string(iot.JSON), Label: "JSON of The Things Stack"},
		ui.Option{Value: string(iot.Protobuf), Label: "Protocol Buffers"})
}

// maskRows is how many lines of the field mask show at once.
func (p WebhookFormPage) maskRows() int {
	const fewest, most = 3, 10
	return min(max(strings.Count(p.Form.Value(FieldMask), "\n")+1, fewest), most)
}

// lorawan are the message types behind "More".
func lorawanTypes() []iot.MessageType {
	var types []iot.MessageType
	for _, t := range iot.MessageTypes() {
		if t.LoRaWAN() {
			types = append(types, t)
		}
	}
	return types
}

// pathError is what is wrong with the path of a message type.
func (p WebhookFormPage) pathError(t iot.MessageType) string {
	return p.Form.Error(pathFault(t))
}

// pathFault is the name by which faults of a path are told.
func pathFault(t iot.MessageType) string { return "message_types." + string(t) + ".path" }

// slots says how many headers there are of how many. A template or another
// dialect can have made more than a person may.
func (p WebhookFormPage) slots() string {
	if p.rows() > p.HeaderLimit {
		return strconv.Itoa(p.rows())
	}
	return strconv.Itoa(p.rows()) + " of " + strconv.Itoa(p.HeaderLimit)
}

func (p WebhookFormPage) headersFull() bool { return p.rows() >= p.HeaderLimit }

// valueType hides a secret value while it is typed.
func (p WebhookFormPage) valueType(row int) string {
	if p.Form.Checked(HeaderField(row, "secret")) {
		return "password"
	}
	return "text"
}

func (p WebhookFormPage) retryLine() ui.RetryLineProps {
	line := ui.RetryLineProps{Stop: "stop", Text: "Time between attempts, each ± 20 %, then every " + waitText(p.Schedule[len(p.Schedule)-1]) +
		". The axis is not to scale."}
	line.Label = "Attempts"
	for _, wait := range p.Schedule {
		line.Waits = append(line.Waits, waitText(wait))
		line.Label += ", after " + waitText(wait)
	}
	return line
}

// waitText writes a wait of the schedule, which is a whole number of its unit.
func waitText(d time.Duration) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	case d >= time.Minute && d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d%time.Second == 0:
		return strconv.Itoa(int(d/time.Second)) + " s"
	}
	return ui.Duration(d)
}

func giveUpUnits() []ui.Option {
	return []ui.Option{{Value: unitMinutes, Label: "minutes"}, {Value: unitHours, Label: "hours"}, {Value: unitDays, Label: "days"}}
}

// GiveUp writes the time after which a delivery is given up as number and unit
// of the form.
func GiveUp(d time.Duration) (number, unit string) {
	size, unit := time.Minute, unitMinutes
	switch {
	case d > 0 && d%(24*time.Hour) == 0 && d > 24*time.Hour:
		size, unit = 24*time.Hour, unitDays
	case d > 0 && d%time.Hour == 0:
		size, unit = time.Hour, unitHours
	}
	return strconv.FormatFloat(float64(d)/float64(size), 'f', -1, 64), unit
}

// ParseGiveUp is GiveUp the other way round.
func ParseGiveUp(number, unit string) (d time.Duration, ok bool) {
	size := map[string]time.Duration{unitMinutes: time.Minute, unitHours: time.Hour, unitDays: 24 * time.Hour}[unit]
	v, err := strconv.ParseFloat(number, 64)
	const most = 100_000 * 24 * time.Hour // what a time.Duration can hold, and far more than is allowed
	if err != nil || size == 0 || !(v >= 0 && v <= float64(most/size)) {
		return 0, false
	}
	return time.Duration(v * float64(size)).Round(time.Millisecond), true
}

// retryWords says what failures of a class are.
func retryWords(c iot.ErrorClass) string {
	switch c {
	case iot.ErrDNS:
		return "the host name was not found"
	case iot.ErrConnect:
		return "no connection"
	case iot.ErrTLS:
		return "no TLS connection"
	case iot.ErrTimeout:
		return "no answer in time"
	case iot.ErrBlocked:
		return "blocked by the network policy"
	case iot.ErrHTTP4xx:
		return "400 to 499, but never 410"
	case iot.ErrHTTP5xx:
		return "500 to 599, and answers that do not fit a POST, such as 304"
	case iot.ErrRedirect:
		return "300 to 308 with a Location"
	case iot.ErrConfig:
	}
	return "no request could be created"
}

// form is the id of the form that the chosen message belongs to.
func (p WebhookPreview) form() string {
	if p.Look != "" {
		return webhookLookID
	}
	return WebhookFormID
}

// matchWords is the headline of a preview.
func (p WebhookPreview) matchWords() string {
	switch {
	case !p.Matches:
		return "This message does not match"
	case p.Skip != "":
		return "This message matches but is skipped"
	}
	return "This message matches"
}

func (p WebhookPreview) tone() ui.Tone {
	switch {
	case p.Problem != "":
		return ui.Danger
	case p.Matches && p.Skip == "":
		return ui.Success
	}
	return ui.Neutral
}

func (p WebhookPreview) shape() ui.Shape {
	switch {
	case p.Problem != "":
		return ui.Square
	case p.Matches && p.Skip == "":
		return ui.Disc
	}
	return ui.Dash
}

// headerTokens writes headers as aligned lines.
func headerTokens(lines iot.HeaderLines) []ui.Token {
	width := 0
	for _, l := range lines {
		width = max(width, len(l.Name))
	}
	width = min(width, 24)
	var out []ui.Token
	for i, l := range lines {
		gap := strings.Repeat(" ", 2+max(width-len(l.Name), 0))
		end := "\n"
		if i == len(lines)-1 {
			end = ""
		}
		out = append(out, ui.Token{Kind: ui.DimToken, Text: Plain(l.Name)}, ui.Token{Text: gap + Plain(l.Value) + end})
	}
	return out
}
