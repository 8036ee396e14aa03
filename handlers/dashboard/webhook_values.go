package dashboard

import (
	"maps"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
)

// webhookForm returns the form of a webhook as it is stored, its secrets masked.
func webhookForm(h *iot.Webhook) *handlers.Form {
	f := handlers.NewForm("description", h.Description, "url", maskedURL(h), "channel", h.Channel, "device", h.Device)
	setFlag(f, "payload_only", h.PayloadOnly)
	f.Set(pages.FieldFormat, string(h.Format))
	f.Set(pages.FieldMask, strings.Join(h.FieldMask, "\n"))
	if h.DownlinkKey != "" {
		f.Set(pages.FieldDownlinkKey, iot.Mask)
	}
	setFlag(f, "signed", h.Signed)
	setTypes(f, h.MessageTypes)
	setHeaders(f, h.Headers)
	setSettings(f, h.Settings)
	return f
}

func setFlag(f *handlers.Form, name string, on bool) {
	if on {
		f.Set(name, "on")
	}
}

func setTypes(f *handlers.Form, routes iot.Routes) {
	_, user := routes[iot.User]
	_, iottly := routes[iot.Iottly]
	switch {
	case user && iottly:
		f.Set(pages.FieldType, "both")
	case iottly:
		f.Set(pages.FieldType, "iottly")
	default:
		f.Set(pages.FieldType, "user")
	}
	setFlag(f, pages.FieldOnlyLoRaWAN, !user && !iottly)
	var others []string
	for _, t := range routes.Types() {
		f.Set(pages.PathField(t), routes[t].Path)
		if t.LoRaWAN() {
			others = append(others, string(t))
		}
	}
	f.Set("message_types", others...)
}

// setHeaders writes the rows of headers; a secret value that is stored is masked.
func setHeaders(f *handlers.Form, headers []iot.Header) {
	f.Set(pages.FieldHeaderCount, strconv.Itoa(len(headers)))
	for i, h := range headers {
		value := h.Value.Reveal()
		if h.Secret {
			value = iot.Mask
		}
		setHeader(f, i, headerRow{h.Name, value, h.Secret})
	}
}

// headerRow is a header as it stands on the form.
type headerRow struct {
	name, value string
	secret      bool
}

func setHeader(f *handlers.Form, i int, h headerRow) {
	f.Set(pages.HeaderField(i, "name"), h.name)
	f.Set(pages.HeaderField(i, "value"), h.value)
	f.Set(pages.HeaderField(i, "secret"))
	setFlag(f, pages.HeaderField(i, "secret"), h.secret)
}

func headerRows(f *handlers.Form) []headerRow {
	rows := make([]headerRow, pages.HeaderRows(f))
	for i := range rows {
		rows[i] = headerRow{f.Value(pages.HeaderField(i, "name")), f.Raw(pages.HeaderField(i, "value")),
			f.Checked(pages.HeaderField(i, "secret"))}
	}
	return rows
}

func setHeaderRows(f *handlers.Form, rows []headerRow) {
	f.Set(pages.FieldHeaderCount, strconv.Itoa(len(rows)))
	for i, h := range rows {
		setHeader(f, i, h)
	}
}

func setSettings(f *handlers.Form, s iot.Settings) {
	f.Set(pages.FieldTimeout, strconv.FormatFloat(s.Timeout().Seconds(), 'f', -1, 64))
	number, unit := pages.GiveUp(s.GiveUpAfter())
	f.Set(pages.FieldGiveUp, number)
	f.Set(pages.FieldGiveUpUnit, unit)
	f.Set(pages.FieldInFlight, orEmpty(s.MaxInFlight))
	f.Set(pages.FieldPerSecond, orEmpty(s.MaxPerSecond))
	setFlag(f, pages.FieldInOrder, s.InOrder)
	classes := s.RetryOn
	switch {
	case s.NoRetry:
		classes = nil
	case len(classes) == 0:
		classes = iot.RetriedClasses()
	}
	names := make([]string, len(classes))
	for i, c := range classes {
		names[i] = string(c)
	}
	f.Set(pages.FieldRetryOn, names...)
}

