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

// Page is the requested part of a list.
type Page struct {
	Limit  int    // 1 to MaxLimit
	Cursor string // List.Next of the page before; "" for the first page
}

// List is a page of a list in JSON APIs.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"` // cursor of the next page; "" on the last page
	// LookedBackTo is set if a rare filter stopped early: older items were not searched
	// yet, and Next continues there.
	LookedBackTo iot.Instant `json:"looked_back_to,omitempty"`
}

// Query returns the parameters of a request for a list. Invalid if one is not among the
// names (limit and cursor always are), is repeated, or the page is out of bounds.
func Query(r *http.Request, names ...string) (url.Values, Page, error) {
	page := Page{Limit: DefaultLimit}
	var f iot.Faults
	values, err := parameters(r, &f, append([]string{"limit", "cursor"}, names...), "unknown parameter.")
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

// Parameters returns the parameters of a request other than for a list. Invalid if one
// is not among the names, or is repeated.
func Parameters(r *http.Request, names ...string) (url.Values, error) {
	var f iot.Faults
	values, err := parameters(r, &f, names, "unknown parameter.")
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
		f.Check(len(v) == 1, shorten(name), "must appear only once. Separate several values by commas.")
	}
	return values, nil
}

// BadCursor is the error for a cursor that no page has answered, or whose item no
// longer exists.
func BadCursor() error {
	return iot.FieldError("cursor", "unknown cursor. Start again without it.")
}

// ID returns the page's cursor as an id, zero for the first page; Invalid if it is not
// an id.
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

// Cut returns a page of a complete list. id returns the name of an item in a cursor.
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

// First returns a page of the items: the first limit ones, and a cursor if there are
// more.
func First[T any](items []T, limit int, id func(T) string) List[T] {
	if len(items) <= limit {
		return List[T]{Items: append([]T{}, items...)}
	}
	return List[T]{Items: items[:limit], Next: id(items[limit-1])}
}
