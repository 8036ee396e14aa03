package iot

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// TextLength counts the characters (code points) of s.
func TextLength(s string) int { return utf8.RuneCountInString(s) }

// HasControl reports whether s has a control character, such as a line break.
func HasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// DecodeBase64 reads base64 of the standard or the URL alphabet, with or without
// padding. It ignores surrounding space, such as the line break that base64(1) writes.
func DecodeBase64(s string) ([]byte, error) {
	s = strings.TrimRight(strings.TrimSpace(s), "=")
	code := base64.RawStdEncoding
	if strings.ContainsAny(s, "-_") {
		code = base64.RawURLEncoding
	}
	return code.DecodeString(s)
}
