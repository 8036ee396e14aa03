package iot

// Template describes a webhook for a service, with fields for what only the
// person knows who uses it. See webhook.ParseTemplate for its text form.
type Template struct {
	ID               string `json:"id"` // as written; need not be a slug
	Name             string `json:"name"`
	Description      string `json:"description"`
	InfoURL          string `json:"info_url"`
	DocumentationURL string `json:"documentation_url"`
	LogoURL          string `json:"logo_url"` // never loaded by our own pages
	Format           Format `json:"format"`   // json or protobuf
	// MessageTypes are those that are sent; may be empty. Paths hold placeholders.
	MessageTypes Routes          `json:"message_types"`
	Fields       []TemplateField `json:"fields"`
	// CreateDownlinkKey asks for an API key that the service can send downlinks with.
	CreateDownlinkKey bool `json:"create_downlink_key"`

	// URL and Headers hold placeholders, FieldMask paths of a LoRaWAN message.
	URL       string           `json:"-"`
	Headers   []TemplateHeader `json:"-"`
	FieldMask []string         `json:"-"`
	// Kind is what the service is for, in one word, to choose by; may be empty.
	Kind string `json:"-"`
	// File is the name of the file that it was read from, without its ending.
	File string `json:"-"`
}

// TemplateField is a value that a template asks for.
type TemplateField struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Description  string `json:"description"`
	Secret       bool   `json:"secret"`
	Optional     bool   `json:"optional"`
	DefaultValue string `json:"default_value"`
}

// TemplateHeader is a header that a template sets; its value holds placeholders.
type TemplateHeader struct{ Name, Value string }

// Label is what people call the field.
func (f TemplateField) Label() string {
	if f.Name != "" {
		return f.Name
	}
	return f.ID
}
