package iot

import (
	"encoding/json"
	"testing"
)

func TestUnmask(t *testing.T) {
	for _, c := range []struct {
		text    string
		secrets []Secret
		want    string
		ok      bool
	}{
		{"/a", nil, "/a", true},
		{"", nil, "", true},
		{"/•••/b?k=•••", []Secret{"x", "y"}, "/x/b?k=y", true},
		{"••••••", []Secret{"x", "y"}, "xy", true},
		{"/•••", []Secret{""}, "/", true},
		{"/•••", nil, "", false},
		{"/a", []Secret{"x"}, "", false},
		{"/•••", []Secret{"x", "y"}, "", false},
	} {
		if got, ok := Unmask(c.text, c.secrets); got != c.want || ok != c.ok {
			t.Errorf("%q with %d secrets: got %q, %v; want %q, %v", c.text, len(c.secrets), got, ok, c.want, c.ok)
		}
	}
}

func TestTemplateValuesAreMasked(t *testing.T) {
	b, err := json.Marshal(map[string]TemplateValue{"a": {"open", false}, "b": {"shut", true}, "c": {"", true}})
	if want := `{"a":"open","b":"•••","c":""}`; err != nil || string(b) != want {
		t.Errorf("got %s, %v; want %s", b, err, want)
	}
	var back map[string]TemplateValue
	if err := json.Unmarshal(b, &back); err != nil || back["a"] != (TemplateValue{"open", false}) || back["b"] != (TemplateValue{Mask, true}) {
		t.Errorf("read again it is %#v, %v", back, err)
	}
}
