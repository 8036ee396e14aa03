package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
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
	if !slices.Equal(s.figures, []string{"3 of 3"}) || !slices.Equal(s.parts, []string{"3 of 3"}) ||
		!slices.Equal(s.skipped, []string{"TestB"}) {
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
	path := filepath.Join(t.TempDir(), "proof.md")
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
	rows := []row{{claim: claim{part: "Lost", claim: "nothing", done: "kills", pkg: "cmd/x", tests: []string{"TestA"}}, figure: "1 a|b"},
		{claim: claim{part: "Lost", claim: "less", pkg: "cmd/x", tests: []string{"TestA", "TestB"}}, figure: "3 of 3 ways, 0 lost"},
		{claim: claim{part: "Lost", claim: "least", more: "make x"}, fault: "no"}}
	if err := replace(path, markdown(rows)); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "a\n" + beginMark +
		"\n\n| Lost | figure | what was done, what was measured | holds | alone or longer |\n|---|---:|---|---|---|\n" +
		"| nothing | | kills | yes | `go test ./cmd/x -run 'TestA'` |\n| | 1 | a\\|b | | |\n" +
		"| less | |  | yes | `make proof ONLY=TestA` |\n| | 3 of 3 | ways | | |\n| | 0 | lost | | |\n" +
		"| least | |  | **no** | `make x` |\n\n" + endMark + "\nb\n"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFiguresHaveRowsOfTheirOwn(t *testing.T) {
	for text, want := range map[string][]measure{
		"":                                     nil,
		"recovers by itself":                   {{"", "recovers by itself"}},
		"9 cells (3 routes, 3 callers), 0 bad": {{"9", "cells (3 routes, 3 callers)"}, {"0", "bad"}},
		"20 kills, 26942 sent, 0 lost":         {{"20", "kills"}, {"26942", "sent"}, {"0", "lost"}},
		"5 of 9 ways, none works; 3 ms":        {{"5 of 9", "ways, none works"}, {"3 ms", ""}},
		"p50 1.1 ms, p99 2.9 ms":               {{"1.1 ms", "p50"}, {"2.9 ms", "p99"}},
		"down: 720 owed, all sent 9m51s later": {{"", "down"}, {"720", "owed, all sent 9m51s later"}},
		"45s at 2115 messages/s; memory 76 MiB +2.1 %, at most 205 MiB on disk": {{"45s", "at 2115 messages/s"}, {"", "memory 76 MiB +2.1 %"},
			{"at most 205 MiB", "on disk"}},
	} {
		if got := measures(text); !slices.Equal(got, want) {
			t.Errorf("%q:\ngot  %q\nwant %q", text, got, want)
		}
	}
	long, words := "7 "+strings.Repeat("| and on ", 40), ""
	for i, m := range measures(long) {
		if n := utf8.RuneCountInString(cell(m.of)); n > maxCell || (m.value == "7") != (i == 0) {
			t.Errorf("row %d has %d characters, and the figure %q", i, n, m.value)
		}
		words += m.of + " "
	}
	if got, want := strings.Join(strings.Fields(words), " "), strings.TrimSpace(strings.TrimPrefix(long, "7 ")); got != want {
		t.Errorf("the rows say %q", got)
	}
}

func TestCellsOfClaimsAreShort(t *testing.T) {
	for _, c := range table() {
		for _, text := range []string{c.claim, c.done, c.command()} {
			if n := utf8.RuneCountInString(text) + 2; n > maxCell { // two for the ticks of a command
				t.Errorf("%d characters, at most %d: %s", n, maxCell, text)
			}
		}
	}
}

// A part's figures are judged by the bounds of its claim, and what was not measured
// holds nothing.
func TestJudgesParts(t *testing.T) {
	for name, c := range map[string]struct {
		judge func(*parts) (string, bool)
		json  string
		holds bool
		says  string
	}{
		"devices": {judgeDevices, `{"devices":{"keys":[{"key":"project key","few":{"delivered_per_second":100},"many":{"delivered_per_second":95},
			"ratio":0.95,"cpu_ratio":0.93,"changed_ratio":0.9}],
			"register":[{"how":"one by one","first_ms":1,"last_ms":3,"ratio":3,"cpu_ratio":1.1}]}}`, true,
			"project key: 0.95 (95 against 100 messages/s), 0.93 of the CPU"},
		"no CPU known": {judgeDevices, `{"devices":{"keys":[{"ratio":0.95,"changed_ratio":0.9}],"register":[{"ratio":1.2}]}}`, true,
			"1.20 of the first"},
		"much CPU": {judgeDevices, `{"devices":{"keys":[{"ratio":0.95,"cpu_ratio":0.5,"changed_ratio":1}],"register":[{"ratio":1}]}}`, false,
			"0.50 of the CPU"},
		"slow changes": {judgeDevices, `{"devices":{"keys":[{"ratio":0.95,"cpu_ratio":1,"changed_ratio":0.5}],"register":[{"ratio":1}]}}`, false,
			"0.50 beside"},
		"register": {judgeDevices, `{"devices":{"keys":[{"ratio":1,"cpu_ratio":1,"changed_ratio":1}],
			"register":[{"ratio":1,"cpu_ratio":2}]}}`, false, "2.00 of the first"},
		"nothing": {judgeDevices, `{}`, false, ""},
		"arrays": {judgeArrays, `{"arrays":{"beside":{"accept_p99_ms":49,"arrival_p99_ms":49},"sender":{"202":9},
			"told":{"202":1,"503":2},"arrived":1},
			"wide":{"beside":{"accept_p99_ms":1,"arrival_p99_ms":2},"sender":{"202":9},"arrived":1}}`, true, "[202:1 503:2]"},
		"late array": {judgeArrays, `{"arrays":{"sender":{"202":9},"arrived":1},
			"wide":{"beside":{"arrival_p99_ms":500},"sender":{"202":9},"arrived":1}}`, false, "500.0 ms"},
		"refused": {judgeArrays, `{"arrays":{"sender":{"202":9,"503":1},"arrived":1},"wide":{"sender":{"202":9},"arrived":1}}`, false, ""},
		"memory": {judgeMemory, `{"small_memory":{"peak_mib":160,"limited":true,"told":{"202":5,"429":1},"arrived":25}}`, true,
			"all 25 arrivals came"},
		"killed": {judgeMemory, `{"small_memory":{"peak_mib":100,"limited":true,"killed":true,"killed_after_seconds":2.5,
			"told":{"202":5}}}`, false, "killed after 2.5 s"},
		"large": {judgeMemory, `{"small_memory":{"peak_mib":161,"why":"no right","told":{"202":5}}}`, false,
			"no limit could be set: no right"},
		"tenants": {judgeTenants, `{"tenants":{"ratio":2,"ratios":[2],"others":{"202":7},"flood":{"202":1}}}`, true,
			"2.00 (rounds [2.00])"},
		"flooded":       {judgeTenants, `{"tenants":{"ratio":2.1,"others":{"202":7}}}`, false, "2.10"},
		"none accepted": {judgeTenants, `{"tenants":{"ratio":1,"others":{"429":7}}}`, false, "[429:7]"},
	} {
		var p parts
		if err := json.Unmarshal([]byte(c.json), &p); err != nil {
			t.Fatal(name, err)
		}
		if said, holds := c.judge(&p); holds != c.holds || !strings.Contains(said, c.says) {
			t.Errorf("%s: %t, %s", name, holds, said)
		}
	}
}
