package pages

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"thingpost/views/ui"
)

// Plain returns foreign text fit for a page: what is no UTF-8, control
// characters other than tab and line break, and marks that turn the direction
// of text are replaced, so that what is shown is what is there.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return -1
		case unicode.IsControl(r), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x061c, r == 0xfeff:
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}

// maxBody bounds what of a body a page shows, in bytes: there may be many of
// them, and they can be a megabyte.
const maxBody = 16 << 10

// bodyTokens shows a body: indented and coloured if it is JSON, and cut if it is
// longer than maxBody.
func bodyTokens(body []byte) []ui.Token {
	if len(body) > maxBody {
		return []ui.Token{{Text: Plain(string(body[:maxBody])) + "\n"},
			{Kind: ui.DimToken, Text: "… " + ui.Count(int64(len(body)-maxBody)) + " more bytes are not shown"}}
	}
	tokens := ui.JSONTokens(body)
	for i := range tokens {
		tokens[i].Text = Plain(tokens[i].Text)
	}
	return tokens
}
