package db_test

import (
	"crypto/sha256"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

// sources parses this package without its tests, and finds the values of its constants.
func sources(t *testing.T) (set *token.FileSet, files []*ast.File, info types.Info) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	must(t, err)
	set = token.NewFileSet()
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "_other.go") {
			continue
		}
		source, err := os.ReadFile(name)
		must(t, err)
		file, err := parser.ParseFile(set, name, source, 0)
		must(t, err)
		files = append(files, file)
	}
	info = types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	// What other packages declare is not known, and no statement needs it.
	check := types.Config{Error: func(error) {}, FakeImportC: true}
	_, _ = check.Check("db", set, files, &info)
	return set, files, info
}

// statements returns all statements of this package whose text is a constant, with their
// places, except those of the check, which reads all rows. Some are parts of statements that
// are put together when needed.
func statements(t *testing.T) map[string]string {
	t.Helper()
	set, _, info := sources(t)
	found := map[string]string{}
	for e, v := range info.Types {
		if v.Value == nil || v.Value.Kind() != constant.String {
			continue
		}
		text := strings.TrimSpace(constant.StringVal(v.Value))
		place := fmt.Sprint(set.Position(e.Pos()))
		if verb, _, _ := strings.Cut(text, " "); !slices.Contains([]string{"SELECT", "UPDATE", "DELETE", "WITH"}, verb) ||
			!strings.Contains(text, " WHERE ") || strings.HasPrefix(place, "check.go") { // a part of one, or about all rows
			continue
		}
		found[text] = place
	}
	for text := range found {
		for other := range found {
			if text != other && strings.HasPrefix(other, text) {
				delete(found, text)
			}
		}
	}
	return found
}

var searched = regexp.MustCompile(`^SEARCH (\w+) (?:USING (?:COVERING )?INDEX (\w+)|USING PRIMARY KEY|USING INTEGER PRIMARY KEY) ` +
	`\(([^)]*)\)?`)

// TestLookUpsUseAllTheyAreGiven looks at the plan of every statement that is a constant. No
// search may leave out a column of its index for which the statement has a value, as
// "a = ? AND (b = ? OR c = ?)" does. None may read a whole table of devices, messages or
// deliveries.
func TestLookUpsUseAllTheyAreGiven(t *testing.T) {
	w := open(t)
	file := w.raw(t)
	columns := map[string][]string{}
	rows, err := file.QueryContext(t.Context(), `SELECT m.name, i.name FROM sqlite_master m JOIN pragma_index_info(m.name) i WHERE m.type `+
		`= 'index' AND i.name IS NOT NULL ORDER BY m.name, i.seqno`)
	must(t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var index, column string
		must(t, rows.Scan(&index, &column))
		columns[index] = append(columns[index], column)
	}
	must(t, rows.Err())
	looked := 0
	for query, place := range statements(t) {
		steps, err := w.tryPlan(t, query)
		if err != nil {
			continue // a part of a statement
		}
		looked++
		for _, step := range steps {
			if left, ok := leavesOut(step, query, columns); ok {
				t.Errorf("%s: the step\n\t%s\nsearches without %s in\n\t%s", place, step, left, query)
			}
			if large.MatchString(step) {
				t.Errorf("%s: the step\n\t%s\nreads all there is in\n\t%s", place, step, query)
			}
		}
	}
	if looked < 100 {
		t.Errorf("%d statements were found", looked)
	}
}

// large are the tables that no statement may read completely.
var large = regexp.MustCompile(`^SCAN (devices|d|messages|m|deliveries|v|downlinks|q|attempts)\b`)

// leavesOut returns a column that the query compares with a value and a step does not use,
// although an index of the table has it next to the columns that the step uses.
func leavesOut(step, query string, columns map[string][]string) (column string, ok bool) {
	m := searched.FindStringSubmatch(step)
	if m == nil || m[2] == "" || strings.ContainsAny(m[3], "<>") {
		return "", false
	}
	used := len(regexp.MustCompile(`(\w+)=\?`).FindAllStringSubmatch(m[3], -1))
	taken := columns[m[2]]
	if used >= len(taken) {
		return "", false
	}
	table, _, _ := strings.Cut(m[2], "_")
	for index, all := range columns {
		if !strings.HasPrefix(index, table+"_") || len(all) <= used || !slices.Equal(all[:used], taken[:used]) {
			continue
		}
		next := regexp.MustCompile(`(^|[^.\w])(` + m[1] + `\.)?` + all[used] + ` = (lower\()?[$?]`)
		if next.MatchString(query) {
			return all[used], true
		}
	}
	return "", false
}

