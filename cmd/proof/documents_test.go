package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// top is the folder of the documents, from this one.
const top = "../.."

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documents are the names of all pages, from the top.
func documents(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(top, "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages in docs (%v)", err)
	}
	list := []string{"README.md", "ARCHITECTURE.md", "CHANGELOG.md"}
	for _, page := range pages {
		list = append(list, "docs/"+filepath.Base(page))
	}
	return list
}

func TestDocumentsAreShort(t *testing.T) {
	if n := strings.Count(document(t, "README.md"), "\n"); n > 150 {
		t.Errorf("README.md has %d lines, at most 150", n)
	}
	if n := len(document(t, "ARCHITECTURE.md")); n > 15<<10 {
		t.Errorf("ARCHITECTURE.md has %d bytes, at most 15 KiB", n)
	}
	for line := range strings.Lines(document(t, "docs/proof.md")) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		for cell := range strings.SplitSeq(strings.ReplaceAll(line, `\|`, "/"), "|") {
			if n := utf8.RuneCountInString(strings.TrimSpace(cell)); n > maxCell {
				t.Errorf("docs/proof.md: a cell of %d characters, at most %d: %s", n, maxCell, cell)
			}
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noWord  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors are the parts of a page that a link can name, as GitHub makes them.
func anchors(text string) map[string]bool {
	set := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		set[strings.ReplaceAll(noWord.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return set
}

func TestLinksOfDocumentsResolve(t *testing.T) {
	index := document(t, "docs/README.md")
	for _, name := range documents(t) {
		if base := filepath.Base(name); strings.HasPrefix(name, "docs/") && base != "README.md" && !strings.Contains(index, "]("+base+")") {
			t.Errorf("docs/README.md has no link to %s", base)
		}
		text := document(t, name)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := name
			if path != "" {
				target = filepath.Join(filepath.Dir(name), path)
			}
			info, err := os.Stat(filepath.Join(top, target))
			if err != nil {
				t.Errorf("%s: the link to %s leads nowhere", name, m[1])
			} else if anchor != "" && (info.IsDir() || !anchors(document(t, target))[anchor]) {
				t.Errorf("%s: there is no part %s", name, m[1])
			}
		}
	}
}

var (
	testName = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)`")
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	fileName = regexp.MustCompile("`((?:cmd|db|handlers|internal|static|views|web)/[\\w./-]+)`")
)

// A test or file that is renamed keeps its name in no document.
func TestDocumentsNameWhatExists(t *testing.T) {
	tests := map[string]bool{}
	err := filepath.WalkDir(top, func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, name := range documents(t) {
		text := document(t, name)
		for _, m := range testName.FindAllStringSubmatch(text, -1) {
			if named++; !tests[m[1]] {
				t.Errorf("%s: there is no %s", name, m[1])
			}
		}
		for _, m := range fileName.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(top, m[1])); err != nil {
				t.Errorf("%s: there is no file %s", name, m[1])
			}
		}
	}
	if named == 0 {
		t.Error("no document names a test")
	}
}
