package main

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// firstPaint is the maximum transfer of a page until it is shown: HTML, stylesheet,
// scripts and icons together, compressed.
const firstPaint = 60 << 10

// TestFirstPaintIsSmall counts the transfer of a page's first visit, and checks that
// the second visit fetches only the page.
func TestFirstPaintIsSmall(t *testing.T) {
	p := serve(t, adminEnv(), "-data", t.TempDir(), "-allow-networks", "127.0.0.0/8,::1/128")
	defer p.end(t, syscall.SIGTERM)
	fillProject(t, signIn(t, p.url))
	reader := newReader(t, p.url)
	reader.signIn("ada@example.org", "correct horse battery")
	hashed := regexp.MustCompile(`^/static/.*\.[0-9a-f]{8,}\.[a-z]+$`)
	links := regexp.MustCompile(`(?:href|src)="(/static/[^"#]+)`)
	most := 0
	for _, page := range []string{"/projects/long-words", "/projects/long-words/deliveries"} {
		html, total := reader.wire(page)
		seen := map[string]bool{}
		for _, m := range links.FindAllStringSubmatch(html, -1) {
			path := m[1]
			if seen[path] {
				continue
			}
			seen[path] = true
			if !hashed.MatchString(path) {
				t.Errorf("%s fetches %s, whose name has no hash", page, path)
			}
			_, n := reader.wire(path)
			total += n
			if cache := reader.header.Get("Cache-Control"); !strings.Contains(cache, "max-age=31536000") || !strings.Contains(cache, "immutable") {
				t.Errorf("%s is kept as %q", path, cache)
			}
		}
		most = max(most, total)
		if total > firstPaint || len(seen) < 4 {
			t.Errorf("%s brings %d bytes in %d files, more than %d or too few files", page, total, len(seen)+1, firstPaint)
		}
	}
	t.Attr("figure", fmt.Sprintf("%.1f KB", float64(most)/1024))
}
