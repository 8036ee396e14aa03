package handlers_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

func TestCut(t *testing.T) {
	all := []string{"a", "b", "c", "d", "e"}
	same := func(s string) string { return s }
	for _, c := range []struct {
		page handlers.Page
		want string
	}{
		{handlers.Page{Limit: 2}, `{"items":["a","b"],"next":"b"}`},
		{handlers.Page{Limit: 2, Cursor: "b"}, `{"items":["c","d"],"next":"d"}`},
		{handlers.Page{Limit: 2, Cursor: "d"}, `{"items":["e"],"next":""}`},
		{handlers.Page{Limit: 2, Cursor: "e"}, `{"items":[],"next":""}`},
		{handlers.Page{Limit: 5}, `{"items":["a","b","c","d","e"],"next":""}`},
	} {
		list, err := handlers.Cut(all, c.page, same)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(list); err != nil || string(got) != c.want {
			t.Errorf("%+v: %s, want %s", c.page, got, c.want)
		}
	}
	if _, err := handlers.Cut(all, handlers.Page{Limit: 2, Cursor: "x"}, same); iot.CodeOf(err) != iot.Invalid {
		t.Errorf("a bad cursor: %v", err)
	}
	empty, err := handlers.Cut(nil, handlers.Page{Limit: 2}, same)
	if got, _ := json.Marshal(empty); err != nil || string(got) != `{"items":[],"next":""}` {
		t.Errorf("%s %v", got, err)
	}
	looked, _ := json.Marshal(handlers.List[int]{Items: []int{}, Next: "x", LookedBackTo: 1_800_000_000_000})
	if string(looked) != `{"items":[],"next":"x","looked_back_to":"2027-01-15T08:00:00.000Z"}` {
		t.Errorf("%s", looked)
	}
}

func TestQuery(t *testing.T) {
	q, page, err := handlers.Query(httptest.NewRequest(http.MethodGet, "/?a=1&limit=7&cursor=x", nil), "a", "b")
	if err != nil || q.Get("a") != "1" || page != (handlers.Page{Limit: 7, Cursor: "x"}) {
		t.Errorf("%v %+v %v", q, page, err)
	}
	_, page, err = handlers.Query(httptest.NewRequest(http.MethodGet, "/", nil))
	if err != nil || page.Limit != handlers.DefaultLimit {
		t.Errorf("%+v %v", page, err)
	}
	if _, err := page.ID(); err != nil {
		t.Errorf("no cursor: %v", err)
	}
	for _, bad := range []string{"?c=1", "?a=1&a=2", "?limit=0", "?limit=201", "?limit=x", "?limit=", "?%zz", "?a;b"} {
		if _, _, err := handlers.Query(httptest.NewRequest(http.MethodGet, "/"+bad, nil), "a", "b"); iot.CodeOf(err) != iot.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
