package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// claim is a statement about Thingpost, and how it is shown.
type claim struct {
	part  string // heading in the table
	claim string
	done  string   // what is done to show it
	pkg   string   // folder of the tests, from the root
	tests []string // whole names; or bench instead
	bench func(context.Context, *runner) (figure string, holds bool, err error)
	env   []string // for the tests
	more  string   // the command for a longer run
}

func (c claim) names(part string) bool {
	return part == "" || strings.Contains(c.claim, part) ||
		slices.ContainsFunc(c.tests, func(t string) bool { return strings.Contains(t, part) })
}

// row is the result of a claim; fault is empty if it holds.
type row struct {
	claim  claim
	figure string
	fault  string
	took   time.Duration
}

// runner builds each package's tests once and runs them by name.
type runner struct {
	folder   string
	progress io.Writer
	built    map[string]string
}

func (r *runner) prove(ctx context.Context, c claim) row {
	began := time.Now()
	result := row{claim: c}
	if c.bench != nil {
		figure, holds, err := c.bench(ctx, r)
		result.figure = figure
		switch {
		case err != nil:
			result.fault = err.Error()
		case !holds:
			result.fault = "the figure is not within the claim"
		}
	} else {
		result.figure, result.fault = r.test(ctx, c)
	}
	result.took = time.Since(began)
	outcome := "holds"
	if result.fault != "" {
		outcome = "FAILED: " + result.fault
	}
	_, _ = fmt.Fprintf(r.progress, "%5.1f s  %s: %s (%s)\n", result.took.Seconds(), c.claim, outcome, result.figure)
	return result
}

// test runs a claim's tests and reads their output.
func (r *runner) test(ctx context.Context, c claim) (figure, fault string) {
	binary, err := r.build(ctx, c.pkg)
	if err != nil {
		return "", err.Error()
	}
	cmd := exec.CommandContext(ctx, binary, "-test.v", "-test.count=1", "-test.timeout="+limit.String(),
		"-test.run=^("+strings.Join(c.tests, "|")+")$")
	cmd.Dir = c.pkg
	cmd.Env = append(os.Environ(), c.env...)
	out, err := cmd.CombinedOutput()
	said := read(out)
	if len(said.figures) == 0 {
		said.figures = said.parts
	}
	for _, name := range c.tests {
		if said.outcomes[name] != "PASS" {
			_, _ = r.progress.Write(out)
			return strings.Join(said.figures, "; "), strings.TrimSpace(fmt.Sprintf("%s did not pass %s", name, strings.ToLower(said.outcomes[name])))
		}
	}
	switch {
	case err != nil:
		_, _ = r.progress.Write(out)
		return "", err.Error()
	case len(said.skipped) > 0:
		return strings.Join(said.figures, "; "), "skipped: " + strings.Join(said.skipped, ", ")
	case len(said.figures) == 0:
		return "", "no test gave a figure"
	}
	return strings.Join(said.figures, "; "), ""
}

func (r *runner) build(ctx context.Context, pkg string) (string, error) {
	if path, done := r.built[pkg]; done {
		return path, nil
	}
	path := filepath.Join(r.folder, strings.ReplaceAll(pkg, "/", "-")+".test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", path, "./"+pkg).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the tests of %s: %w\n%s", pkg, err, out)
	}
	r.built[pkg] = path
	return path, nil
}

// said is the verbose output of a test binary.
type said struct {
	outcomes map[string]string // PASS, FAIL or SKIP, of tests and subtests
	skipped  []string
	figures  []string // of whole tests, in order, without repeats
	parts    []string // of subtests
}

var (
	outcomeLine = regexp.MustCompile(`^\s*--- (PASS|FAIL|SKIP): (\S+)`)
	figureLine  = regexp.MustCompile(`^\s*=== ATTR\s+(\S+) figure (.+)$`)
)

func read(out []byte) said {
	s := said{outcomes: map[string]string{}}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, len(out)+1)
	for lines.Scan() {
		if m := outcomeLine.FindStringSubmatch(lines.Text()); m != nil {
			s.outcomes[m[2]] = m[1]
			if m[1] == "SKIP" {
				s.skipped = append(s.skipped, m[2])
			}
		}
		if m := figureLine.FindStringSubmatch(lines.Text()); m != nil {
			list := &s.figures
			if strings.Contains(m[1], "/") {
				list = &s.parts
			}
			if !slices.Contains(*list, m[2]) {
				*list = append(*list, m[2])
			}
		}
	}
	return s
}
