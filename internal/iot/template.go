package iot

// Template describes a webhook for a service, with fields for values that only its user
// knows. See webhook.ParseTemplate for its text form.
type Template struct {
	ID               string `json:"id"` // as written; need not be a slug
	Name             string `json:"name"`
	Description      string `json:"description"`
	InfoURL          string `json:"info_url"`
	DocumentationURL string `json:"documentation_url"`
	LogoURL          string `json:"logo_url"` // our own pages never load it
	Format           Format `json:"format"`   // json or protobuf
	// MessageTypes are the types sent; may be empty. Paths have placeholders.
	MessageTypes Routes          `json:"message_types"`
	Fields       []TemplateField `json:"fields"`
	// CreateDownlinkKey asks for an API key with which the service can send downlinks.
	CreateDownlinkKey bool `json:"create_downlink_key"`

	// URL and Headers have placeholders. FieldMask has paths of a LoRaWAN message.
	URL       string           `json:"-"`
	Headers   []TemplateHeader `json:"-"`
	FieldMask []string         `json:"-"`
	// Kind is the purpose of the service in one word, to choose by; may be empty.
	Kind string `json:"-"`
	// File is the name of its file, without the ending.
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

// TemplateHeader is a header that a template sets. Its value has placeholders.
type TemplateHeader struct{ Name, Value string }

// Label is the field's name for people.
func (f TemplateField) Label() string {
	if f.Name != "" {
		return f.Name
	}
	return f.ID
}
