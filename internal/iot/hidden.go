package iot

import (
	"encoding/json"
	"strings"
)

// HiddenURL is the key of Webhook.Hidden for the secrets in its URL.
const HiddenURL = "url"

// HiddenPath returns the key of Webhook.Hidden for the secrets in the path of a
// message type.
func HiddenPath(t MessageType) string { return "message_types." + string(t) + ".path" }

// Unmask replaces a text's masks by secrets, in order. ok is false if the numbers of
// masks and secrets differ.
func Unmask(text string, secrets []Secret) (full string, ok bool) {
	pieces := strings.Split(text, Mask)
	if len(pieces) != len(secrets)+1 {
		return "", false
	}
	if len(secrets) == 0 {
		return text, true
	}
	var b strings.Builder
	for i, s := range secrets {
		b.WriteString(pieces[i])
		b.WriteString(s.Reveal())
	}
	b.WriteString(pieces[len(secrets)])
	return b.String(), true
}

// FullURL returns the URL with its secrets instead of masks. It is only for making
// requests. ok is as of Unmask.
func (w *Webhook) FullURL() (full string, ok bool) { return Unmask(w.URL, w.Hidden[HiddenURL]) }

// FullPath returns the path of a message type with its secrets, as FullURL does.
func (w *Webhook) FullPath(t MessageType) (full string, ok bool) {
	return Unmask(w.MessageTypes[t].Path, w.Hidden[HiddenPath(t)])
}

// TemplateValue is a person's value for a field of a template.
type TemplateValue struct {
	Value  Secret
	Secret bool // set by the template: the value is masked in answers
}

// MarshalJSON encodes the value, or the mask if it is secret and not empty.
func (v TemplateValue) MarshalJSON() ([]byte, error) {
	if v.Secret {
		return v.Value.MarshalJSON()
	}
	return json.Marshal(v.Value.Reveal())
}

// UnmarshalJSON reads what MarshalJSON writes. A secret value is the mask.
func (v *TemplateValue) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	*v = TemplateValue{Value: Secret(text), Secret: text == Mask}
	return nil
}
