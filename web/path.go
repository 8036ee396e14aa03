package web

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// isUntidy reports whether a path may have what tidied takes out.
func isUntidy(p string) bool {
	return strings.Contains(p, "//") || strings.Contains(p, "/.") || len(p) > 1 && p[len(p)-1] == '/'
}

// tidied returns a request to a program with its path's empty segments, those that
// are "." and a slash at its end taken out, escaped or not: clients put addresses
// together so, and a redirect would cost a POST its body. A request to anything else
// comes back as it is.
//
// It is false for a program's path with "..", from it or to it. To follow it would
// lead past a proxy that lets some paths through and knows them by their beginning.
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
