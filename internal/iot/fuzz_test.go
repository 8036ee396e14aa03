package iot

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func FuzzParseID(f *testing.F) {
	f.Add("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
	f.Add("00000000-0000-0000-0000-000000000000")
	f.Add("0190A1B2-c3d4-7e5f-8a9b-0c1d2e3f4a5b ")
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := ParseID(text)
		if !ok {
			return
		}
		if again, ok := ParseID(id.String()); id.IsZero() != (id.String() == "") || !id.IsZero() &&
			(!ok || again != id || !strings.EqualFold(id.String(), text)) {
			t.Errorf("%q is %s, then %s", text, id, again)
		}
		if id.Key() < 0 {
			t.Errorf("%q has the key %d", text, id.Key())
		}
	})
}

func FuzzParseAPIKey(f *testing.F) {
	_, _, text := NewAPIKey()
	f.Add(text.Reveal())
	f.Add("NNSXS.." + strings.Repeat("A", 52))
	f.Fuzz(func(t *testing.T, text string) {
		id, secret, ok := ParseAPIKey(text)
		if ok && (len(id) != 39 || len(secret) != 52 || "NNSXS."+id+"."+secret.Reveal() != text) {
			t.Errorf("%q is the key %q", text, id)
		}
		if !ok && (id != "" || secret != "") {
			t.Errorf("%q is no key, but has parts", text)
		}
	})
}

func FuzzParseOrigins(f *testing.F) {
	f.Add("https://portal.example, http://localhost:8000")
	f.Add("https://[::1]:443/ *")
	f.Add("https://a;script-src b")
	f.Fuzz(func(t *testing.T, text string) {
		origins, ok := ParseOrigins(text)
		if !ok {
			return
		}
		for _, o := range origins {
			u, err := url.Parse(o)
			if err != nil || u.Host == "" || u.String() != o || strings.ContainsAny(o, " ;,'*\"\r\n") {
				t.Errorf("%q gives the origin %q", text, o)
			}
		}
		if again, ok := ParseOrigins(strings.Join(origins, " ")); !ok || !slices.Equal(again, origins) {
			t.Errorf("%q gives %v, then %v", text, origins, again)
		}
	})
}

// Addresses of the same host are of the same host for the parser that dials them.
func FuzzSameHost(f *testing.F) {
	f.Add("https://h/a", "https://H/b?c")
	f.Add("https://h", "https://h@evil/")
	f.Add("https://h\\@evil", "https://h")
	f.Fuzz(func(t *testing.T, a, b string) {
		if SameHost(a, b) != SameHost(b, a) {
			t.Errorf("%q and %q are the same one way only", a, b)
		}
		u, err := url.Parse(strings.TrimSpace(a))
		v, err2 := url.Parse(strings.TrimSpace(b))
		if err != nil || err2 != nil || u.Host == "" || v.Host == "" || strings.ContainsAny(a+b, "{}") {
			return
		}
		if SameHost(a, b) && (!strings.EqualFold(u.Scheme, v.Scheme) || !strings.EqualFold(u.Host, v.Host)) {
			t.Errorf("%q and %q lead to %s and %s", a, b, u.Host, v.Host)
		}
	})
}

func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE")
	f.Add("$argon2id$v=19$m=4294967295,t=4294967295,p=1$$")
	f.Fuzz(func(t *testing.T, text string) {
		_, sum, passes, memory, ok := parseHash(text)
		if ok && (len(sum) != argonBytes || passes == 0 || passes > mostPasses || memory > 1<<20) {
			t.Errorf("%q is checked with %d passes over %d KiB", text, passes, memory)
		}
	})
}

func FuzzPasswordProblem(f *testing.F) {
	f.Add("correct horse battery", "ada@example.org")
	f.Add("ada.lovelace1", "Ada.Lovelace@example.org")
	f.Add("\xff\xfe", "@")
	f.Fuzz(func(t *testing.T, password, email string) {
		problem := PasswordProblem(Secret(password), email)
		if problem == "" && (TextLength(password) < MinPassword || len(password) > MaxPassword || strings.EqualFold(password, email)) {
			t.Errorf("%q is a password of %q", password, email)
		}
		if len(password) > 3 && strings.Contains(problem, password) {
			t.Errorf("the problem of %q tells it: %s", password, problem)
		}
	})
}

func FuzzMakeSlug(f *testing.F) {
	f.Add("My first Webhook!")
	f.Add("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
	f.Add("ÄÖÜ --- a")
	f.Fuzz(func(t *testing.T, name string) {
		slug := MakeSlug(name, nil)
		if err := CheckSlug("id", slug); err != nil {
			t.Errorf("%q makes %q: %v", name, slug, err)
		}
		if CheckSlug("id", name) == nil && MakeSlug(name, func(s string) bool { return s == name }) == name {
			t.Errorf("%q is made though it is taken", name)
		}
	})
}

func FuzzUnmask(f *testing.F) {
	f.Add("https://h/•••?k=•••", "a", "b")
	f.Add("••••••", "•••", "")
	f.Fuzz(func(t *testing.T, text, first, second string) {
		for _, secrets := range [][]Secret{nil, {Secret(first)}, {Secret(first), Secret(second)}} {
			full, ok := Unmask(text, secrets)
			if ok != (strings.Count(text, Mask) == len(secrets)) {
				t.Errorf("%q takes %d secrets: %v", text, len(secrets), ok)
			}
			if want := len(text) - len(secrets)*len(Mask); ok && len(secrets) == 1 && len(full) != want+len(first) {
				t.Errorf("%q becomes %q", text, full)
			}
		}
	})
}
