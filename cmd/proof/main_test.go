package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const output = `=== RUN   TestA
=== RUN   TestA/part
=== ATTR  TestA/part figure 3 of 3
--- PASS: TestA (0.01s)
    --- PASS: TestA/part (0.00s)
=== RUN   TestB
    b_test.go:7: no browser
=== ATTR  TestB other thing
--- SKIP: TestB (0.00s)
=== ATTR  TestC figure 3 of 3
--- FAIL: TestC (0.00s)
FAIL
`

func TestReadsWhatTestsSay(t *testing.T) {
	s := read([]byte(output))
	for name, want := range map[string]string{"TestA": "PASS", "TestA/part": "PASS", "TestB": "SKIP", "TestC": "FAIL", "TestD": ""} {
		if s.outcomes[name] != want {
			t.Errorf("%s: %q, want %q", name, s.outcomes[name], want)
		}
	}
	if !slices.Equal(s.figures, []string{"3 of 3"}) || !slices.Equal(s.parts, []string{"3 of 3"}) || !slices.Equal(s.skipped, []string{"TestB"}) {
		t.Errorf("figures %q, of parts %q, skipped %q", s.figures, s.parts, s.skipped)
	}
}

// A claim whose test was renamed would not be shown any more.
func TestClaimsNameTestsThatExist(t *testing.T) {
	for _, c := range table() {
		if c.bench != nil {
			continue
		}
		files, err := filepath.Glob(filepath.Join("../..", c.pkg, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s: no tests in %s (%v)", c.claim, c.pkg, err)
		}
		var source strings.Builder
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(text)
		}
		for _, name := range c.tests {
			if !regexp.MustCompile(`(?m)^func ` + name + `\(t \*testing\.T\)`).MatchString(source.String()) {
				t.Errorf("%s: there is no %s in %s", c.claim, name, c.pkg)
			}
		}
	}
}

func TestTableGoesBetweenTheMarks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	if err := replace(path, "x"); err == nil {
		t.Error("a file that is not there was taken")
	}
	for _, content := range []string{"text", beginMark, endMark + beginMark} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := replace(path, "x"); err == nil {
			t.Errorf("%q was taken", content)
		}
	}
	if err := os.WriteFile(path, []byte("a\n"+beginMark+"old"+endMark+"\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rows := []row{{claim: claim{part: "Lost", claim: "nothing", done: "kills", pkg: "cmd/x", tests: []string{"TestA", "TestB"}}, figure: "1|2"},
		{claim: claim{part: "Lost", claim: "less", more: "make x"}, fault: "no"}}
	if err := replace(path, markdown(rows)); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "a\n" + beginMark + "\n\n| Lost | what was done | figure | holds | alone or longer |\n|---|---|---|---|---|\n" +
		"| nothing | kills | 1\\|2 | yes | `go test ./cmd/x -run 'TestA\\|TestB'` |\n| less |  |  | **no** | `make x` |\n\n" + endMark + "\nb\n"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
