package pages

import (
	"bytes"

	"github.com/a-h/templ"

	"thingpost/internal/iot"
	"thingpost/views/ui"
)

// Names of the profile form's fields: the JSON names of what they set.
const (
	FieldContentType  = "content_type"
	FieldDataFilters  = "transformer.data_filters"
	FieldDataField    = "transformer.data_field"
	FieldTimeField    = "transformer.time_field"
	FieldTimeFormat   = "transformer.time_format"
	FieldTimeLocation = "transformer.time_location"
	FieldProfile      = "profile" // the profile that is edited, for the preview
)

// ProfileFields returns the fields of the form that can have a fault.
func ProfileFields() []string {
	return []string{"name", "id", FieldInterval, FieldContentType, FieldDataFilters, FieldDataField, FieldTimeField, FieldTimeFormat,
		FieldTimeLocation}
}

// Ids of the profile form's elements.
const (
	ProfileFormID    = "profile-form"
	ProfilePreviewID = "profile-preview"
)

// ProfilePreview is what a profile's form would make of a message.
type ProfilePreview struct {
	In       In
	Messages []MessageOption
	Came     []byte
	Made     []byte   // of what came; empty if there are faults
	Time     string   // that the device gives; "" for none
	Invalid  bool     // the faults are the form's, not the payload's
	Faults   []string // why nothing is made
	// Treated: the chosen message's device has a profile that changes payloads, so
	// that what is there of the message is most likely its result.
	Treated bool
}

func (p ProfilePreview) refusal() string {
	if p.Invalid {
		return "No preview yet"
	}
	if p.Treated {
		return "Already transformed by a profile"
	}
	return "This message would be rejected"
}

// change says whether the profile does anything.
func (p ProfilePreview) change() string {
	if bytes.Equal(p.Came, p.Made) {
		return "byte for byte"
	}
	return ui.Plural(int64(len(p.Made)), "byte", "bytes")
}

// profilePreviewAttrs make the preview follow the form.
func profilePreviewAttrs(p ProfilePreview) templ.Attributes {
	return templ.Attributes{
		"hx-post":    p.In.PreviewProfile(),
		"hx-trigger": "change delay:50ms, change from:#" + ProfileFormID + " delay:150ms, input from:#" + ProfileFormID + " delay:600ms",
		"hx-include": "#" + ProfileFormID,
		"hx-target":  "this",
		"hx-swap":    "outerHTML",
		"hx-sync":    "this:replace",
	}
}

func contentTypes() []ui.Option {
	words := map[iot.ContentType]string{
		iot.AnyJSON:     "Any JSON, unchanged",
		iot.JSONObjects: "JSON objects (application/json)",
		iot.SenMLJSON:   "SenML (application/senml+json)",
		iot.SenMLCBOR:   "SenML in CBOR (application/senml+cbor)",
	}
	var options []ui.Option
	for _, c := range iot.ContentTypes() {
		options = append(options, ui.Option{Value: string(c), Label: words[c]})
	}
	return options
}

func (p ProfileFormPage) action() string {
	if p.Profile == nil {
		return p.In.NewProfile()
	}
	return p.In.Profile(p.Profile.ID)
}
