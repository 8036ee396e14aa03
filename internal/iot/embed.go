package iot

import (
	"net/url"
	"slices"
	"strings"
)

// Embed is a link by which another site shows the log of a project, or of one webhook,
// in a frame. It is read-only.
type Embed struct {
	ID         ID
	ProjectKey int64
	WebhookKey int64  // 0: the whole project
	Webhook    string // slug
	Name       string
	Origins    []string // of the sites that can show it
	CreatedBy  string
	CreatedAt  Instant
	ExpiresAt  Instant
	RevokedAt  Instant // 0: not revoked
}

// MaxOrigins bounds the sites that can show one embedded log.
const MaxOrigins = 10

// ParseOrigins reads origins, such as https://portal.example or http://localhost:8000,
// separated by spaces, commas or lines. ok is false if one is invalid, there is none,
// or there are more than MaxOrigins. The result has the form in which browsers compare
// origins, without repeats.
func ParseOrigins(text string) (origins []string, ok bool) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,\t\r\n", r) }) {
		u, err := url.Parse(strings.ToLower(strings.TrimSuffix(word, "/")))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" ||
			u.ForceQuery || u.Fragment != "" ||
			strings.ContainsFunc(u.Host, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789.-:[]", r) }) {
			return nil, false
		}
		port := u.Port()
		if u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
			u.Host = strings.TrimSuffix(u.Host, ":"+port)
		}
		origin := u.Scheme + "://" + u.Host
		if !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
	}
	return origins, len(origins) > 0 && len(origins) <= MaxOrigins
}
