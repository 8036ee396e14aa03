package webhook

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yosida95/uritemplate/v3"

	"thingpost/internal/iot"
)

// origin is the part of a webhook's URL that no variable can change.
type origin struct {
	text string // scheme://host[:port]
	user *url.Userinfo
}

// parseOrigin splits a URL into its origin and the rest, which is empty or begins with
// "/", "?" or an expression that does. problem is a sentence about the fault, or "".
func parseOrigin(raw string) (o origin, rest, problem string) {
	scheme, authority, rest, ok := splitURL(raw)
	if !ok || scheme != "http" && scheme != "https" {
		return o, "", "must begin with https:// or http://."
	}
	if strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, "{/") && !strings.HasPrefix(rest, "{?") && !strings.HasPrefix(rest, "{#") {
		return o, "", "must not contain variables in its host or port. They can be in the path and the query."
	}
	u, err := url.Parse(scheme + "://" + authority)
	switch {
	case err != nil:
		return o, "", "must have a host and optionally a port, like https://example.com:8443/in."
	case !validHost(u):
		return o, "", "must have a host name or address, like https://example.com/in."
	case !validPort(u):
		return o, "", "must have a port from 1 to 65535, or none."
	}
	o.user = u.User
	o.text = scheme + "://" + u.Host
	if !strings.HasSuffix(authority, u.Host) {
		return o, "", "must have a host without % signs."
	}
	return o, rest, ""
}

// splitURL splits a URL into its lower-case scheme, the part between // and the path,
// and the rest. ok is false without "://".
func splitURL(raw string) (scheme, authority, rest string, ok bool) {
	scheme, after, ok := strings.Cut(raw, "://")
	end := strings.IndexAny(after, "/?#{")
	if end < 0 {
		end = len(after)
	}
	return strings.ToLower(scheme), after[:end], after[end:], ok
}

func validHost(u *url.URL) bool {
	name := u.Hostname()
	if strings.HasPrefix(u.Host, "[") {
		_, err := netip.ParseAddr(name)
		return err == nil
	}
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.In(r, unicode.Letter, unicode.Mark, unicode.Digit) && r != '-' && r != '.' && r != '_'
	})
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.Atoi(u.Port())
	return err == nil && n >= 1 && n <= 65535
}

// parseURIText reads what follows an origin: a path, a query, or both, with RFC 6570
// expressions. It percent-encodes characters that a URL cannot contain. problem is a
// sentence about the fault, or "".
func parseURIText(raw string) (t uriText, problem string) {
	encoded, problem := encodeLiterals(raw)
	if problem != "" {
		return t, problem
	}
	t.fixed = encoded
	if strings.Contains(encoded, "{") {
		template, err := uritemplate.New(encoded)
		if err != nil {
			return uriText{}, "must have variables of the form {devID}: letters, digits and _ in braces."
		}
		t.template = template
		for _, name := range template.Varnames() {
			if v, ok := findVariable(name); ok {
				t.vars = append(t.vars, v)
			}
		}
	}
	for _, value := range []string{"", "x"} {
		s, err := t.expandBy(func(variable) string { return value })
		if err != nil || climbs(s) {
			return uriText{}, "must not contain .. segments."
		}
	}
	return t, ""
}

const fragmentProblem = "must not have a fragment (#…). Fragments are never sent."

