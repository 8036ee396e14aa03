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

// Key prefixes show people and scanners what a text is.
const (
	apiKeyPrefix    = "NNSXS." // The Things Stack's
	deviceKeyPrefix = "tpd_"
	tokenPrefix     = "tpt_"
)

// NewAPIKey returns the parts of a new API key and its whole text: NNSXS., an id of 39
// characters, a dot, a secret of 52 characters (The Things Stack's form).
func NewAPIKey() (id string, secret, text Secret) {
	id = randomText(24)
	s := randomText(32)
	return id, Secret(s), Secret(apiKeyPrefix + id + "." + s)
}

// ParseAPIKey splits the text of an API key. ok is false if it has another form.
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

// CheckDeviceKey returns an Invalid error for a device key that a client must not set.
// A key has 16 to 128 characters of ASCII, without spaces. It must not have the form of
// an API key, a token or a device key of our own. UUIDs are allowed, as Mainflux uses
// them.
func CheckDeviceKey(key string) error {
	if len(key) < MinDeviceKey || len(key) > MaxDeviceKey || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return FieldError("key", "must have 16 to 128 ASCII letters, digits and signs, without spaces.")
	}
	for _, prefix := range []string{apiKeyPrefix, deviceKeyPrefix, tokenPrefix} {
		if len(key) >= len(prefix) && strings.EqualFold(key[:len(prefix)], prefix) {
			return FieldError("key", "must not begin with "+prefix+": other kinds of keys do.")
		}
	}
	return nil
}

// NewToken returns the text of a new user token, session or set-up link.
func NewToken() Secret { return Secret(tokenPrefix + strings.ToLower(randomText(30))) }
