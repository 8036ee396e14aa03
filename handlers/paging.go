package handlers

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"thingpost/internal/iot"
)

// Sizes of a list's page.
const (
	DefaultLimit = 50
	MaxLimit     = 200
)

// Page says which part of a list is asked for.
type Page struct {
	Limit  int    // 1 to MaxLimit
	Cursor string // the page before's List.Next; "" for the first page
}

// List is a page of a list as JSON APIs answer it.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"` // cursor of the next page; "" if this is the last
	// LookedBackTo is set where a rare filter stopped early: older items were not
	// looked at yet, and Next goes on from there.
	LookedBackTo iot.Instant `json:"looked_back_to,omitempty"`
}

// Query returns the parameters of a request for a list. Invalid if one is not
// among the names (limit and cursor always are), is given twice, or the page is
// out of bounds.
func Query(r *http.Request, names ...string) (url.Values, Page, error) {
	page := Page{Limit: DefaultLimit}
	var f iot.Faults
	values, err := parameters(r, &f, append([]string{"limit", "cursor"}, names...), "is not a parameter of this list.")
	if err != nil {
		return nil, page, err
	}
	if text := values.Get("limit"); values.Has("limit") {
		page.Limit, err = strconv.Atoi(text)
		f.Check(err == nil && page.Limit >= 1 && page.Limit <= MaxLimit, "limit", "must be 1 to 200.")
	}
	page.Cursor = values.Get("cursor")
	return values, page, f.Err()
}

// Parameters returns the parameters of a request that asks for no list. Invalid
// if one is not among the names, or is given twice.
func Parameters(r *http.Request, names ...string) (url.Values, error) {
	var f iot.Faults
	values, err := parameters(r, &f, names, "is not a parameter of this path.")
	if err != nil {
		return nil, err
	}
	return values, f.Err()
}

func parameters(r *http.Request, f *iot.Faults, names []string, unknown string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &iot.Error{Code: iot.Invalid, Message: "The part of the address after ? cannot be read. Encode its values.", Err: err}
	}
	for name, v := range values {
		f.Check(slices.Contains(names, name), shorten(name), unknown)
		f.Check(len(v) == 1, shorten(name), "must be given once; several values are separated by commas.")
	}
	return values, nil
}

// BadCursor is the error for a cursor that no page has answered, or whose item
// is gone.
func BadCursor() error {
	return iot.FieldError("cursor", "is not one that this list has answered. Begin again without it.")
}

// ID returns the page's cursor as an id, zero for the first page; Invalid if it
// is none.
func (p Page) ID() (iot.ID, error) {
	if p.Cursor == "" {
		return iot.ID{}, nil
	}
	id, ok := iot.ParseID(p.Cursor)
	if !ok {
		return iot.ID{}, BadCursor()
	}
	return id, nil
}

// Cut returns a page of a list that is known as a whole. id returns what names
// an item in a cursor.
func Cut[T any](all []T, p Page, id func(T) string) (List[T], error) {
	start := 0
	if p.Cursor != "" {
		last := slices.IndexFunc(all, func(v T) bool { return id(v) == p.Cursor })
		if last < 0 {
			return List[T]{}, BadCursor()
		}
		start = last + 1
	}
	return First(all[start:], p.Limit, id), nil
}

// First returns a page of the items that begin with it: the first limit ones,
// and a cursor if there are more.
func First[T any](items []T, limit int, id func(T) string) List[T] {
	if len(items) <= limit {
		return List[T]{Items: append([]T{}, items...)}
	}
	return List[T]{Items: items[:limit], Next: id(items[limit-1])}
}
