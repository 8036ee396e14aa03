package web

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// isUntidy reports whether a path can have parts that tidied removes.
func isUntidy(p string) bool {
	return strings.Contains(p, "//") || strings.Contains(p, "/.") || len(p) > 1 && p[len(p)-1] == '/'
}

// tidied returns a request to a program with a normalized path: without empty segments,
// "." segments and a trailing slash, escaped or not. Some clients build addresses this
// way, and a redirect would lose a POST's body. It returns other requests unchanged.
//
// It returns false for a program's path with "..", before or after. Following it could
// bypass a proxy that allows paths by prefix.
func (m *siteMap) tidied(r *http.Request) (_ *http.Request, ok bool) {
	var names, escaped []string
	up := false
	for part := range strings.SplitSeq(r.URL.EscapedPath(), "/") {
		name, err := url.PathUnescape(part)
		switch {
		case err != nil || name == "" || name == ".":
		case name == "..":
			up = true
		default:
			names, escaped = append(names, name), append(escaped, part)
		}
	}
	program := len(names) > 0 && m.programs[firstOf("/"+names[0])]
	if up {
		return r, !program && !m.programs[firstOf(path.Clean(r.URL.Path))]
	}
	if !program {
		return r, true
	}
	tidy, at := *r, *r.URL
	at.Path, at.RawPath = "/"+strings.Join(names, "/"), "/"+strings.Join(escaped, "/")
	tidy.URL = &at
	return &tidy, true
}

// firstOf returns the first segment of a path that begins with a slash.
func firstOf(p string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	return first
}
