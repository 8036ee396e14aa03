package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"
)

// The marks around the table in a Markdown file.
const (
	beginMark = "<!-- the table of \"make proof\" begins -->"
	endMark   = "<!-- the table of \"make proof\" ends -->"
)

// maxCell is the maximum length of a cell in characters. Longer cells make a table
// unreadable.
const maxCell = 160

// markdown returns the rows as a table for each part. A claim has a row that says what
// was done, and below it a row for each figure.
func markdown(rows []row) string {
	var b strings.Builder
	part := ""
	for _, r := range rows {
		if r.claim.part != part {
			part = r.claim.part
			fmt.Fprintf(&b, "\n| %s | figure | what was done, what was measured | holds | alone or longer |\n|---|---:|---|---|---|\n", part)
		}
		holds := "yes"
		if r.fault != "" {
			holds = "**no**"
		}
		fmt.Fprintf(&b, "| %s | | %s | %s | `%s` |\n", r.claim.claim, r.claim.done, holds, cell(r.claim.command()))
		for _, f := range measures(r.figure) {
			fmt.Fprintf(&b, "| | %s | %s | | |\n", cell(f.value), cell(f.of))
		}
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// command runs the claim's tests for longer, or alone. Several tests are run by the
// claim.
func (c claim) command() string {
	switch {
	case c.more != "":
		return c.more
	case len(c.tests) > 1:
		return "make proof ONLY=" + c.tests[0]
	}
	return "go test ./" + c.pkg + " -run '" + strings.Join(c.tests, "|") + "'"
}

// measure is one number of a claim, with its unit, and what it counts.
type measure struct{ value, of string }

var (
	separator = regexp.MustCompile(`[;:,] `)
	quantity  = regexp.MustCompile(`^(p\d\d )?((?:at (?:most|least) )?[+−-]?\d[\w.,]*(?: (?:of|against) \d[\w.]*)?(?: ` +
		`(?:ms|MiB|KiB|KB|%|messages/s))?)(?: |$)`)
)

// measures splits a text such as "20 kills, 0 lost; 3 of 3 ways" into figures, in
// order. A figure begins after a semicolon, and at a number after a colon or comma
// outside brackets.
func measures(text string) (list []measure) {
	begin := true
	for text != "" {
		part, mark := text, ""
		for _, at := range separator.FindAllStringIndex(text, -1) {
			if before := text[:at[0]]; strings.Count(before, "(") == strings.Count(before, ")") {
				part, mark = before, text[at[0]:at[1]]
				break
			}
		}
		text = text[len(part)+len(mark):]
		m := quantity.FindStringSubmatch(part)
		switch {
		case m != nil:
			list = append(list, measure{value: m[2], of: strings.TrimSpace(m[1] + part[len(m[0]):])})
		case begin:
			list = append(list, measure{of: part})
		default:
			list[len(list)-1].of += part
		}
		begin = mark == "; "
		if !begin && quantity.FindString(text) == "" {
			list[len(list)-1].of += mark
		}
	}
	return wrap(list)
}

// wrap moves what is too long for a cell into further rows.
func wrap(list []measure) (short []measure) {
	for _, f := range list {
		for utf8.RuneCountInString(cell(f.of)) > maxCell {
			end := strings.LastIndexByte(string([]rune(f.of)[:maxCell*3/4]), ' ')
			if end <= 0 {
				break
			}
			short = append(short, measure{f.value, f.of[:end]})
			f = measure{of: f.of[end+1:]}
		}
		short = append(short, f)
	}
	return short
}

// cell escapes a text for a cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// replace puts the table between the marks of a file.
func replace(path, table string) error {
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, found := strings.Cut(string(before), beginMark)
	_, tail, ended := strings.Cut(rest, endMark)
	if !found || !ended {
		return fmt.Errorf("%s has no place for the table, which is between %q and %q", path, beginMark, endMark)
	}
	return os.WriteFile(path, []byte(head+beginMark+"\n\n"+table+"\n"+endMark+tail), 0o600)
}
