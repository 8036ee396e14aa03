package webhook

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

// TestURL joins bases and paths. refused names the faulty field instead. The cases
// marked "differs" are those in which The Things Stack does otherwise.
func TestURL(t *testing.T) {
	cases := []struct{ base, path, want, refused string }{
		{"https://h/lorahooks", "/up", "https://h/lorahooks/up", ""},
		{"https://h/lorahooks/", "/up", "https://h/lorahooks/up", ""},
		{"https://h/lorahooks", "up", "https://h/lorahooks/up", ""},
		{"https://h/lorahooks", "", "https://h/lorahooks", ""},
		{"https://h/lorahooks/", "", "https://h/lorahooks/", ""},
		{"https://h/lorahooks", "/", "https://h/lorahooks/", ""},
		{"https://h", "", "https://h", ""},
		{"https://h", "/up", "https://h/up", ""},
		{"https://h/a?x=1", "/up", "https://h/a/up?x=1", ""}, // differs
		{"https://h/a?x=1", "", "https://h/a?x=1", ""},
		{"https://h/a?x=1", "?y=2", "https://h/a?x=1&y=2", ""}, // differs
		{"https://h/a", "?y=2", "https://h/a?y=2", ""},
		{"https://h/a/b", "../c", "", "message_types.user.path"},         // differs
		{"https://h/a/b", "//c", "", "message_types.user.path"},          // differs
		{"https://h/a", "https://evil/x", "", "message_types.user.path"}, // differs
		{"https://h/a", "/up?y=2#f", "", "message_types.user.path"},      // differs
		{"https://h/a#frag", "/up", "", "url"},                           // differs
		{"https://h/a", "/{nope}/x", "https://h/a//x", ""},               // differs
		{"https://{devID}.h/a", "/up", "", "url"},                        // differs
		{"https://h/a{/appID}", "/up{/devID}", "https://h/a/app1/up/dev1", ""},
		{"https://h/a", "/up{?devEUI,joinEUI,devAddr}", "https://h/a/up?devEUI=70B3D57ED000ABCD&joinEUI=0004A30B001C0530&devAddr=2600ABCD", ""},
		{"https://h/a", "/{applicationID}/{deviceID}/{appEUI}", "https://h/a/app1/dev1/0004A30B001C0530", ""},
		{"https://h/a/{+devEUI}", "", "https://h/a/70B3D57ED000ABCD", ""},
		{"https://h/a", "/up%20x", "https://h/a/up%20x", ""},
		{"https://h/a", "/ü x", "https://h/a/%C3%BC%20x", ""},
		{"https://h/a", "/{bad", "", "message_types.user.path"},
		{"https://h/a", "/up/", "https://h/a/up/", ""},

		{"HTTP://H.example:8080/a", "", "http://H.example:8080/a", ""},
		{"https://[2001:db8::1]:8443", "up", "https://[2001:db8::1]:8443/up", ""},
		{"https://h{/devID}", "", "https://h/dev1", ""},
		{"https://h{/nope}.evil", "", "https://h/.evil", ""},
		{"https://h{?channel}", "/up{?fPort}", "https://h/up?channel=a%20b%23%2F..%3Fc&fPort=", ""},
		{"https://h/{channel}", "", "https://h/a%20b%23%2F..%3Fc", ""},
		{"https://h/{+channel}", "", "", "expansion"},
		{"https://h/a?t={+channel}", "", "https://h/a?t=a%20b%23/..?c", ""},
		{"https://h/a/", "{/nope}", "https://h/a/", ""},
		{"https://h/a//b/", "//", "", "message_types.user.path"},
		{"https://h/a//b/", "/c//d", "https://h/a//b/c//d", ""},
		{"https://h/a?", "?y=2", "https://h/a?y=2", ""},
		{"https://h", "?y=2", "https://h?y=2", ""},
		{"https://h/a", "/{projectID}/{deviceUUID}/{messageType}", "https://h/a/app1/3781de91-d446-4c64-825d-756dd60f2dab/user", ""},
		{"https://h/a", "/{devID:2}", "https://h/a/de", ""},
		{"https://h/a\\b", "", "https://h/a%5Cb", ""},
		{"https://h\\@evil/a", "", "", "url"},
		{"https://h/a%2e%2E/b", "", "https://h/a%2e%2E/b", ""},
		{"https://h/a/%2e%2E/b", "", "", "url"},
		{"https://h/a/../b", "", "", "url"},
		{"https://h{devID}/a", "", "", "url"},
		{"https://h:{fPort}/a", "", "", "url"},
		{"{devID}://h/a", "", "", "url"},
		{"https://b\u00fccher.example/a", "", "https://b\u00fccher.example/a", ""},
		{"https://h%41/a", "", "", "url"},
		{"https://%C3%BC/a", "", "", "url"},
		{"https://a<b>/a", "", "", "url"},
		{"https://h /a", "", "", "url"},
		{"https://[h]/a", "", "", "url"},
		{"https://[fe80::1%25eth0]/a", "", "", "url"},
		{"https://h:0/a", "", "", "url"},
		{"https://h:65536/a", "", "", "url"},
		{"https://h:/a", "", "", "url"},
		{"https:///a", "", "", "url"},
		{"https://?a", "", "", "url"},
		{"ftp://h/a", "", "", "url"},
		{"/a", "", "", "url"},
		{"h/a", "", "", "url"},
		{"", "", "", "url"},
		{"https://h/a{#devID}", "", "", "url"},
		{"https://h/a%2", "", "", "url"},
		{"https://h/a}", "", "", "url"},
		{"https://h/{=devID}", "", "", "url"},
		{"https://h/{dev-id}", "", "", "url"},
		{"https://h/a\x00", "", "", "url"},
		{"https://h/" + strings.Repeat("a", 2048), "", "", "url"},
		{"https://h/a", "/" + strings.Repeat("ü", 64), "", "message_types.user.path"},
		{"https://h/a", "/{devID}/%2e./x", "", "message_types.user.path"},
		{"https://h/a", "/up?next=https://h/../b", "https://h/a/up?next=https://h/../b", ""},
	}
	for _, c := range cases {
		t.Run(c.base+" "+c.path, func(t *testing.T) {
			m := sampleMessage()
			m.Channel = "a b#/..?c"
			got, err := renderURL(c.base, c.path, m)
			switch {
			case c.refused == "expansion":
				if iot.CodeOf(err) != iot.Invalid {
					t.Errorf("got %q, %v; want an error when expanded", got, err)
				}
			case c.refused != "":
				if !hasFault(checkURLs(c.base, c.path), c.refused) {
					t.Errorf("got %v, want a fault of %s", checkURLs(c.base, c.path), c.refused)
				}
				if len(c.base) <= maxURL && iot.TextLength(c.path) <= maxPath && err == nil {
					t.Errorf("refused when saved, but rendered as %q", got)
				}
			case err != nil || got != c.want:
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			case checkURLs(c.base, c.path) != nil:
				t.Errorf("refused when saved: %v", checkURLs(c.base, c.path))
			}
		})
	}
}

