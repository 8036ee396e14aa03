package handlers_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

type inner struct {
	N int `json:"n"`
}

type embedded struct {
	Promoted string `json:"promoted"`
}

type sample struct {
	embedded
	Text   string           `json:"text"`
	Secret *iot.Secret      `json:"secret"`
	Flag   *bool            `json:"flag"`
	Big    int64            `json:"big"`
	At     *iot.Instant     `json:"at"`
	ID     iot.ID           `json:"id"`
	List   []inner          `json:"list"`
	Map    map[string]inner `json:"map"`
	Any    json.RawMessage  `json:"any"`
	Hidden string           `json:"-"`
}

func TestParseJSONNamesEachFault(t *testing.T) {
	for body, want := range map[string][]string{
		`{"text":"a","promoted":"b","flag":false,"big":5,` +
			`"at":"2026-01-31T08:00:00+01:00","list":[{"n":1}],"map":{"x":{"n":2}},"any":[null]}`: nil,
		`{"at":null}`:                             nil,
		`{"text":1,"flag":"true","big":1.0}`:      {"big", "flag", "text"},
		`{"big":1e3}`:                             {"big"},
		`{"big":9223372036854775808}`:             {"big"},
		`{"secret":true}`:                         {"secret"},
		`{"secret":null,"flag":null,"list":null}`: {"flag", "list", "secret"},
		`{"at":5}`:                                {"at"},
		`{"id":"5"}`:                              {"id"},
		`{"id":7}`:                                {"id"},
		`{"list":[{"n":1},{"m":1},5,{"n":"1"}]}`:  {"list.1.m", "list.2", "list.3.n"},
		`{"map":{"x":{"m":1},"y":[]}}`:            {"map.x.m", "map.y"},
		`{"list":{},"map":[]}`:                    {"list", "map"},
		`{"Text":"a","hidden":"b","Hidden":"c"}`:  {"Hidden", "Text", "hidden"},
		`{"":1}`:                                  {`""`},
		`{"text":"a","te\u0078t":"b"}`:            {"text"},
	} {
		var v sample
		err := handlers.ParseJSON([]byte(body), &v)
		if len(want) == 0 {
			if err != nil {
				t.Errorf("%s: %v", body, err)
			}
			continue
		}
		e, ok := errors.AsType[*iot.Error](err)
		if !ok || e.Code != iot.Invalid {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if got := slices.Sorted(maps.Keys(e.Fields)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", body, e.Fields, want)
		}
	}
}

func TestParseJSONSaysWhereItIsNotJSON(t *testing.T) {
	for body, want := range map[string]string{
		"":                         "is empty",
		" \n":                      "is empty",
		"{\n  \"text\": \"a\",\n}": "line 3, column 1",
		`{"text":"a"} {}`:          "line 1, column 14",
		`{"text":"a`:               "unexpected end",
		"{\"text\":\"\xff\"}":      "not UTF-8",
		`[]`:                       "must be an object",
		`null`:                     "must not be null",
		`"x"`:                      "must be an object",
	} {
		err := handlers.ParseJSON([]byte(body), &sample{})
		if e, ok := errors.AsType[*iot.Error](err); !ok || e.Code != iot.Invalid || !strings.Contains(e.Message, want) {
			t.Errorf("%q: %v, want %q", body, err, want)
		}
	}
}

func TestFaultsAreBounded(t *testing.T) {
	var b bytes.Buffer
	for i := range 50_000 {
		fmt.Fprintf(&b, `,"%s%d":1`, strings.Repeat("é", 100), i)
	}
	err := handlers.ParseJSON([]byte("{"+b.String()[1:]+"}"), &sample{})
	if e, ok := errors.AsType[*iot.Error](err); !ok || len(e.Error()) > 10_000 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

func FuzzParseJSON(f *testing.F) {
	f.Add(`{"text":"a","list":[{"n":1}],"map":{"x":{"n":2}},"id":"019aa5d2-8c41-7e9a-8000-0123456789ab"}`)
	f.Add(`{"at":"2026-01-31T08:00:00Z","any":{"a":[1,2,{}]},"big":-1}`)
	f.Fuzz(func(t *testing.T, body string) {
		var v sample
		if handlers.ParseJSON([]byte(body), &v) != nil {
			return
		}
		// A strict decoder accepts everything that is accepted here.
		d := json.NewDecoder(strings.NewReader(body))
		d.DisallowUnknownFields()
		var w sample
		if err := d.Decode(&w); err != nil {
			t.Fatalf("%q was taken: %v", body, err)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			t.Fatalf("%q was taken with something behind it", body)
		}
	})
}

func TestReadBody(t *testing.T) {
	const limit = 200_000
	for _, size := range []int{0, 1, 5_000, 70_000, limit, limit + 1} {
		for _, known := range []bool{true, false} {
			body := bytes.Repeat([]byte("x"), size)
			r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(bytes.NewReader(body)))
			r.ContentLength = -1
			if known {
				r.ContentLength = int64(size)
			}
			got, err := handlers.ReadBody(r, limit)
			if size > limit {
				if iot.CodeOf(err) != iot.TooLarge {
					t.Errorf("%d bytes: %v", size, err)
				}
				continue
			}
			if err != nil || !bytes.Equal(got, body) || cap(got) > size+size/4+8 {
				t.Errorf("%d bytes, length known %v: %d of cap %d, %v", size, known, len(got), cap(got), err)
			}
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader("abc"), broken{}))
	r.ContentLength = 5
	if _, err := handlers.ReadBody(r, limit); iot.CodeOf(err) != iot.Invalid {
		t.Errorf("a body that breaks off: %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestErrorsBecomeAnswers(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		body   string
	}{
		{iot.FieldError("url", "is bad."), 400, `{"error":{"code":"invalid","message":"url: is bad.","fields":{"url":"is bad."}}}`},
		{fmt.Errorf("look: %w", iot.NewError(iot.NotFound, "Nothing <here>.")), 404,
			`{"error":{"code":"not_found","message":"Nothing <here>."}}`},
		{iot.NewError(iot.Unauthorized, "Who?"), 401, `{"error":{"code":"unauthorized","message":"Who?"}}`},
		{iot.NewError(iot.Forbidden, "No."), 403, `{"error":{"code":"forbidden","message":"No."}}`},
		{iot.NewError(iot.Conflict, "No."), 409, `{"error":{"code":"conflict","message":"No."}}`},
		{iot.NewError(iot.LimitReached, "No."), 409, `{"error":{"code":"limit_reached","message":"No."}}`},
		{iot.NewError(iot.TooLarge, "No."), 413, `{"error":{"code":"too_large","message":"No."}}`},
		{iot.NewError(iot.RateLimited, "No."), 429, `{"error":{"code":"rate_limited","message":"No."}}`},
		{&iot.Error{Code: iot.Unavailable, Message: "Later.", Err: errors.New("inner")}, 503,
			`{"error":{"code":"unavailable","message":"Later."}}`},
		{iot.NewError(iot.StorageFull, "Full."), 507, `{"error":{"code":"storage_full","message":"Full."}}`},
	} {
		w := httptest.NewRecorder()
		serve(w, c.err, io.Discard)
		if got := strings.TrimSpace(w.Body.String()); w.Code != c.status || got != c.body {
			t.Errorf("%v: %d %s", c.err, w.Code, got)
		}
		if (w.Header().Get("WWW-Authenticate") != "") != (c.status == 401) {
			t.Errorf("%v: %v", c.err, w.Header())
		}
	}
}

func TestInnerErrorsStayInside(t *testing.T) {
	var log bytes.Buffer
	w := httptest.NewRecorder()
	serve(w, errors.New("table users has no column x"), &log)
	id := w.Header().Get(handlers.RequestIDHeader)
	if w.Code != 500 || strings.Contains(w.Body.String(), "table") || id == "" || !strings.Contains(w.Body.String(), id) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if !strings.Contains(log.String(), "no column x") || !strings.Contains(log.String(), id) {
		t.Errorf("logged: %s", log.String())
	}
}

func serve(w http.ResponseWriter, err error, log io.Writer) {
	h := handlers.JSON(func(http.ResponseWriter, *http.Request) error { return err }, slog.New(slog.NewTextHandler(log, nil)))
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/x", nil))
}
