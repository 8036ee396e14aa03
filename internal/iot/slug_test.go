package iot_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"thingpost/internal/iot"
)

func TestCheckSlug(t *testing.T) {
	for slug, ok := range map[string]bool{
		"abc": true, "a-bc": true, "soil-probe-07": true, "000": true, strings.Repeat("a", 36): true,
		"new-1": true, "news": true, "replay-all": true, "11111111-2222-3333-4444-55555555555g": true,
		"": false, "ab": false, "a-b": false, strings.Repeat("a", 37): false, "Abc": false, "a_b": false, "a--b": false,
		"-ab": false, "ab-": false, "a b": false, "äbc": false, "abc\n": false, "a.b": false,
		"11111111-2222-3333-4444-555555555555": false,
		"new":                                  false, "preview": false, "replay": false,
	} {
		err := iot.CheckSlug("id", slug)
		if ok != (err == nil) {
			t.Errorf("CheckSlug(%q) = %v", slug, err)
		}
		if !ok && iot.CodeOf(err) != iot.Invalid {
			t.Errorf("CheckSlug(%q) has the code %s", slug, iot.CodeOf(err))
		}
	}
}

func TestMakeSlugKeepsWhatItCan(t *testing.T) {
	for name, want := range map[string]string{
		"Greenhouse North":  "greenhouse-north",
		"  ERP / goods-in ": "erp-goods-in",
		"Ünterföhring 7":    "nterf-hring-7",
		"a.bc":              "a-bc",
	} {
		if got := iot.MakeSlug(name, nil); got != want {
			t.Errorf("MakeSlug(%q) = %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"", "x", "a b", "日本語", "new", "Replay!", "PREVIEW", "11111111-2222-3333-4444-555555555555",
		strings.Repeat("long ", 20)} {
		got := iot.MakeSlug(name, nil)
		if err := iot.CheckSlug("id", got); err != nil {
			t.Errorf("MakeSlug(%q) = %q: %v", name, got, err)
		}
		if again := iot.MakeSlug(name, nil); again == got {
			t.Errorf("MakeSlug(%q) is %q twice: the suffix is not random", name, got)
		}
	}
}

func TestMakeSlugIsAlwaysASlugThatIsFree(t *testing.T) {
	names := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zA-Z0-9 ._-]{0,60}`),
		rapid.StringMatching(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`),
		rapid.SampledFrom([]string{"new", "preview", "replay"}))
	rapid.Check(t, func(t *rapid.T) {
		name := names.Draw(t, "name")
		refused := rapid.IntRange(0, 3).Draw(t, "taken")
		asked := map[string]bool{}
		slug := iot.MakeSlug(name, func(s string) bool {
			asked[s] = true
			return len(asked) <= refused
		})
		if err := iot.CheckSlug("id", slug); err != nil {
			t.Fatalf("MakeSlug(%q) = %q: %v", name, slug, err)
		}
		if len(asked) != refused+1 {
			t.Fatalf("MakeSlug(%q) = %q: taken was asked about %d slugs, want %d", name, slug, len(asked), refused+1)
		}
	})
}
