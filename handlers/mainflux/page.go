package mainflux

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// Bounds of a page.
const (
	defaultLimit = 10
	maxLimit     = 200
)

// query is the requested part of a list, with its filters.
type query struct {
	Offset int    `json:"offset"`
	Limit  int    `json:"limit"`
	Order  string `json:"order"` // id or name; "" is id
	Dir    string `json:"dir"`   // asc or desc; "" is desc
	Name   string `json:"name"`  // part of a name, in any case
	URL    string `json:"url"`   // part of a URL, in any case
	// Metadata must be contained in a thing's metadata.
	Metadata map[string]any `json:"metadata"`
}

// readQuery reads a query from the body of a POST, which can be empty, otherwise from
// the address. It ignores unknown parameters.
func readQuery(r *http.Request) (query, error) {
	q := query{Limit: defaultLimit}
	var err error
	if r.Method == http.MethodPost {
		err = q.fromBody(r)
	} else {
		err = q.fromAddress(r)
	}
	if err != nil {
		return q, err
	}
	switch {
	case q.Limit > maxLimit:
		return q, badRequest(textLimitSize)
	case q.Limit < 1 || q.Offset < 0:
		return q, badRequest(textQuery)
	case q.Order != "" && q.Order != "id" && q.Order != "name":
		return q, badRequest(textOrder)
	case q.Dir != "" && q.Dir != "asc" && q.Dir != "desc":
		return q, badRequest(textDirection)
	}
	return q, nil
}

func (q *query) fromBody(r *http.Request) error {
	body, err := handlers.ReadBody(r, handlers.MaxJSONBytes)
	if err != nil || len(body) == 0 {
		return err
	}
	if body, err = iot.ReadJSON(body); err != nil {
		return malformed(handlers.ErrorOf(err).Message)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(q); err != nil {
		return malformed("")
	}
	if q.Limit == 0 {
		q.Limit = defaultLimit
	}
	return nil
}

func (q *query) fromAddress(r *http.Request) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badRequest(textQuery)
	}
	for _, v := range values {
		if len(v) > 1 {
			return badRequest(textQuery)
		}
	}
	for name, into := range map[string]*int{"offset": &q.Offset, "limit": &q.Limit} {
		if text := values.Get(name); text != "" {
			if *into, err = strconv.Atoi(text); err != nil {
				return badRequest(textQuery)
			}
		}
	}
	q.Order, q.Dir, q.Name, q.URL = values.Get("order"), values.Get("dir"), values.Get("name"), values.Get("url")
	if text := values.Get("metadata"); text != "" {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&q.Metadata); err != nil {
			return badRequest(textQuery)
		}
	}
	return nil
}

// keeps reports whether the query selects a thing with a name and metadata.
func (q *query) keeps(name, metadata string) bool {
	return containsFold(name, q.Name) && q.keepsMetadata(metadata)
}

func (q *query) keepsMetadata(metadata string) bool {
	if len(q.Metadata) == 0 {
		return true
	}
	d := json.NewDecoder(strings.NewReader(metadata))
	d.UseNumber()
	var have any
	return d.Decode(&have) == nil && contains(have, q.Metadata)
}

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// contains reports whether a JSON value contains another: an object each of its
// members, a list each of its elements; anything else must be equal.
func contains(have, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		have, ok := have.(map[string]any)
		for name, v := range want {
			if h, there := have[name]; !there || !contains(h, v) {
				return false
			}
		}
		return ok
	case []any:
		have, ok := have.([]any)
		for _, v := range want {
			if !slices.ContainsFunc(have, func(h any) bool { return contains(h, v) }) {
				return false
			}
		}
		return ok
	}
	return reflect.DeepEqual(have, want)
}

// pageHead is the head of every page.
type pageHead struct {
	Total  int    `json:"total"`
	Offset int    `json:"offset"`
	Limit  int    `json:"limit"`
	Order  string `json:"order,omitempty"`
	Dir    string `json:"dir,omitempty"`
	Name   string `json:"name,omitempty"`
}

func (q *query) head(total int) pageHead {
	return pageHead{total, q.Offset, q.Limit, q.Order, q.Dir, q.Name}
}

// cut returns the page of a complete list, and how many items the list has. key returns
// the id and name that items are ordered by.
func cut[T any](q *query, all []T, key func(T) (id, name string)) (page []T, total int) {
	slices.SortFunc(all, func(a, b T) int {
		idA, nameA := key(a)
		idB, nameB := key(b)
		order := cmp.Compare(idA, idB)
		if q.Order == "name" {
			order = cmp.Or(cmp.Compare(strings.ToLower(nameA), strings.ToLower(nameB)), order)
		}
		if q.Dir != "asc" {
			order = -order
		}
		return order
	})
	total = len(all)
	from := min(q.Offset, total)
	return append([]T{}, all[from:min(from+q.Limit, total)]...), total
}
