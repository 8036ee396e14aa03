package handlers_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/a-h/templ"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// text is a component with a text.
func text(s string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	})
}

func brokenView() templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, _ = io.WriteString(w, "half a page")
		return errors.New("boom")
	})
}

// answer is the answer of a failing handler, and its log.
func answer(t *testing.T, err error, r *http.Request) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	h := handlers.HTML(func(http.ResponseWriter, *http.Request) error { return err }, handlers.HTMLOptions{
		Log: slog.New(slog.NewTextHandler(&log, nil)),
		Page: func(_ *http.Request, p handlers.Problem) templ.Component {
			return text("page: " + p.Title + ": " + p.Message)
		},
		Toast:    func(p handlers.Problem) templ.Component { return text("toast: " + p.Title + ": " + p.Message) },
		ToastsID: "toasts", SignIn: "/sign-in",
	})
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec, log.String()
}

func request(header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/projects/a?b=c", nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func TestErrorsBecomePagesWithTheirStatus(t *testing.T) {
	for _, c := range []struct {
		code   iot.Code
		status int
	}{
		{iot.Invalid, 400}, {iot.Forbidden, 403}, {iot.NotFound, 404}, {iot.Conflict, 409}, {iot.LimitReached, 409},
		{iot.TooLarge, 413}, {iot.RateLimited, 429}, {iot.Unavailable, 503}, {iot.StorageFull, 507},
	} {
		code := c.code
		rec, _ := answer(t, iot.NewError(code, "What to do."), request())
		if rec.Code != c.status || !strings.HasSuffix(rec.Body.String(), ": What to do.") || !strings.HasPrefix(rec.Body.String(), "page: ") {
			t.Errorf("%s: %d %q", code, rec.Code, rec.Body)
		}
		if got := rec.Header().Get("Content-Type"); got != "text/html; charset=utf-8" {
			t.Errorf("%s: content type %q", code, got)
		}
	}
}

func TestTheCauseOfAFailureGoesToTheLogAlone(t *testing.T) {
	for _, err := range []error{
		errors.New("SQL logic error near x"),
		&iot.Error{Code: iot.Internal, Message: "SQL logic error near x"},
		&iot.Error{Code: iot.Unavailable, Message: "The disk reports errors.", Err: errors.New("SQL logic error near x")},
	} {
		rec, log := answer(t, err, request())
		if rec.Code < 500 || strings.Contains(rec.Body.String(), "SQL") {
			t.Errorf("%v: %d %q", err, rec.Code, rec.Body)
		}
		if !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "SQL logic error near x") {
			t.Errorf("%v: the log says %q", err, log)
		}
	}
	if _, log := answer(t, iot.NewError(iot.NotFound, "No."), request()); log != "" {
		t.Errorf("what is absent is logged: %q", log)
	}
}

func TestWhoHasGoneIsNoError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, log := answer(t, &iot.Error{Code: iot.Unavailable, Message: "Given up.", Err: context.Canceled},
		request().WithContext(ctx)); log != "" {
		t.Errorf("the log says %q", log)
	}
}

func TestFailuresOfHTMXGoToTheToasts(t *testing.T) {
	rec, _ := answer(t, iot.NewError(iot.Conflict, "What to do."), request("HX-Request", "true"))
	if rec.Code != 409 || !strings.HasPrefix(rec.Body.String(), "toast: ") || rec.Header().Get("HX-Retarget") != "#toasts" ||
		rec.Header().Get("HX-Reswap") != "beforeend" {
		t.Errorf("%d %q %v", rec.Code, rec.Body, rec.Header())
	}
	rec, _ = answer(t, iot.NewError(iot.Conflict, "What to do."), request("HX-Request", "true", "HX-History-Restore-Request", "true"))
	if !strings.HasPrefix(rec.Body.String(), "page: ") || rec.Header().Get("HX-Retarget") != "" {
		t.Errorf("a restored page is %q", rec.Body)
	}
}

