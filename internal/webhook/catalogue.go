package webhook

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"thingpost/internal/iot"
)

// builtIn has the templates that every instance offers.
//
//go:embed catalogue/*.yml
var builtIn embed.FS

// indexFile names the templates of a folder that are offered.
const indexFile = "templates.yml"

// maxTemplates bounds the templates read from one folder.
const maxTemplates = 1000

// Catalogue has the offered templates. It is immutable and safe for concurrent use.
type Catalogue struct {
	list []*iot.Template
	find map[string]*iot.Template // by id, and by file
}

// BuiltIn returns the program's own catalogue.
func BuiltIn() *Catalogue {
	list, _, err := readFolder(builtIn, "catalogue")
	if err != nil {
		panic("the embedded catalogue cannot be read: " + err.Error())
	}
	slices.SortFunc(list, func(a, b *iot.Template) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return newCatalogue(list)
}

// ReadCatalogue returns the templates of a folder, such as a checkout of The Things
// Stack's public collection, followed by the built-in ones with other ids. It leaves
// out templates that cannot be used; the remarks say why, by file name. The error means
// that the folder cannot be read.
func ReadCatalogue(folder fs.FS) (*Catalogue, []Remark, error) {
	list, remarks, err := readFolder(folder, ".")
	if err != nil {
		return nil, nil, err
	}
	for _, t := range BuiltIn().list {
		if !slices.ContainsFunc(list, func(own *iot.Template) bool { return own.ID == t.ID }) {
			list = append(list, t)
		}
	}
	return newCatalogue(list), remarks, nil
}

// CheckFolder returns the faults of a folder of templates, in the order of its files,
// and how many templates it offers.
func CheckFolder(folder fs.FS) (remarks []Remark, offered int, err error) {
	list, remarks, err := readFolder(folder, ".")
	if err == nil && len(list) == 0 && len(remarks) == 0 {
		remarks = []Remark{{Error: true, Text: "There is no template in this folder: a template is a file that ends in .yml or .yaml."}}
	}
	return remarks, len(list), err
}

func newCatalogue(list []*iot.Template) *Catalogue {
	c := &Catalogue{list: list, find: map[string]*iot.Template{}}
	for _, t := range list {
		c.find[t.ID] = t
	}
	for _, t := range list {
		if c.find[t.File] == nil {
			c.find[t.File] = t
		}
	}
	return c
}

// Templates returns all templates in the order of display. The result must not be
// changed.
func (c *Catalogue) Templates() []*iot.Template { return c.list }

// Template returns a template by its id, or by its file name without the ending;
// not_found.
func (c *Catalogue) Template(name string) (*iot.Template, error) {
	if t := c.find[name]; t != nil {
		return t, nil
	}
	return nil, iot.NewError(iot.NotFound, "There is no such template.")
}

// Search returns the templates of a kind ("" for all) whose id, name or description
// contains every word of a text, in any case.
func (c *Catalogue) Search(text, kind string) []*iot.Template {
	words := strings.Fields(strings.ToLower(text))
	var found []*iot.Template
	for _, t := range c.list {
		all := strings.ToLower(t.ID + " " + t.Name + " " + t.Description + " " + t.Kind)
		if (kind == "" || t.Kind == kind) && !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(all, word) }) {
			found = append(found, t)
		}
	}
	return found
}

// Kinds returns the purposes of several of the templates, without repeats, the most
// common first.
func (c *Catalogue) Kinds() []string {
	count := map[string]int{}
	var kinds []string
	for _, t := range c.list {
		if t.Kind != "" && count[t.Kind] == 0 {
			kinds = append(kinds, t.Kind)
		}
		count[t.Kind]++
	}
	kinds = slices.DeleteFunc(kinds, func(kind string) bool { return count[kind] < 2 })
	slices.SortStableFunc(kinds, func(a, b string) int { return cmp.Compare(count[b], count[a]) })
	return kinds
}

// readFolder reads the templates of a folder, without its subfolders and hidden files.
func readFolder(all fs.FS, folder string) (list []*iot.Template, remarks []Remark, err error) {
	entries, err := fs.ReadDir(all, folder)
	if err != nil {
		return nil, nil, err
	}
	var index []byte
	files := map[string]string{} // by the template's id
	for _, e := range entries {
		name := e.Name()
		if ext := path.Ext(name); e.IsDir() || strings.HasPrefix(name, ".") || ext != ".yml" && ext != ".yaml" {
			continue
		}
		text, err := readFile(all, path.Join(folder, name))
		if err != nil {
			remarks = append(remarks, Remark{File: name, Error: true, Text: "The file cannot be read: " + err.Error() + "."})
			continue
		}
		if name == indexFile {
			index = text
			continue
		}
		if len(list) == maxTemplates {
			remarks = append(remarks,
				Remark{File: name, Error: true, Text: fmt.Sprintf("More than %d templates; this one is ignored.", maxTemplates)})
			continue
		}
		t, found := ParseTemplate(name, text)
		remarks = append(remarks, found...)
		if t == nil {
			continue
		}
		if other, ok := files[t.ID]; ok {
			remarks = append(remarks, Remark{File: name, Error: true, Text: "The template-id " + quoted(t.ID) + " is also that of " + other +
				"; this one is ignored."})
			continue
		}
		files[t.ID] = name
		list = append(list, t)
	}
	if index == nil {
		return list, remarks, nil
	}
	offered, found := readIndex(index, list)
	return offered, append(remarks, found...), nil
}

func readFile(all fs.FS, name string) ([]byte, error) {
	f, err := all.Open(name)
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err
		}
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxTemplateFile+1))
	return text, errors.Join(err, f.Close())
}

// readIndex returns the templates that an index names by file or id, in order.
func readIndex(text []byte, list []*iot.Template) (offered []*iot.Template, remarks []Remark) {
	r := &templateReader{file: indexFile}
	items, ok := r.parseList(text)
	if !ok {
		return list, r.remarks
	}
	for _, item := range items {
		name := r.text(item)
		i := slices.IndexFunc(list, func(t *iot.Template) bool { return t.File == name })
		if i < 0 {
			i = slices.IndexFunc(list, func(t *iot.Template) bool { return t.ID == name })
		}
		switch {
		case i < 0:
			r.fault(item.line, "There is no usable template %s.", quoted(name))
		case slices.Contains(offered, list[i]):
			r.warn(item.line, "The template %s is named twice.", quoted(name))
		default:
			offered = append(offered, list[i])
		}
	}
	return offered, r.remarks
}