// encodeLiterals percent-encodes what a URL cannot contain, outside of expressions.
func encodeLiterals(raw string) (encoded, problem string) {
	if !utf8.ValidString(raw) {
		return "", "must be UTF-8 text."
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '{':
			n := strings.IndexByte(raw[i:], '}')
			if n < 0 {
				return "", "has a { without its }."
			}
			if strings.HasPrefix(raw[i:], "{#") {
				return "", fragmentProblem
			}
			b.WriteString(raw[i : i+n+1])
			i += n
		case c == '}':
			return "", "has a } without its {."
		case c == '#':
			return "", fragmentProblem
		case c < ' ' || c == 0x7f:
			return "", "must not contain control characters."
		case c == '%':
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return "", "must have two hex digits after each %. Write %25 for the character itself."
			}
			b.WriteByte(c)
		case c >= utf8.RuneSelf || strings.IndexByte("\" <>\\^`|", c) >= 0:
			b.WriteString(percent(c))
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func percent(c byte) string {
	const digits = "0123456789ABCDEF"
	return string([]byte{'%', digits[c>>4], digits[c&15]})
}

// climbs reports whether a path, with or without a query, contains a segment "..",
// encoded or not.
func climbs(s string) bool {
	path, _, _ := strings.Cut(s, "?")
	if !strings.Contains(path, "..") && !strings.Contains(path, "%2") {
		return false
	}
	plain := strings.NewReplacer("%2e", ".", "%2E", ".", "%2f", "/", "%2F", "/", "%5c", "/", "%5C", "/").Replace(path)
	return slices.Contains(strings.Split(plain, "/"), "..")
}

// pathProblem returns what is wrong with a message type's path as a whole, or "".
func pathProblem(path string) string {
	scheme, _, ok := strings.Cut(path, "://")
	if ok && !strings.ContainsAny(scheme, "/?{") {
		return "must be a path below the webhook's URL, like /up, not a URL."
	}
	if strings.HasPrefix(path, "//") {
		return "must not begin with //."
	}
	return ""
}

// join appends an expanded path to an origin and its expanded rest: exactly one slash
// between the paths, and the queries joined by "&". Whatever the texts contain, the
// result begins with the origin and no host follows it.
func join(origin, rest, path string) string {
	base, query, _ := strings.Cut(rest, "?")
	more, moreQuery, _ := strings.Cut(path, "?")
	hasQuery := len(base) < len(rest) || len(more) < len(path)
	if more != "" {
		more = "/" + strings.TrimPrefix(more, "/")
		base = strings.TrimSuffix(base, "/")
	}
	if base != "" && base[0] != '/' {
		base = "/" + base
	}
	s := origin + base + more
	if !hasQuery {
		return escapeFragment(s)
	}
	s += "?" + query
	if query != "" && moreQuery != "" {
		s += "&"
	}
	return escapeFragment(s + moreQuery)
}

// escapeFragment keeps a # from a variable's value in the path or query.
func escapeFragment(s string) string { return strings.ReplaceAll(s, "#", "%23") }

// target is the destination of a message type.
type target struct {
	origin string
	host   string
	rest   uriText
	path   uriText
	fixed  string // the whole URL if it has no variables
	shown  *shown // set if it has secrets
}

// shown is a target for display: with masks for its secrets.
type shown struct {
	origin     string
	rest, path uriText
}

// newShown reads a webhook's masked URL and path. If they cannot be read without their
// secrets, everything after the origin is a mask.
func newShown(masked, path string) *shown {
	scheme, authority, raw, _ := splitURL(masked)
	s := &shown{origin: scheme + "://" + authority}
	var a, b string
	s.rest, a = parseURIText(raw)
	s.path, b = parseURIText(path)
	if a != "" || b != "" {
		s.rest, s.path = uriText{}, uriText{fixed: "/" + iot.Mask}
	}
	return s
}

// url returns the masked URL for one message.
func (s *shown) url(in *Input) string {
	rest, _ := s.rest.expand(in) // faults were found with the secrets filled in
	path, _ := s.path.expand(in)
	return strings.ReplaceAll(join(s.origin, rest, path), encodedMask, iot.Mask)
}

// encodedMask is iot.Mask encoded for a URL.
const encodedMask = "%E2%80%A2%E2%80%A2%E2%80%A2"

func newTarget(o origin, rest, path uriText) (target, error) {
	t := target{origin: o.text, rest: rest, path: path}
	_, t.host, _ = strings.Cut(o.text, "://")
	if rest.template == nil && path.template == nil {
		fixed, err := t.build(rest.fixed, path.fixed)
		if err != nil {
			return target{}, err
		}
		t.fixed = fixed
	}
	return t, nil
}

// url returns the URL for one message.
func (t *target) url(in *Input) (string, error) {
	if t.fixed != "" {
		return t.fixed, nil
	}
	rest, err := t.rest.expand(in)
	if err != nil {
		return "", iot.FieldError("url", "cannot take the values of its variables: "+err.Error()+".")
	}
	path, err := t.path.expand(in)
	if err != nil {
		return "", iot.FieldError("url", "cannot take the values of its variables: "+err.Error()+".")
	}
	return t.build(rest, path)
}

func (t *target) build(rest, path string) (string, error) {
	if climbs(rest) || climbs(path) {
		return "", iot.FieldError("url", "contains a .. segment after its variables were filled in.")
	}
	s := join(t.origin, rest, path)
	u, err := url.Parse(s)
	if err != nil || !strings.EqualFold(u.Host, t.host) || u.User != nil {
		return "", iot.FieldError("url", "is not a URL after its variables were filled in.")
	}
	return s, nil
}
