package ui

import (
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/a-h/templ"
)

func render(t *testing.T, c templ.Component) string {
	t.Helper()
	var b strings.Builder
	if err := c.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func parse(t *testing.T, c templ.Component) *goquery.Document {
	t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(render(t, c)))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// text is a component that shows its text, for the places of children.
func text(s string) templ.Component {
	return Muted(s)
}

func TestCodeKeepsEachCharacter(t *testing.T) {
	curl := "curl https://host.example/api/v1/x?a=b//c \\\n  -H 'a: <b>&amp;' \\\n\n  -d '{}'\n"
	for _, wrap := range []Wrap{Scroll, Wrapped, WrapWide} {
		doc := parse(t, Code(CodeProps{ID: "c", Copy: "Copy", Wrap: wrap,
			Tokens: []Token{{StrongToken, "POST /a/b HTTP/1.1"}, {PlainToken, "\n" + curl}, {VarToken, "x/y"}, {DimToken, " z"}}}))
		if got, want := doc.Find("pre").Text(), "POST /a/b HTTP/1.1\n"+curl+"x/y z"; got != want {
			t.Errorf("wrap %q: %q, want %q", wrap, got, want)
		}
		if doc.Find(`button[data-copy="c"][aria-label="Copy"]`).Length() != 1 {
			t.Errorf("wrap %q: no copy button", wrap)
		}
	}
}

func TestJSONTokensColourAndKeepValues(t *testing.T) {
	got := JSONTokens([]byte(`{"n":1.10e+5,"s":"a\"b: \\","ok":true,"list":[null,{}]}`))
	var b strings.Builder
	kinds := make(map[TokenKind]string)
	for _, token := range got {
		b.WriteString(token.Text)
		kinds[token.Kind] += token.Text + " "
	}
	want := "{\n  \"n\": 1.10e+5,\n  \"s\": \"a\\\"b: \\\\\",\n  \"ok\": true,\n  \"list\": [\n    null,\n    {}\n  ]\n}"
	if b.String() != want {
		t.Errorf("text is %s, want %s", b.String(), want)
	}
	for kind, want := range map[TokenKind]string{
		KeyToken: `"n" "s" "ok" "list" `, StringToken: `"a\"b: \\" `, NumberToken: "1.10e+5 true null ",
		PlainToken: "{\n   :  ,\n   :  ,\n   :  ,\n   : [\n     ,\n    {}\n  ]\n} ", DimToken: "", VarToken: "", StrongToken: "",
	} {
		if kinds[kind] != want {
			t.Errorf("%q: %q, want %q", kind, kinds[kind], want)
		}
	}
	for _, plain := range []string{"", "not json", `{"a":`, `"` + strings.Repeat("x", maxHighlighted) + `"`} {
		if got := JSONTokens([]byte(plain)); len(got) != 1 || got[0] != (Token{PlainToken, plain}) {
			t.Errorf("%.20q is not left as it is", plain)
		}
	}
}

func FuzzJSONTokens(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.5e-3,"\u00e9\\"]}`, `"x"`, `[]`, `tru`, "é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var b strings.Builder
		for _, token := range tokens(s) {
			b.WriteString(token.Text)
		}
		if b.String() != s {
			t.Errorf("%q became %q", s, b.String())
		}
	})
}

func TestFieldTellsWhatIsWrong(t *testing.T) {
	doc := parse(t, Field(FieldProps{Name: "url", Label: "URL", Value: `"><b>`, Help: "May hold variables.", Error: "Has no host.",
		Required: true, MaxLength: 2048}))
	input := doc.Find("input#url[name=url]")
	for attr, want := range map[string]string{"value": `"><b>`, "aria-invalid": "true", "aria-describedby": "url-error url-help",
		"type": "text", "maxlength": "2048"} {
		if got, _ := input.Attr(attr); got != want {
			t.Errorf("%s is %q, want %q", attr, got, want)
		}
	}
	if _, ok := input.Attr("required"); !ok {
		t.Error("not required")
	}
	if got := strings.TrimSpace(doc.Find("#url-error[role=alert]").Text()); got != "Has no host." {
		t.Errorf("error says %q", got)
	}
	if doc.Find("label[for=url]").Text() != "URL" || doc.Find("#url-help").Length() != 1 {
		t.Error("label or help is missing")
	}
	plain := parse(t, Field(FieldProps{Name: "a", Label: "A"})).Find("input")
	for _, attr := range []string{"aria-invalid", "aria-describedby", "required", "disabled", "readonly", "autofocus", "maxlength"} {
		if _, ok := plain.Attr(attr); ok {
			t.Errorf("a plain field has %s", attr)
		}
	}
}

