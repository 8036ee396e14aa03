package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// roleRow is a route of testdata/roles.txt.
type roleRow struct {
	method, pattern, need, query, body string
	idle                               bool // ~ changes nothing
	whole                              bool // ! the project or organization itself is deleted
	asValue                            bool // ^ things of others are refused as a bad value
	extra                              bool // + no pattern of its own
}

func (r *roleRow) name() string { return r.method + " " + r.pattern }

// changes reports whether allowed callers change what is stored.
func (r *roleRow) changes() bool { return r.method != "GET" && !r.idle && !r.reads() }

// reads reports whether it is a call of gRPC that only reads.
func (r *roleRow) reads() bool {
	_, call, _ := strings.Cut(strings.TrimPrefix(r.pattern, "/"), "/")
	return r.method == "GRPC" && (strings.HasPrefix(call, "Get") || strings.HasPrefix(call, "List") || strings.HasSuffix(call, "List") ||
		call == "Subscribe")
}

// roleTable is testdata/roles.txt: the groups of callers that each need allows, and the
// needs of each route.
type roleTable struct {
	groups  []string // columns, as "session viewer"
	lets    map[string]map[string]bool
	rows    []*roleRow
	foreign []*roleRow // called only with others' ids
}

// readRoles reads the table. It fails for what it cannot read, so that no line is
// skipped.
func readRoles(t *testing.T) *roleTable {
	t.Helper()
	text, err := os.ReadFile("testdata/roles.txt")
	must(t, err)
	table := &roleTable{lets: map[string]map[string]bool{}}
	section := ""
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "#need "):
			kind := ""
			for _, word := range fields[1:] {
				if name, ok := strings.CutSuffix(word, ":"); ok {
					kind = name + " "
				} else if word == "nobody" || word == "metrics" {
					table.groups = append(table.groups, word)
				} else {
					table.groups = append(table.groups, kind+word)
				}
			}
		case line == "" || line[0] == '#':
		case line == "route", line == "foreign":
			section = line
		case section == "":
			if len(fields) != len(table.groups)+1 {
				t.Fatalf("%d columns, want %d: %s", len(fields)-1, len(table.groups), line)
			}
			lets := map[string]bool{}
			for i, mark := range fields[1:] {
				if mark != "+" && mark != "." {
					t.Fatalf("the mark %s in %s", mark, line)
				}
				lets[table.groups[i]] = mark == "+"
			}
			table.lets[fields[0]] = lets
		default:
			row := readRow(t, line)
			if section == "foreign" {
				table.foreign = append(table.foreign, row)
				continue
			}
			if seen[row.name()] || table.lets[row.need] == nil {
				t.Fatalf("%s stands twice, or needs what nobody has: %s", row.name(), row.need)
			}
			seen[row.name()] = true
			table.rows = append(table.rows, row)
		}
	}
	return table
}

var rowForm = regexp.MustCompile(`^(\S+)\s+(\S+)\s+(\S+)(?:\s+([~!^+]))?(?:\s+(\S.*))?$`)

func readRow(t *testing.T, line string) *roleRow {
	t.Helper()
	m := rowForm.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("no route: %s", line)
	}
	r := &roleRow{method: m[1], pattern: m[2], need: m[3], idle: m[4] == "~", whole: m[4] == "!", asValue: m[4] == "^", extra: m[4] == "+",
		body: m[5]}
	if strings.HasPrefix(r.body, "?") {
		r.query, r.body = r.body, ""
	}
	return r
}

// variables are the open parts of a path.
var variables = regexp.MustCompile(`\{[a-z_$]+(\.\.\.)?\}`)

// variable is the name in the world for an open part of a path: an id of the route's
// own system.
func (r *roleRow) variable(name string, before string) string {
	name = strings.Trim(name, "{}")
	switch {
	case r.pattern == "/settings/invitations/{invitation}":
		return "own_invitation" // of the caller
	case name == "id": // Mainflux's, which are UUIDs
		kind := before[strings.LastIndex(strings.TrimSuffix(before, "/"), "/")+1:]
		return map[string]string{"things/": "device_id", "groups/": "project_id", "orgs/": "organization_id", "profiles/": "profile_id",
			"webhooks/": "webhook_id"}[kind]
	case strings.HasSuffix(name, "application_id"), name == "application":
		return "project"
	case strings.HasSuffix(name, "key_id"):
		return "key"
	case strings.HasPrefix(r.pattern, "/api/v3/"):
		for _, known := range []string{"webhook", "device", "template"} {
			if strings.HasSuffix(name, known+"_id") {
				return known
			}
		}
	}
	return name
}

// names returns the variables of path, query and body by their names in the world, in
// order.
func (r *roleRow) names() (list []string) {
	r.fill(func(name string) string { list = append(list, name); return "x" })
	return list
}

// fill returns path with query, and body, with all variables filled in.
func (r *roleRow) fill(value func(name string) string) (path, body string) {
	at := 0
	for _, m := range variables.FindAllStringIndex(r.pattern, -1) {
		path += r.pattern[at:m[0]]
		switch text := r.pattern[m[0]:m[1]]; text {
		case "{$}":
		case "{subtopic...}", "{rest...}":
			path += "a/b"
		default:
			path += value(r.variable(text, r.pattern[:m[0]]))
		}
		at = m[1]
	}
	replaced := func(text string) string {
		return variables.ReplaceAllStringFunc(text, func(v string) string { return value(strings.Trim(v, "{}")) })
	}
	return path + r.pattern[at:] + replaced(r.query), replaced(r.body)
}