// TestTheOldLookUpLeavesOut checks that the test above distinguishes a search on all columns
// from a search on one.
func TestTheOldLookUpLeavesOut(t *testing.T) {
	w := open(t)
	w.raw(t)
	columns := map[string][]string{"devices_slug": {"project_id", "slug"}, "devices_uuid": {"project_id", "uuid"},
		"devices_key": {"project_id", "key_hash"}}
	for query, want := range map[string]bool{
		`SELECT d.id FROM devices d WHERE d.project_id = $1 AND d.deleted_at = 0 AND (d.slug = $2 OR d.uuid = lower($2))`: true,
		// not by the index's collation
		`SELECT d.id FROM devices d WHERE d.project_id = $1 AND d.deleted_at = 0 AND d.slug = $2`:                true,
		`SELECT d.id FROM devices d WHERE d.project_id = $1 AND d.deleted_at = 0 AND d.slug = $2 COLLATE NOCASE`: false,
	} {
		steps, err := w.tryPlan(t, query)
		must(t, err)
		if got := slices.ContainsFunc(steps, func(step string) bool { _, ok := leavesOut(step, query, columns); return ok }); got != want {
			t.Errorf("%t for %s\n%s", got, query, strings.Join(steps, "\n"))
		}
	}
}

func TestDevicesAreReadAtOnceAsOneByOne(t *testing.T) {
	w := open(t)
	other := &iot.Project{Name: "Other", OrganizationKey: w.project.OrganizationKey}
	must(t, w.CreateProject(other, actor))
	add := func(p *iot.Project, id string) (*iot.Device, iot.Secret) {
		d, key := &iot.Device{ProjectKey: p.Key, ID: id, Name: "The one  at\x00 0", DevAddr: "26011BDA", Kind: "a sensor",
			ExpectedIntervalMS: 60_000, Metadata: `{"a": [1, 2]}`}, iot.NewDeviceKey()
		must(t, w.CreateDevices([]*iot.Device{d}, []iot.Secret{key}, actor))
		return d, key
	}
	a, aKey := add(w.project, "Probe_A")
	b, bKey := add(w.project, `probe-b`)
	gone, goneKey := add(w.project, "probe-gone")
	theirs, theirKey := add(other, "probe_a")
	must(t, w.DeleteDevice(gone, actor))

	for _, near := range []bool{false, true} {
		for _, ids := range [][]string{{"probe_a", "absent", `"]`, "PROBE-B", "probe-gone", "Probe_A"}, {"probe_a"}, {"absent"}} {
			got, err := w.DevicesByID(t.Context(), w.project.Key, ids, near)
			must(t, err)
			want := map[string]*iot.Device{} // by id
			for _, id := range ids {
				switch strings.ToLower(id) {
				case "probe_a":
					want[a.ID] = a
				case "probe-b":
					want[b.ID] = b
				}
			}
			if near && len(want) > 0 {
				want = map[string]*iot.Device{a.ID: a, b.ID: b, w.device.ID: w.device}
			}
			if len(got) != len(want) {
				t.Errorf("%q, near %t: %d devices, want %d", ids, near, len(got), len(want))
			}
			for _, d := range got {
				w.isSame(t, d, want[d.ID])
			}
		}
		got, err := w.DevicesByKey(t.Context(), []iot.Secret{bKey, "no-key", theirKey, goneKey, aKey}, near)
		must(t, err)
		want := map[iot.Secret]*iot.Device{aKey: a, bKey: b, theirKey: theirs}
		for key, d := range want {
			w.isSame(t, got[sha256.Sum256([]byte(key.Reveal()))], d)
		}
		if most := 3 + map[bool]int{true: 1}[near]; len(got) != most { // w.device is beside them
			t.Errorf("near %t: %d devices by key, want %d", near, len(got), most)
		}
		got, err = w.DevicesByKey(t.Context(), []iot.Secret{goneKey}, near)
		must(t, err)
		if len(got) > 0 {
			t.Errorf("near %t: %d devices have the key of one that was deleted", near, len(got))
		}
	}
}

// isSame compares a device with what is read of it alone.
func (w *world) isSame(t *testing.T, got, want *iot.Device) {
	t.Helper()
	if got == nil || want == nil {
		t.Errorf("got %+v, want %+v", got, want)
		return
	}
	one, err := w.Device(t.Context(), want.ProjectKey, want.UUID)
	must(t, err)
	one.AsOf, one.LastSeenAt = got.AsOf, got.LastSeenAt
	if got.AsOf == 0 || *got != *one {
		t.Errorf("got %+v, want %+v", got, one)
	}
}
