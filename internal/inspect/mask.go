package inspect

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"thingpost/internal/iot"
)

// shortestSecret is the least length of a secret that is masked wherever it
// stands: what is shorter would mask words by chance.
const shortestSecret = 8

// secrets are what must not be kept of a request: texts, and names of headers.
type secrets struct {
	texts []string
	names map[string]bool // canonical
}

// secrets returns those of a project's webhooks: any of them may have sent a
// request, or somebody who tries one out by hand.
func (i *Inspector) secrets(ctx context.Context, projectID int64) (secrets, error) {
	s := secrets{names: map[string]bool{}}
	hooks, err := i.o.DB.Webhooks(ctx, projectID)
	if err != nil {
		return s, err
	}
	add := func(text iot.Secret) {
		// Of "Bearer abc" the secret is "abc".
		if last := text.Reveal()[strings.LastIndexByte(text.Reveal(), ' ')+1:]; len(last) >= shortestSecret {
			s.texts = append(s.texts, last)
		}
	}
	for _, w := range hooks {
		for _, h := range w.Headers {
			if h.Secret {
				s.names[http.CanonicalHeaderKey(h.Name)] = true
				add(h.Value)
			}
		}
		add(w.DownlinkKey)
		for _, secret := range w.SigningSecrets {
			add(secret)
		}
		for _, hidden := range w.Hidden {
			for _, secret := range hidden {
				add(secret)
			}
		}
		for _, v := range w.TemplateFields {
			if v.Secret {
				add(v.Value)
			}
		}
	}
	return s, nil
}

// text masks the webhooks' secrets within a text, also percent-encoded ones.
func (s secrets) text(t string) string {
	for _, secret := range s.texts {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			t = strings.ReplaceAll(t, form, iot.Mask)
		}
	}
	return t
}

// headers masks values whose header is a secret of a webhook, or whose name says
// that they are one.
func (s secrets) headers(lines iot.HeaderLines) iot.HeaderLines {
	for i := range lines {
		if s.names[http.CanonicalHeaderKey(lines[i].Name)] || isSecretName(lines[i].Name) {
			lines[i].Value = iot.Mask
		}
		lines[i].Value = s.text(lines[i].Value)
	}
	return lines
}

// query masks values of parameters whose names say that they are secret.
func (s secrets) query(q string) string {
	if q == "" {
		return ""
	}
	parts := strings.Split(q, "&")
	for i, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil && value != "" && isSecretName(plain) {
			parts[i] = name + "=" + iot.Mask
		}
	}
	return s.text(strings.Join(parts, "&"))
}

// isSecretName reports whether a header or parameter of this name usually holds
// a secret.
func isSecretName(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"authorization", "cookie", "token", "secret", "password", "passwd", "credential", "apikey", "api-key", "api_key"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return (strings.HasSuffix(name, "key") || strings.HasSuffix(name, "-auth")) && name != "idempotency-key"
}
