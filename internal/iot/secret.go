package iot

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strconv"
)

// Mask is what people and APIs see instead of a stored secret. A write of it leaves the
// stored secret unchanged.
const Mask = "•••"

// Secret is text that must not be seen: a header value, a signing secret, a key. It
// prints, logs and encodes as redacted. Only Reveal shows it.
type Secret string

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String returns "redacted", or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "redacted"
}

// Format prints the result of String for all verbs. fmt would show the text itself for
// verbs that do not fit, such as %d.
func (s Secret) Format(f fmt.State, verb rune) {
	text := s.String()
	switch {
	case verb == 'v' && f.Flag('#'):
		text = `iot.Secret("` + text + `")`
	case verb == 'q':
		text = strconv.Quote(text)
	}
	_, _ = io.WriteString(f, text)
}

// LogValue keeps the text out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON encodes the mask, or "" for an empty secret.
func (s Secret) MarshalJSON() ([]byte, error) {
	if s == "" {
		return []byte(`""`), nil
	}
	return json.Marshal(Mask)
}
