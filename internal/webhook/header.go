package webhook

import (
	"net/textproto"
	"strings"

	"thingpost/internal/iot"
)

// Names of headers that a webhook's request can have, in canonical form.
const (
	headerContentType = "Content-Type"
	headerUserAgent   = "User-Agent"
	headerID          = "Webhook-Id"
	headerTimestamp   = "Webhook-Timestamp"
	headerSignature   = "Webhook-Signature"
	headerDownKey     = "X-Downlink-Apikey"
	headerDownPush    = "X-Downlink-Push"
	headerDownReplace = "X-Downlink-Replace"
	headerDomain      = "X-Tts-Domain"
)

// ownHeader is a header of a person's own, before variables are filled in.
type ownHeader struct {
	name   string
	value  headerText
	secret bool
}

// isToken reports whether a header's name follows the grammar of RFC 9110.
func isToken(s string) bool {
	const marks = "!#$%&'*+-.^_`|~"
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte(marks, c) >= 0 {
			continue
		}
		return false
	}
	return s != ""
}

// canonical returns a header's name as sent.
func canonical(name string) string { return textproto.CanonicalMIMEHeaderKey(name) }

// nameProblem returns why a person cannot use a header's name, or "".
func nameProblem(name string) string {
	if name == "" {
		return "must not be empty."
	}
	if !isToken(name) {
		return "must be letters, digits and dashes, without spaces. Other allowed characters are !#$%&'*+.^_`|~."
	}
	c := canonical(name)
	switch c {
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection",
		"Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Upgrade":
		return "Thingpost sets " + c + " itself. Remove it, or use another name."
	}
	if strings.HasPrefix(c, "Webhook-") {
		return "Names that begin with webhook- are reserved for Thingpost. Remove it, or use another name."
	}
	return ""
}

// overruled reports whether our header of this name replaces a person's own.
func overruled(name string, w *iot.Webhook) bool {
	switch name {
	case headerContentType, headerDomain:
		return w.Format == iot.JSON || w.Format == iot.Protobuf
	case headerDownKey, headerDownPush, headerDownReplace:
		return w.DownlinkKey != ""
	}
	return false
}
