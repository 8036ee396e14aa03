package iot

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

var base32Text = base32.StdEncoding.WithPadding(base32.NoPadding)

func randomText(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b)
	return base32Text.EncodeToString(b)
}

// Key prefixes tell people and scanners what a text is.
const (
	apiKeyPrefix    = "NNSXS." // The Things Stack's
	deviceKeyPrefix = "tpd_"
	tokenPrefix     = "tpt_"
)

// NewAPIKey returns the parts of a new API key and its whole text: NNSXS., 39
// characters of id, a dot, 52 characters of secret (The Things Stack's form).
func NewAPIKey() (id string, secret, text Secret) {
	id = randomText(24)
	s := randomText(32)
	return id, Secret(s), Secret(apiKeyPrefix + id + "." + s)
}

// ParseAPIKey splits the text of an API key; ok is false if it has another form.
func ParseAPIKey(text string) (id string, secret Secret, ok bool) {
	rest, ok := strings.CutPrefix(text, apiKeyPrefix)
	if !ok {
		return "", "", false
	}
	id, s, ok := strings.Cut(rest, ".")
	if !ok || len(id) != 39 || len(s) != 52 {
		return "", "", false
	}
	return id, Secret(s), true
}

// NewDeviceKey returns a new device key.
func NewDeviceKey() Secret { return Secret(deviceKeyPrefix + strings.ToLower(randomText(25))) }

// Bounds of a device key that a client sets.
const (
	MinDeviceKey = 16
	MaxDeviceKey = 128
)

// CheckDeviceKey returns an Invalid error for a key that a client must not set for
// a device: it has 16 to 128 characters of ASCII, without spaces, and not the form of
// an API key, of a token, or of a device key that this program makes itself. A
// UUID is one, as Mainflux gives them.
func CheckDeviceKey(key string) error {
	if len(key) < MinDeviceKey || len(key) > MaxDeviceKey || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return FieldError("key", "must have 16 to 128 characters: letters of ASCII, digits and signs, without spaces.")
	}
	for _, prefix := range []string{apiKeyPrefix, deviceKeyPrefix, tokenPrefix} {
		if len(key) >= len(prefix) && strings.EqualFold(key[:len(prefix)], prefix) {
			return FieldError("key", "must not begin with "+prefix+", as other keys do.")
		}
	}
	return nil
}

// NewToken returns the text of a new user token, session or set-up link.
func NewToken() Secret { return Secret(tokenPrefix + strings.ToLower(randomText(30))) }