func checkURLs(base, path string) error {
	w := sampleWebhook()
	w.URL, w.MessageTypes = base, iot.Routes{iot.User: {Path: path}}
	return Check(w, iot.Limits{Webhooks: 5, Headers: 5}, true)
}

func renderURL(base, path string, m *iot.Message) (string, error) {
	w := sampleWebhook()
	w.URL, w.MessageTypes = base, iot.Routes{iot.User: {Path: path}}
	c, err := Compile(w)
	if err != nil {
		return "", err
	}
	r, err := c.Render(sampleInput(m))
	return r.URL, err
}

func hasFault(err error, field string) bool {
	e, ok := errors.AsType[*iot.Error](err)
	return ok && e.Code == iot.Invalid && e.Fields[field] != ""
}

func TestUserNameInURLMovesToAHeader(t *testing.T) {
	w := sampleWebhook()
	w.URL = "https://u%40x:p:w@h:8443/a?x=1"
	if _, err := Compile(w); err == nil {
		t.Error("compiled with a password in the URL")
	}
	if err := Check(w, iot.Limits{Headers: 5}, true); err != nil {
		t.Fatal(err)
	}
	if w.URL != "https://h:8443/a?x=1" {
		t.Errorf("url is %s", w.URL)
	}
	want := iot.Header{Name: "Authorization", Value: "Basic dUB4OnA6dw==", Secret: true}
	if len(w.Headers) != 1 || w.Headers[0] != want {
		t.Errorf("headers are %s %s", w.Headers[0].Name, w.Headers[0].Value.Reveal())
	}

	w.URL = "https://u:p@h/a"
	if err := Check(w, iot.Limits{Headers: 5}, true); !hasFault(err, "url") {
		t.Errorf("took a second Authorization: %v", err)
	}
	w.Headers = nil
	if err := Check(w, iot.Limits{Headers: 0}, true); !hasFault(err, "headers") {
		t.Errorf("took a header beyond the limit: %v", err)
	}
}