func orEmpty(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// applyForm changes a webhook as the form says. A mask
// stands for what stored holds, which webhook.CheckChange puts back; stored may be nil. Rows of headers that are
// empty do not count. Faults are what webhook.Check cannot see.
func applyForm(f *handlers.Form, h, stored *iot.Webhook, faults *iot.Faults) {
	h.Description, h.URL, h.Channel, h.Device = f.Value("description"), f.Value("url"), f.Raw("channel"), f.Value("device")
	h.PayloadOnly, h.Signed = f.Checked("payload_only"), f.Checked("signed")
	if stored != nil && strings.Contains(h.URL, iot.Mask) && h.URL == maskedURL(stored) {
		h.URL = stored.URL
	}
	if stored != nil { // also of one that is copied
		h.Hidden, h.Template, h.TemplateFields = maps.Clone(stored.Hidden), stored.Template, maps.Clone(stored.TemplateFields)
	}
	applyTypes(f, h)
	if len(f.All(pages.FieldFormat)) > 0 {
		h.Format = iot.Format(f.Value(pages.FieldFormat))
	}
	h.FieldMask = maskOf(f)
	if len(f.All(pages.FieldDownlinkKey)) > 0 {
		h.DownlinkKey = iot.Secret(f.Raw(pages.FieldDownlinkKey))
	}
	applyHeaders(f, h, stored, faults)
	applySettings(f, &h.Settings, faults)
}

// maskOf reads the paths of the field mask.
func maskOf(f *handlers.Form) []string {
	return strings.FieldsFunc(f.Value(pages.FieldMask), func(c rune) bool { return c == ',' || unicode.IsSpace(c) })
}

func applyTypes(f *handlers.Form, h *iot.Webhook) {
	chosen := map[iot.MessageType]bool{}
	if !f.Checked(pages.FieldOnlyLoRaWAN) {
		kind := f.Value(pages.FieldType)
		chosen[iot.User] = kind == "user" || kind == "both"
		chosen[iot.Iottly] = kind == "iottly" || kind == "both"
	}
	for _, name := range f.All("message_types") {
		chosen[iot.MessageType(name)] = true
	}
	h.MessageTypes = iot.Routes{}
	for kind, ok := range chosen {
		if ok {
			h.MessageTypes[kind] = iot.Route{Path: f.Value(pages.PathField(kind))}
		}
	}
}

// filledRows are the rows of headers that are not empty.
func filledRows(f *handlers.Form) []headerRow {
	return slices.DeleteFunc(headerRows(f), func(row headerRow) bool { return row.name == "" && strings.TrimSpace(row.value) == "" })
}

func applyHeaders(f *handlers.Form, h, stored *iot.Webhook, faults *iot.Faults) {
	rows := filledRows(f)
	h.Headers = make([]iot.Header, len(rows))
	for i, row := range rows {
		h.Headers[i] = iot.Header{Name: row.name, Value: iot.Secret(row.value), Secret: row.secret}
		if row.value != iot.Mask || stored == nil {
			continue
		}
		for _, old := range stored.Headers {
			if !old.Secret || !sameHeader(old.Name, row.name) {
				continue
			}
			faults.Check(row.secret, pages.HeaderField(i, "value"), "A stored secret is never shown again. Enter a new value, or keep it secret.")
		}
	}
}

func sameHeader(a, b string) bool {
	return textproto.CanonicalMIMEHeaderKey(a) == textproto.CanonicalMIMEHeaderKey(b)
}

func applySettings(f *handlers.Form, s *iot.Settings, faults *iot.Faults) {
	timeout, err := strconv.ParseFloat(decimal(f.Value(pages.FieldTimeout)), 64)
	if err != nil || !(timeout >= 0 && timeout < 1e6) {
		faults.Add("settings.timeout_ms", "must be a number.")
		timeout = 1 // so that no second fault is found
	}
	s.TimeoutMS = time.Duration(timeout * float64(time.Second)).Milliseconds()
	after, ok := pages.ParseGiveUp(decimal(f.Value(pages.FieldGiveUp)), f.Value(pages.FieldGiveUpUnit))
	if !ok {
		faults.Add("settings.give_up_after_ms", "must be a number.")
		after = time.Hour
	}
	s.GiveUpAfterMS = after.Milliseconds()
	s.MaxInFlight = whole(f.Value(pages.FieldInFlight), "settings.max_in_flight", faults)
	s.MaxPerSecond = whole(f.Value(pages.FieldPerSecond), "settings.max_per_second", faults)
	s.InOrder = f.Checked(pages.FieldInOrder)
	s.RetryOn = nil
	for _, name := range f.All(pages.FieldRetryOn) {
		s.RetryOn = append(s.RetryOn, iot.ErrorClass(name))
	}
	s.NoRetry = len(s.RetryOn) == 0
	if len(s.RetryOn) == len(iot.RetriedClasses()) {
		s.RetryOn = nil
	}
}

// decimal lets people write a decimal comma.
func decimal(s string) string { return strings.Replace(s, ",", ".", 1) }

// whole reads a whole number, 0 for none.
func whole(text, field string, faults *iot.Faults) int {
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		faults.Add(field, "must be a whole number.")
		return 0
	}
	return n
}

// inFormWords says faults of settings in the units of the form, which are not
// those of the JSON.
func inFormWords(err error) error {
	if e, ok := asError(err); ok {
		for field, words := range map[string]string{
			"settings.timeout_ms":       "must be 1 to 30 seconds.",
			"settings.give_up_after_ms": "must be 1 minute to 30 days.",
			"settings.max_in_flight":    "must be a whole number from 1 to 64, or empty.",
			"settings.max_per_second":   "must be a whole number from 1 to 10,000, or empty.",
		} {
			if e.Fields[field] != "" {
				e.Fields[field] = words
			}
		}
	}
	return err
}
