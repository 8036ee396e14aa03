package inspect

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"thingpost/internal/iot"
)

// secrets are what must not be stored of a request: texts, and values of named headers.
type secrets struct {
	texts *iot.Masker
	names map[string]bool // canonical
}

// secrets returns the secrets of a project's webhooks: any of them, or a person who
// tries one by hand, may have sent the request.
func (i *Inspector) secrets(ctx context.Context, projectKey int64) (secrets, error) {
	s := secrets{names: map[string]bool{}}
	hooks, err := i.o.DB.Webhooks(ctx, projectKey)
	if err != nil {
		return s, err
	}
	var texts []iot.Secret
	for _, w := range hooks {
		for _, h := range w.Headers {
			if h.Secret {
				s.names[http.CanonicalHeaderKey(h.Name)] = true
				texts = append(texts, h.Value)
			}
		}
		texts = append(append(texts, w.DownlinkKey), w.SigningSecrets...)
		for _, hidden := range w.Hidden {
			texts = append(texts, hidden...)
		}
		for _, v := range w.TemplateFields {
			if v.Secret {
				texts = append(texts, v.Value)
			}
		}
	}
	s.texts = iot.NewMasker(texts...)
	return s, nil
}

// text masks the webhooks' secrets within a text.
func (s secrets) text(t string) string { return s.texts.Mask(t) }

// headers masks the values of headers that are secret in a webhook or by their name.
func (s secrets) headers(lines iot.HeaderLines) iot.HeaderLines {
	for i := range lines {
		if s.names[http.CanonicalHeaderKey(lines[i].Name)] || isSecretName(lines[i].Name) {
			lines[i].Value = iot.Mask
		}
		lines[i].Value = s.text(lines[i].Value)
	}
	return lines
}

// query masks the values of parameters whose names suggest a secret.
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

// isSecretName reports whether a header or parameter of this name is usually secret.
func isSecretName(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"authorization", "cookie", "token", "secret", "password", "passwd", "credential", "apikey", "api-key",
		"api_key"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return (strings.HasSuffix(name, "key") || strings.HasSuffix(name, "-auth")) && name != "idempotency-key"
}