// TestURLOfADeviceWithAnyID escapes a colon in a variable's value, but not a dot.
func TestURLOfADeviceWithAnyID(t *testing.T) {
	w := sampleWebhook()
	w.URL, w.MessageTypes = "https://h/{devID}", iot.Routes{iot.User: {Path: "/{deviceID}{?devID}"}}
	c, err := Compile(w)
	if err != nil {
		t.Fatal(err)
	}
	in := sampleInput(sampleMessage())
	in.Device = &iot.Device{ID: "AA:BB.c_1-d"}
	r, err := c.Render(in)
	if err != nil || r.URL != "https://h/AA%3ABB.c_1-d/AA%3ABB.c_1-d?devID=AA%3ABB.c_1-d" {
		t.Errorf("%+v, %v", r, err)
	}
}

// FuzzURL checks that requests go to the saved host, whatever is saved and whatever a
// device sends.
func FuzzURL(f *testing.F) {
	f.Add("https://h/a", "/up{?devEUI}", "alarms")
	f.Add("https://h{/channel}", "{+channel}", "//evil/..")
	f.Add("https://h{/nope}.evil{+channel}", "@evil", "@evil:80/")
	f.Add("https://h{?channel*}", "{;channel:3}", "\r\nHost: evil")
	f.Add("https://[::1]:80?", "\\\\evil", "%")
	f.Add("http://h:80{/x}{+channel}", "?{&channel}", "é#")
	f.Fuzz(func(t *testing.T, base, path, channel string) {
		w := sampleWebhook()
		w.URL, w.MessageTypes = base, iot.Routes{iot.User: {Path: path}}
		if Check(w, iot.Limits{Headers: 5}, true) != nil {
			return
		}
		c, err := Compile(w)
		if err != nil {
			t.Fatalf("saved %q and %q, but %v", base, path, err)
		}
		o, _, _ := parseOrigin(w.URL)
		for _, in := range []Input{sampleInput(sampleMessage()), {Message: sampleMessage(), Device: &iot.Device{}, Project: &iot.Project{}}} {
			in.Message.Channel = channel
			r, err := c.Render(in)
			if err != nil {
				if iot.CodeOf(err) != iot.Invalid {
					t.Fatalf("error is %v", err)
				}
				continue
			}
			u, err := url.Parse(r.URL)
			if err != nil {
				t.Fatalf("%q: %v", r.URL, err)
			}
			if u.Scheme+"://"+u.Host != o.text {
				t.Fatalf("%q went to %s, not %s", r.URL, u.Host, o.text)
			}
			if u.User != nil || u.Fragment != "" || !strings.HasPrefix(r.URL, o.text) {
				t.Fatalf("%q is not below %s", r.URL, o.text)
			}
			if rest := r.URL[len(o.text):]; rest != "" && rest[0] != '/' && rest[0] != '?' {
				t.Fatalf("%q goes on behind its host", r.URL)
			}
			if iot.HasControl(r.URL) {
				t.Fatalf("%q holds a control character", r.URL)
			}
		}
	})
}
