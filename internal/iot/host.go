package iot

import "strings"

// OtherHost says why a secret that is stored is not sent to where an address leads
// now: what is to be entered again is put before it.
const OtherHost = ": the present one goes to no other host."

// SameHost reports whether two http addresses have the same scheme, host and
// port, as they are written, without a look at user names. A stored secret may stay
// with an address only then: whoever can change the address must not learn it.
func SameHost(a, b string) bool {
	schemeA, hostA := hostOf(a)
	schemeB, hostB := hostOf(b)
	return hostA != "" && strings.EqualFold(schemeA, schemeB) && strings.EqualFold(hostA, hostB)
}

// hostOf cuts scheme and host with port out of an address, which may hold
// variables behind its host.
func hostOf(address string) (scheme, host string) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(address), "://")
	if !ok {
		return "", ""
	}
	if end := strings.IndexAny(rest, "/?#{"); end >= 0 {
		rest = rest[:end]
	}
	return scheme, rest[strings.LastIndexByte(rest, '@')+1:]
}

// MaskSecrets puts Mask in the place of the secrets in headers and of the
// downlink key, as others see the webhook. A change is made to it so, and
// webhook.CheckChange puts back those that stay.
func (w *Webhook) MaskSecrets() {
	for i, h := range w.Headers {
		if h.Secret && h.Value != "" {
			w.Headers[i].Value = Mask
		}
	}
	if w.DownlinkKey != "" {
		w.DownlinkKey = Mask
	}
}
