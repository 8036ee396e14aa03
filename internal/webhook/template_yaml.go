package webhook

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// entry is a key of a YAML mapping with its value, or an item of a list, without a key.
type entry struct {
	key  string
	line int
	node ast.Node
}

type mapping []entry

// parse returns the top-level mapping. ok is false if there is none.
func (r *templateReader) parse(text []byte) (root mapping, ok bool) {
	e, ok := r.document(text)
	if !ok {
		return nil, false
	}
	if _, ok := mappingValues(plain(e.node)); !ok {
		r.fault(e.line, "A template is a mapping of keys and values, such as template-id: example.")
		return nil, false
	}
	return r.mapping(e), true
}

// parseList returns the items of a file that is a list.
func (r *templateReader) parseList(text []byte) (items []entry, ok bool) {
	e, ok := r.document(text)
	if !ok {
		return nil, false
	}
	if !r.isList(e) {
		r.fault(e.line, "This file must be a list of the offered templates, such as - example.")
		return nil, false
	}
	return r.list(e), true
}

// document returns the first document of a file. If the parser panics, the file is at
// fault.
func (r *templateReader) document(text []byte) (e entry, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			r.fault(0, "This YAML cannot be read.")
			e, ok = entry{}, false
		}
	}()
	if len(text) > maxTemplateFile {
		r.fault(0, "The file is larger than 256 KiB.")
		return entry{}, false
	}
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, what := syntaxError(err)
		r.fault(line, "Invalid YAML: %s.", what)
		return entry{}, false
	}
	docs := slices.DeleteFunc(file.Docs, func(d *ast.DocumentNode) bool { return d == nil || d.Body == nil })
	if len(docs) == 0 {
		r.fault(0, "The file is empty.")
		return entry{}, false
	}
	if len(docs) > 1 {
		r.warn(lineOf(docs[1].Body), "The file has several documents; only the first is read.")
	}
	return entry{line: lineOf(docs[0].Body), node: docs[0].Body}, true
}

// syntaxError returns line and sentence of the parser's error.
func syntaxError(err error) (line int, what string) {
	if e, ok := err.(yaml.Error); ok { //nolint:errorlint // an interface of the parser, never wrapped
		if t := e.GetToken(); t != nil && t.Position != nil {
			line = t.Position.Line
		}
		what = e.GetMessage()
	} else {
		what = err.Error()
	}
	what, _, _ = strings.Cut(what, "\n")
	return line, strings.TrimSuffix(what, ".")
}

func lineOf(n ast.Node) int {
	if n == nil {
		return 0
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// plain removes tags and anchors from a node. An alias stays.
func plain(n ast.Node) ast.Node {
	const deepest = 10
	for range deepest {
		switch x := n.(type) {
		case *ast.TagNode:
			n = x.Value
		case *ast.AnchorNode:
			n = x.Value
		default:
			return n
		}
	}
	return n
}

func mappingValues(n ast.Node) (values []*ast.MappingValueNode, ok bool) {
	switch x := n.(type) {
	case *ast.MappingNode:
		return x.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{x}, true
	}
	return nil, false
}

// mapping returns the entries of a mapping, the last of several with one key.
func (r *templateReader) mapping(e entry) mapping {
	values, ok := mappingValues(plain(e.node))
	if !ok {
		if !r.isNull(e) {
			r.fault(e.line, "Expected a mapping of keys and values here%s.", of(e))
		}
		return nil
	}
	var m mapping
	for _, v := range values {
		part := entry{line: lineOf(v.Key), node: v.Value}
		key, ok := scalar(v.Key)
		if !ok {
			r.warn(part.line, "This key is not plain text; ignored.")
			continue
		}
		part.key = key
		if i := slices.IndexFunc(m, func(other entry) bool { return other.key == key }); i >= 0 {
			r.warn(part.line, "The key %s is there twice; the last one counts.", quoted(key))
			m[i] = part
			continue
		}
		m = append(m, part)
	}
	return m
}

func (r *templateReader) isList(e entry) bool {
	_, ok := plain(e.node).(*ast.SequenceNode)
	return ok
}

// list returns the items of a list.
func (r *templateReader) list(e entry) []entry {
	seq, ok := plain(e.node).(*ast.SequenceNode)
	if !ok {
		if !r.isNull(e) {
			r.fault(e.line, "Expected a list here%s.", of(e))
		}
		return nil
	}
	items := make([]entry, len(seq.Values))
	for i, n := range seq.Values {
		items[i] = entry{line: lineOf(n), node: n}
	}
	return items
}

func (r *templateReader) isNull(e entry) bool {
	switch plain(e.node).(type) {
	case nil, *ast.NullNode:
		return true
	}
	return false
}

// text returns a scalar as written; null is "".
func (r *templateReader) text(e entry) string {
	s, ok := scalar(e.node)
	if !ok {
		r.fault(e.line, "Expected plain text here%s.", of(e))
	}
	return strings.TrimSpace(s)
}

// flag reads a boolean in any of YAML's spellings.
func (r *templateReader) flag(e entry) bool {
	s := strings.ToLower(r.text(e))
	switch s {
	case "true", "yes", "on", "y":
		return true
	case "false", "no", "off", "n", "":
	default:
		r.fault(e.line, "Expected true or false here%s.", of(e))
	}
	return false
}

func of(e entry) string {
	if e.key == "" {
		return ""
	}
	return fmt.Sprintf(", for %s", e.key)
}

// scalar returns the text of a node other than a mapping, list or alias.
func scalar(n ast.Node) (string, bool) {
	switch x := plain(n).(type) {
	case nil, *ast.NullNode:
		return "", true
	case *ast.StringNode:
		return x.Value, true
	case *ast.LiteralNode:
		if x.Value == nil {
			return "", true
		}
		return x.Value.Value, true
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		if t := x.GetToken(); t != nil {
			return t.Value, true
		}
	}
	return "", false
}
