package handlers_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

func posted(t *testing.T, body string) (*handlers.Form, error) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/x?name=from-the-address", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return handlers.ReadForm(httptest.NewRecorder(), r)
}

func TestReadForm(t *testing.T) {
	f, err := posted(t, "name=+Ada+&on=on&rights=a&rights=b&password=+x+")
	if err != nil {
		t.Fatal(err)
	}
	if f.Value("name") != "Ada" || f.Raw("password") != " x " || !f.Checked("on") || f.Checked("off") || !f.Has("rights", "b") ||
		f.Has("rights", "c") || len(f.All("rights")) != 2 {
		t.Errorf("read %+v", f)
	}
	if f, err = posted(t, "other=1"); err != nil || f.Value("name") != "" {
		t.Errorf("the address filled in %q, %v", f.Value("name"), err)
	}
	if _, err = posted(t, "name=%zz"); iot.CodeOf(err) != iot.Invalid {
		t.Errorf("an unreadable form is %v", err)
	}
	if _, err = posted(t, "name="+strings.Repeat("x", handlers.MaxForm)); iot.CodeOf(err) != iot.TooLarge {
		t.Errorf("a large form is %v", err)
	}
}

func TestFormKeepsWhatIsWrong(t *testing.T) {
	f := handlers.NewForm("name", "", "url", "x")
	var faults iot.Faults
	faults.Add("name", "must have 1 to 254 characters.")
	faults.Add("url", "must be absolute.")
	if f.Faulty() {
		t.Error("a new form is faulty")
	}
	if !f.Fail(faults.Err(), "name", "url") || !f.Faulty() || f.Error("name") != "Must have 1 to 254 characters." ||
		f.Error("url") != "Must be absolute." || f.Message() != "" {
		t.Errorf("%q, %q, %q", f.Error("name"), f.Error("url"), f.Message())
	}
	if !f.Fail(faults.Err(), "name") || f.Error("url") != "" || !strings.Contains(f.Message(), "url: must be absolute.") {
		t.Errorf("of a field that is not shown: %q", f.Message())
	}
	if !f.Fail(iot.NewError(iot.LimitReached, "At most five."), "name") || f.Message() != "At most five." || f.Error("name") != "" {
		t.Errorf("of the whole: %q", f.Message())
	}
	for _, err := range []error{errors.New("x"), iot.NewError(iot.NotFound, "x"), iot.NewError(iot.StorageFull, "x"),
		iot.NewError(iot.Forbidden, "x")} {
		if f.Fail(err, "name") {
			t.Errorf("%v is about the form", err)
		}
	}
}

func TestFormsAreUTF8(t *testing.T) {
	if _, err := posted(t, "name=gr%fcn"); iot.CodeOf(err) != iot.Invalid {
		t.Errorf("Latin-1 gives %v", err)
	}
	if f, err := posted(t, "name=gr%C3%BCn"); err != nil || f.Value("name") != "grün" {
		t.Errorf("UTF-8 gives %v", err)
	}
}
