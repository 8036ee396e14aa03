package pages

import (
	"strings"

	"thingpost/internal/iot"
	"thingpost/views/ui"
)

// responseTokens shows a response: status, headers, and the body as text.
func responseTokens(r *iot.Response) []ui.Token {
	out := []ui.Token{{Kind: ui.StrongToken, Text: r.Status.Text() + "\n"}}
	out = append(out, headLines(r.Headers)...)
	if r.Body != "" {
		out = append(out, ui.Token{Text: "\n" + Plain(r.Body)})
	}
	return out
}

func headLines(lines iot.HeaderLines) []ui.Token {
	var out []ui.Token
	for _, h := range lines {
		out = append(out, ui.Token{Kind: ui.DimToken, Text: Plain(h.Name) + ":"}, ui.Token{Text: " " + Plain(h.Value) + "\n"})
	}
	return out
}

// responseNote says how much of the body is shown.
func responseNote(r *iot.Response) string {
	size := ui.Plural(int64(len(r.Body)), "byte", "bytes")
	switch {
	case r.Truncated:
		return "Truncated at 64 KiB: the rest of the body was not kept."
	case r.Body == "":
		return "The response has no body."
	}
	return "All " + size + " of the body. The first 64 KiB of a response are kept."
}

// requestTokens shows a request: its line, headers, and the body.
func requestTokens(r iot.Request, body []byte) []ui.Token {
	out := []ui.Token{{Kind: ui.StrongToken, Text: r.Method + " " + Plain(r.URL) + "\n"}}
	out = append(out, headLines(r.Headers)...)
	if len(body) > 0 {
		out = append(out, ui.Token{Text: "\n"})
		out = append(out, bodyTokens(body)...)
	}
	return out
}

// maxRaw bounds what is shown of a body as it is sent, in bytes.
const maxRaw = 64 << 10

// rawTokens shows a body as it is sent, without an indent.
func rawTokens(body []byte) []ui.Token {
	return ui.PlainText(Plain(string(body[:min(len(body), maxRaw)])))
}

// bodyNote says how much of the raw body is shown.
func (p DeliveryDetail) bodyNote() string {
	switch {
	case len(p.Body) == 0:
		return p.requestNote()
	case len(p.Body) > maxRaw:
		return "The first 64 KiB of " + ui.Plural(int64(len(p.Body)), "byte", "bytes") + ". All bytes are sent."
	}
	return ui.Plural(int64(len(p.Body)), "byte", "bytes") + ", exactly as sent."
}

// requestNote says where the body that is shown comes from.
func (p DeliveryDetail) requestNote() string {
	const secrets = "Secret header values are never shown."
	switch {
	case p.Message == nil:
		return "The message is no longer kept, so the body cannot be shown. " + secrets
	case p.Webhook == nil:
		return "The webhook was deleted, so the body cannot be rendered again. " + secrets
	case p.Request == nil:
		return "With the webhook’s current settings there is no request for this message, so no body is shown. " + secrets
	case p.Changed:
		return "The webhook was changed later. This is the body that its current settings produce. " + secrets
	}
	return secrets
}

// RequestCurl writes a request as a command for a shell. Masked values are left for the
// reader to fill in, as are secrets in the URL. A body that a command line does
// not hold well is named as a file.
func RequestCurl(r iot.Request, body []byte) string {
	var b strings.Builder
	b.WriteString("curl -X " + r.Method + " " + shellQuoted(strings.ReplaceAll(r.URL, iot.Mask, "…")))
	for _, h := range r.Headers {
		value := h.Value
		if strings.Contains(value, iot.Mask) {
			value = "…"
		}
		b.WriteString(" \\\n  -H " + shellQuoted(h.Name+": "+value))
	}
	const most = 16 << 10
	switch {
	case len(body) == 0:
	case len(body) > most || Plain(string(body)) != string(body):
		b.WriteString(" \\\n  --data-binary @body")
	default:
		b.WriteString(" \\\n  --data-raw " + shellQuoted(string(body)))
	}
	return b.String()
}

// shellQuoted puts text between single quotes, as a POSIX shell reads it.
func shellQuoted(s string) string {
	return "'" + strings.ReplaceAll(Plain(s), "'", `'\''`) + "'"
}
