package ui

import (
	"encoding/xml"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"slices"
	"strconv"
	"testing"
)

// constants returns the values of all constants of a type in a file.
func constants(t *testing.T, file, typeName string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != typeName {
			return true
		}
		for _, v := range spec.Values {
			value, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
		}
		return true
	})
	return values
}

func TestSpriteAndIconNamesAgree(t *testing.T) {
	content, err := os.ReadFile("../../static/icons.svg")
	if err != nil {
		t.Fatal(err)
	}
	var sprite struct {
		Symbols []struct {
			ID      string `xml:"id,attr"`
			ViewBox string `xml:"viewBox,attr"`
			Inner   string `xml:",innerxml"`
		} `xml:"symbol"`
	}
	if err := xml.Unmarshal(content, &sprite); err != nil {
		t.Fatal(err)
	}
	var drawn []string
	for _, s := range sprite.Symbols {
		drawn = append(drawn, s.ID)
		if s.ViewBox == "" || s.Inner == "" {
			t.Errorf("symbol %q is empty or has no viewBox", s.ID)
		}
	}
	named := constants(t, "icon.go", "IconName")
	for _, name := range named {
		if !slices.Contains(drawn, name) {
			t.Errorf("icons.svg lacks %q; npm run build in static/css draws it", name)
		}
	}
	for _, id := range drawn {
		if !slices.Contains(named, id) {
			t.Errorf("icon.go does not name %q", id)
		}
	}
	if len(named) < 40 {
		t.Errorf("found only %d names", len(named))
	}
}