func TestTextareaKeepsALeadingNewline(t *testing.T) {
	doc := parse(t, Field(FieldProps{Name: "p", Label: "Payload", Rows: 3, Value: "\n{}"}))
	if got := doc.Find("textarea#p").Text(); got != "\n{}" {
		t.Errorf("value is %q", got)
	}
}

func TestSelectChoiceAndCheckboxShowTheValue(t *testing.T) {
	sel := parse(t, Select(SelectProps{Name: "f", Label: "F", Value: "json", Options: []Option{{"envelope", "Envelope"}, {"json", "JSON"}}}))
	if got := sel.Find("option[selected]").Text(); got != "JSON" {
		t.Errorf("selected: %q", got)
	}
	choice := parse(t, Choice(ChoiceProps{Name: "type", Label: "Type", Value: "user",
		Options: []ChoiceOption{{"user", "user", "x"}, {"iottly", "iottly", "y"}}}))
	if got, _ := choice.Find("input[checked]").Attr("value"); got != "user" {
		t.Errorf("chosen: %q", got)
	}
	box := parse(t, Checkbox(CheckProps{Name: "types", Value: "join_accept", Label: "join_accept", Checked: true}))
	if box.Find(`input#types-join_accept[type=checkbox][value=join_accept][checked]:not([role])`).Length() != 1 {
		t.Errorf("box: %s", render(t, Checkbox(CheckProps{Name: "types", Value: "join_accept"})))
	}
	if parse(t, Switch(CheckProps{Name: "on", Label: "On"})).Find(`input[role=switch][value=on]:not([checked])`).Length() != 1 {
		t.Error("switch is not one, or on")
	}
}

func TestButtonsSubmitUnlessTheyOpenSomething(t *testing.T) {
	for _, c := range []struct {
		p    ButtonProps
		want string
	}{
		{ButtonProps{Label: "Save"}, `button[type=submit]:not([data-variant]):not([data-size])`},
		{ButtonProps{Label: "Retry", Name: "do", Value: "retry", Disabled: true}, `button[type=submit][name=do][value=retry][disabled]`},
		{ButtonProps{Label: "More", Menu: "m"}, `button[type=button][popovertarget=m]`},
		{ButtonProps{Label: "Ask", Opens: "d"}, `button[type=button][commandfor=d][command=show-modal]`},
		{ButtonProps{Label: "Do", Plain: true}, `button[type=button]`},
		{ButtonProps{Label: "Close", Icon: IconClose, IconOnly: true, Small: true, Variant: Ghost},
			`button[aria-label=Close][title=Close][data-size=icon-sm][data-variant=ghost]`},
	} {
		if parse(t, Button(c.p)).Find(c.want).Length() != 1 {
			t.Errorf("%s is not %s", render(t, Button(c.p)), c.want)
		}
	}
}

func TestUnsafeAddressesBecomeHarmless(t *testing.T) {
	for name, c := range map[string]templ.Component{
		"link button": LinkButton(LinkButtonProps{Label: "x", Href: "javascript:alert(1)"}),
		"link":        Link("javascript:alert(1)", "x"),
		"menu link":   MenuLink(MenuItem{Label: "x", Href: "javascript:alert(1)"}),
		"fact":        Rows(Fact{Term: "x", Value: "y", Href: "javascript:alert(1)"}),
		"confirm":     Confirm(ConfirmProps{Action: "javascript:alert(1)", Back: "javascript:alert(1)"}),
	} {
		if got := render(t, c); strings.Contains(got, "javascript:") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestConfirmIsAPageOrADialog(t *testing.T) {
	p := ConfirmProps{Title: "Delete it?", Lead: "And its 1,204 pending deliveries.", Action: "/delete", Confirm: "Delete", Danger: true,
		Back: "/back"}
	page := parse(t, Confirm(p))
	if page.Find("h1").Text() != "Delete it?" ||
		page.Find(`form[method=post][action="/delete"] button[type=submit][data-variant=destructive]`).Length() != 1 {
		t.Errorf("page: %s", render(t, Confirm(p)))
	}
	if page.Find(`a[href="/back"][data-close]`).Text() == "" {
		t.Error("no way back")
	}
	p.InDialog = true
	if dialog := parse(t, Confirm(p)); dialog.Find("h1").Length() != 0 || dialog.Find("h2#dialog-title").Length() != 1 {
		t.Error("the dialog's heading is not one")
	}
}

func TestPagerKeepsItsPlaces(t *testing.T) {
	doc := parse(t, Pager(PagerProps{Older: "?cursor=a"}))
	if doc.Find("button[disabled]").Length() != 1 || doc.Find(`a[href="?cursor=a"]`).Length() != 1 {
		t.Errorf("%s", render(t, Pager(PagerProps{Older: "?cursor=a"})))
	}
}

func TestToastsHaveTheReadyMadeOnes(t *testing.T) {
	doc := parse(t, Toasts(ToastProps{Tone: Danger, Title: "No."}, ToastProps{Text: "Saved."}))
	if doc.Find("#toasts[aria-live=polite] > .toast").Length() != 2 || doc.Find("#toasts > .toast[data-stay]").Length() != 1 {
		t.Error("toasts are not two, of which one stays")
	}
	for _, name := range []string{"failed", "lost", "offline", "stale", "no-retry"} {
		if doc.Find(`template[data-toast="`+name+`"]`).Length() != 1 {
			t.Errorf("no template %q", name)
		}
	}
}

func TestLiveSectionsNameWhatTheyHear(t *testing.T) {
	attrs := Live("log", "/x", "deliveries", "webhooks")
	if attrs["hx-select"] != "#log > *" || attrs["hx-get"] != "/x" || attrs["hx-disinherit"] != "*" {
		t.Errorf("attributes are %v", attrs)
	}
	if attrs["hx-trigger"] != "refresh" || attrs["data-hears"] != "deliveries webhooks" {
		t.Errorf("it is fetched on %q and hears %q", attrs["hx-trigger"], attrs["data-hears"])
	}
}

func TestStatusIsDotAndWord(t *testing.T) {
	for _, c := range []templ.Component{Badge("Failing", Danger, Square), Status(StatusProps{Label: "Failing", Tone: Danger, Shape: Square})} {
		doc := parse(t, c)
		if el := doc.Find(`[data-tone=danger][data-shape=square]`); el.Text() != "Failing" {
			t.Errorf("%s", render(t, c))
		}
	}
}

func TestChecksSayYesAndNo(t *testing.T) {
	doc := parse(t, Checks(Check{Text: "Type is user"}, Check{No: true, Text: "Channel", Body: text("Channel alarms"), Note: "it has none"}))
	if got := strings.Join(strings.Fields(doc.Find("li[data-no]").Text()), " "); got != "No: Channel alarms it has none" {
		t.Errorf("no: %q", got)
	}
	if got := strings.Join(strings.Fields(doc.Find("li:not([data-no])").Text()), " "); got != "Yes: Type is user" {
		t.Errorf("yes: %q", got)
	}
}
