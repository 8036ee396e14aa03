package main

import (
	"fmt"
	"os"
	"strings"
)

// The marks between which a Markdown file shows the table.
const (
	beginMark = "<!-- the table of \"make proof\" begins -->"
	endMark   = "<!-- the table of \"make proof\" ends -->"
)

// markdown returns the rows as a table for each part.
func markdown(rows []row) string {
	var b strings.Builder
	part := ""
	for _, r := range rows {
		if r.claim.part != part {
			part = r.claim.part
			fmt.Fprintf(&b, "\n| %s | what was done | figure | holds | alone or longer |\n|---|---|---|---|---|\n", part)
		}
		holds := "yes"
		if r.fault != "" {
			holds = "**no**"
		}
		more := r.claim.more
		if more == "" {
			more = "go test ./" + r.claim.pkg + " -run '" + strings.Join(r.claim.tests, "|") + "'"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | `%s` |\n", r.claim.claim, r.claim.done, cell(r.figure), holds, cell(more))
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// cell keeps a text from ending its cell.
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
