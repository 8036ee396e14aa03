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

// Unmask puts secrets in the place of a text's masks, in their order. ok is
// false if there are more or fewer masks than secrets.
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

// FullURL returns the URL with the secrets that its masks stand for; for
// making requests alone. ok is as of Unmask.
func (w *Webhook) FullURL() (full string, ok bool) { return Unmask(w.URL, w.Hidden[HiddenURL]) }

// FullPath returns the path of a message type, as FullURL does the URL.
func (w *Webhook) FullPath(t MessageType) (full string, ok bool) {
	return Unmask(w.MessageTypes[t].Path, w.Hidden[HiddenPath(t)])
}

// TemplateValue is what a person gave for a field of a template.
type TemplateValue struct {
	Value  Secret
	Secret bool // as the template says: then the value is masked in answers
}

// MarshalJSON encodes the value, or the mask for a secret one that is not empty.
func (v TemplateValue) MarshalJSON() ([]byte, error) {
	if v.Secret {
		return v.Value.MarshalJSON()
	}
	return json.Marshal(v.Value.Reveal())
}

// UnmarshalJSON reads what MarshalJSON writes: the mask is the value of a secret
// one.
func (v *TemplateValue) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	*v = TemplateValue{Value: Secret(text), Secret: text == Mask}
	return nil
}