func TestWhoIsNotSignedInIsSentToSignIn(t *testing.T) {
	unauthorized := iot.NewError(iot.Unauthorized, "Sign in.")
	rec, _ := answer(t, unauthorized, request())
	if rec.Code != 303 || rec.Header().Get("Location") != "/sign-in?next=%2Fprojects%2Fa%3Fb%3Dc" {
		t.Errorf("%d to %q", rec.Code, rec.Header().Get("Location"))
	}
	for current, want := range map[string]string{
		"https://us.example/projects/a?x=1": "/sign-in?next=%2Fprojects%2Fa%3Fx%3D1",
		"https://us.example//evil.example":  "/sign-in",
		"":                                  "/sign-in",
	} {
		rec, _ := answer(t, unauthorized, request("HX-Request", "true", "HX-Current-URL", current))
		if rec.Code != 401 || rec.Header().Get("HX-Redirect") != want {
			t.Errorf("from %q: %d to %q", current, rec.Code, rec.Header().Get("HX-Redirect"))
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/projects/a/delete", nil)
	if rec, _ := answer(t, unauthorized, r); rec.Header().Get("Location") != "/sign-in" {
		t.Errorf("after a POST to %q", rec.Header().Get("Location"))
	}
}

func TestRenderAnswersWholePagesOnly(t *testing.T) {
	rec := httptest.NewRecorder()
	if err := handlers.Render(rec, request(), 200, brokenView()); err == nil || rec.Body.Len() > 0 {
		t.Errorf("%v, and %q was sent", err, rec.Body)
	}
	if err := handlers.Render(rec, request(), 422, text("x")); err != nil || rec.Code != 422 {
		t.Errorf("%v, %d", err, rec.Code)
	}
	if h := rec.Header(); h.Get("Vary") != "HX-Request, HX-Target" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", h)
	}
}

func TestFragmentIsForTheElementThatHTMXNames(t *testing.T) {
	for _, c := range []struct {
		header []string
		want   bool
	}{
		{nil, false},
		{[]string{"HX-Request", "true"}, false},
		{[]string{"HX-Target", "list"}, false},
		{[]string{"HX-Request", "true", "HX-Target", "other"}, false},
		{[]string{"HX-Request", "true", "HX-Target", "list"}, true},
		{[]string{"HX-Request", "true", "HX-Target", "list", "HX-History-Restore-Request", "true"}, false},
	} {
		if got := handlers.IsFragment(request(c.header...), "list"); got != c.want {
			t.Errorf("%v: %v", c.header, got)
		}
	}
}

func TestRedirect(t *testing.T) {
	rec := httptest.NewRecorder()
	if err := handlers.Redirect(rec, request(), "/a"); err != nil || rec.Code != 303 || rec.Header().Get("Location") != "/a" {
		t.Errorf("%v %d %v", err, rec.Code, rec.Header())
	}
	rec = httptest.NewRecorder()
	if err := handlers.Redirect(rec, request("HX-Request", "true"), "/a"); err != nil || rec.Code != 204 ||
		rec.Header().Get("HX-Location") != "/a" {
		t.Errorf("%v %d %v", err, rec.Code, rec.Header())
	}
}

func FuzzLocalPath(f *testing.F) {
	for _, s := range []string{"/", "/a?b=c#d", "//evil.example", `/\evil.example`, "https://evil.example", "/\tx", "/a//b", "", "%2F%2Fevil",
		"/%0d%0ax", "http:/x", "/:80"} {
		f.Add(s)
	}
	base, err := http.NewRequest(http.MethodGet, "https://us.example/x", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := handlers.LocalPath(s)
		u, err := base.URL.Parse(got)
		if err != nil || u.Host != "us.example" || u.Scheme != "https" || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\r\n\t") {
			t.Errorf("%q leads to %q (%v)", s, got, u)
		}
	})
}
