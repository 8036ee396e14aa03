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

// NewToken returns the text of a new user token, session or set-up link.
func NewToken() Secret { return Secret(tokenPrefix + strings.ToLower(randomText(30))) }
