package ui

import (
	"bytes"
	"encoding/json"
	"strings"
)

// TokenKind says what a piece of code is, for its colour.
type TokenKind string

// The kinds: the key, string and number of JSON, what matters less, a variable
// that was filled in, and a first line.
const (
	PlainToken  TokenKind = ""
	KeyToken    TokenKind = "t-key"
	StringToken TokenKind = "t-str"
	NumberToken TokenKind = "t-num"
	DimToken    TokenKind = "t-dim"
	VarToken    TokenKind = "t-var"
	StrongToken TokenKind = "font-semibold"
)

// Token is a piece of code.
type Token struct {
	Kind TokenKind
	Text string
}

// PlainText returns text as one token.
func PlainText(text string) []Token { return []Token{{Text: text}} }

// maxHighlighted bounds the JSON that is coloured, in bytes: beyond it the
// markup would weigh many times the text.
const maxHighlighted = 16 << 10

// JSONTokens returns a JSON text, indented and in pieces. Numbers and strings
// keep their bytes. What is not valid JSON, or longer than 16 KiB, is returned
// as it is.
func JSONTokens(text []byte) []Token {
	var indented bytes.Buffer
	if len(text) > maxHighlighted || json.Indent(&indented, text, "", "  ") != nil {
		return PlainText(string(text))
	}
	return tokens(indented.String())
}

// tokens cuts valid JSON into pieces.
func tokens(s string) []Token {
	var out []Token
	for len(s) > 0 {
		var n int
		kind := PlainToken
		switch c := s[0]; {
		case c == '"':
			n = stringEnd(s)
			kind = StringToken
			if strings.HasPrefix(s[n:], ":") {
				kind = KeyToken
			}
		case c == '-' || c >= '0' && c <= '9':
			n = span(s, "+-.eE0123456789")
			kind = NumberToken
		case c >= 'a' && c <= 'z':
			n = span(s, "abcdefghijklmnopqrstuvwxyz")
			kind = NumberToken
		default:
			n = max(strings.IndexAny(s, `"-0123456789abcdefghijklmnopqrstuvwxyz`), 0)
			if n == 0 {
				n = len(s)
			}
		}
		out = append(out, Token{kind, s[:n]})
		s = s[n:]
	}
	return out
}

// stringEnd returns the length of the JSON string at the start of s.
func stringEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}

// span returns the length of the run of some characters at the start of s.
func span(s, of string) int {
	return len(s) - len(strings.TrimLeft(s, of))
}

// breakable cuts text after each slash but the last of two, where a long URL
// may go on in the next line.
func breakable(s string) []string {
	var out []string
	start := 0
	for i := range len(s) {
		if s[i] == '/' && i+1 < len(s) && s[i+1] != '/' && i > start {
			out = append(out, s[start:i+1])
			start = i + 1
		}
	}
	return append(out, s[start:])
}
