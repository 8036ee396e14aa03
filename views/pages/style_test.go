package pages

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
)

var updateGolden = flag.Bool("update", false, "write the golden files anew")

// hashed is the part of a file's path that changes with its content.
var hashed = regexp.MustCompile(`(/static/[a-z/]+)\.[0-9a-f]{12}\.`)

func styleHTML(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := StyleSheet().Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	html := hashed.ReplaceAll(b.Bytes(), []byte("$1."))
	// A tag a line, so that a difference can be read.
	return append(bytes.ReplaceAll(html, []byte("><"), []byte(">\n<")), '\n')
}

func TestStylePageIsAsItWas(t *testing.T) {
	got := styleHTML(t)
	name := filepath.Join("testdata", "style.html")
	if *updateGolden {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("line %d is\n%s\nand was\n%s\nIf that is right, run the test with -update and look at the page.", i+1, g[i], w[i])
		}
	}
	t.Fatalf("%d lines, and there were %d. If that is right, run the test with -update.", len(g), len(w))
}

// TestStylePageShowsEveryComponent holds views/ui and the page together.
func TestStylePageShowsEveryComponent(t *testing.T) {
	// There is one of these on a page, with an id of its own, or nothing is to be
	// seen of them alone.
	elsewhere := map[string]bool{"DialogSlot": true, "DrawerSlot": true, "Drawer": true, "KeysDialog": true, "Tail": true, "Toasts": true,
		"ToastAppended": true, "Hidden": true}
	var page []byte
	for _, name := range []string{"style.templ", "style_forms.templ", "style_lists.templ"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		page = append(page, b...)
	}
	files, err := filepath.Glob("../ui/*.templ")
	if err != nil || len(files) == 0 {
		t.Fatalf("no components: %v", err)
	}
	component := regexp.MustCompile(`(?m)^templ ([A-Z]\w*)\(`)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range component.FindAllSubmatch(b, -1) {
			if name := string(m[1]); !elsewhere[name] && !bytes.Contains(page, []byte("ui."+name+"(")) {
				t.Errorf("the style page does not show ui.%s of %s: add it to views/pages/style*.templ, and run the test with -update", name,
					filepath.Base(file))
			}
		}
	}
}

func TestStylePageHasNoIDTwice(t *testing.T) {
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(styleHTML(t)))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	doc.Find("[id]").Each(func(_ int, s *goquery.Selection) {
		id := s.AttrOr("id", "")
		if seen[id] {
			t.Errorf("two elements have the id %s", id)
		}
		seen[id] = true
	})
	doc.Find("label[for]").Each(func(_ int, s *goquery.Selection) {
		if !seen[s.AttrOr("for", "")] {
			t.Errorf("the label %q is for nothing", s.Text())
		}
	})
	for _, theme := range []string{"light", "dark"} {
		if doc.Find(`.sheet[data-theme="`+theme+`"]`).Length() != len(styleGroups()) {
			t.Errorf("not every group is shown in the %s theme", theme)
		}
	}
}
