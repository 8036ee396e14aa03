package iot

import "strings"

// OtherHost ends a sentence that asks people to enter a stored secret again: it is not
// sent to the address's new host.
const OtherHost = ": the stored one is not sent to another host."

// SameHost reports whether two http addresses have the same scheme, host and port, as
// written; user names are ignored. A stored secret may stay with an address only then:
// who can change the address must not learn the secret.
func SameHost(a, b string) bool {
	schemeA, hostA := hostOf(a)
	schemeB, hostB := hostOf(b)
	return hostA != "" && strings.EqualFold(schemeA, schemeB) && strings.EqualFold(hostA, hostB)
}

// hostOf returns the scheme and the host with port of an address. The address can have
// variables after its host.
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

// MaskSecrets replaces the secrets in headers and the downlink key by Mask, as others
// see the webhook. Changes are made to the masked webhook. webhook.CheckChange restores
// the secrets that stay.
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
