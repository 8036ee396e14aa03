package iot

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// TextLength counts the characters (code points) of s.
func TextLength(s string) int { return utf8.RuneCountInString(s) }

// HasControl reports whether s holds a control character, a line break among them.
func HasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }
