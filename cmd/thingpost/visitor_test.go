package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	neturl "net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
)

// reader requests pages as a browser does, without one.
type reader struct {
	t      *testing.T
	url    string
	client *http.Client
	header http.Header // of the last answer
}

func newReader(t *testing.T, url string) *reader {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	return &reader{t: t, url: url, client: &http.Client{Jar: jar}}
}

func (r *reader) signIn(email, password string) {
	r.t.Helper()
	r.post("/sign-in", neturl.Values{"email": {email}, "password": {password}})
}

// post sends a form, and returns the page that follows.
func (r *reader) post(path string, form neturl.Values) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+path, strings.NewReader(form.Encode()))
	must(r.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return answered(r.t, r.client, req)
}

// answered returns the answer to a request, which must be a success.
func answered(t *testing.T, client *http.Client, req *http.Request) string {
	t.Helper()
	resp, err := client.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s answers %s: %s", req.Method, req.URL.Path, resp.Status, text)
	}
	return string(text)
}

// wire gets a path compressed, and returns its text and how many bytes arrived.
func (r *reader) wire(path string) (text string, size int) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, http.NoBody)
	must(r.t, err)
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := r.client.Do(req)
	must(r.t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	must(r.t, err)
	if r.header = resp.Header; resp.StatusCode != http.StatusOK {
		r.t.Fatalf("GET %s answers %s", path, resp.Status)
	}
	if resp.Header.Get("Content-Encoding") != "gzip" {
		return string(body), len(body)
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	must(r.t, err)
	plain, err := io.ReadAll(z)
	must(r.t, err)
	return string(plain), len(body)
}

// seen is an answer to a visitor.
type seen struct {
	status int
	header http.Header
	body   string
}

// visitor returns a reader that does not follow redirects.
func visitor(t *testing.T, url string) *reader {
	t.Helper()
	r := newReader(t, url)
	r.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return r
}

// tries sends a request with a form (nil for no body) and headers (name, value, …).
func (r *reader) tries(method, path string, form neturl.Values, headers ...string) seen {
	r.t.Helper()
	body := io.Reader(http.NoBody)
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, body)
	must(r.t, err)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := r.client.Do(req)
	must(r.t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	must(r.t, err)
	return seen{resp.StatusCode, resp.Header, string(text)}
}

// enters signs in as the first account, which must succeed.
func (r *reader) enters() {
	r.t.Helper()
	if s := r.tries(http.MethodPost, "/sign-in", asks("ada@example.org", "correct horse battery")); s.status != http.StatusSeeOther {
		r.t.Fatalf("signing in answers %d %s", s.status, s.body)
	}
}

// session is the reader's session cookie.
func (r *reader) session() *http.Cookie {
	r.t.Helper()
	u, err := neturl.Parse(r.url)
	must(r.t, err)
	for _, c := range r.client.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, "thingpost") {
			return c
		}
	}
	r.t.Fatal("nobody is signed in")
	return nil
}

// form returns the fields of the page's form for the path, as a browser would send
// them.
func (r *reader) form(page, action string) neturl.Values {
	r.t.Helper()
	s := r.tries(http.MethodGet, page, nil)
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(s.body))
	must(r.t, err)
	values := neturl.Values{}
	found := doc.Find(`form[action="` + action + `"]`).First()
	if found.Length() == 0 {
		r.t.Fatalf("%s (%d) has no form for %s", page, s.status, action)
	}
	found.Find("input, textarea, select").Each(func(_ int, e *goquery.Selection) {
		name, kind := e.AttrOr("name", ""), e.AttrOr("type", "text")
		_, checked := e.Attr("checked")
		switch {
		case name == "" || (kind == "checkbox" || kind == "radio") && !checked:
		case goquery.NodeName(e) == "textarea":
			values.Add(name, strings.TrimPrefix(e.Text(), "\n"))
		case goquery.NodeName(e) == "select":
			chosen := e.Find("option[selected]")
			if chosen.Length() == 0 {
				chosen = e.Find("option").First()
			}
			values.Add(name, chosen.AttrOr("value", chosen.Text()))
		case kind == "checkbox" || kind == "radio":
			values.Add(name, e.AttrOr("value", "on"))
		default:
			values.Add(name, e.AttrOr("value", ""))
		}
	})
	return values
}

// freeAddress is an unused address, for a server that must know its own URL.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// invites invites a person to the first organization as a viewer, and returns the token
// of the link that the next page shows once.
func (r *reader) invites(email string) (token string) {
	r.t.Helper()
	const members = "/settings/organizations/my-organization/members"
	direct := *r.client
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r = &reader{t: r.t, url: r.url, client: &direct}
	r.tries(http.MethodPost, members, neturl.Values{"email": {email}, "role": {"viewer"}})
	link := regexp.MustCompile(`/invitation\?token=(tpt_[a-z2-7]+)`)
	m := link.FindStringSubmatch(r.tries(http.MethodGet, members, nil).body)
	if m == nil {
		r.t.Fatalf("inviting %s shows no link", email)
	}
	return m[1]
}
