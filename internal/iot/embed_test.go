package iot

import (
	"strings"
	"testing"
)

func TestParseOrigins(t *testing.T) {
	for text, want := range map[string]string{
		"https://portal.example": "https://portal.example",
		" https://Portal.Example/ , http://localhost:8000\nhttps://portal.example:443": "https://portal.example http://localhost:8000",
		"http://[::1]:8080":        "http://[::1]:8080",
		"http://a.example:80":      "http://a.example",
		"":                         "",
		"portal.example":           "",
		"https://":                 "",
		"https://a.example/path":   "",
		"https://a.example?x=1":    "",
		"https://u:p@a.example":    "",
		"https://*.example":        "",
		"https://a.example;script": "",
		"javascript:alert(1)":      "",
		"ftp://a.example":          "",
		"https://a.example 'self'": "",
		strings.Repeat("https://a"+"x.example ", 1) + "https://b c": "",
	} {
		got, ok := ParseOrigins(text)
		if strings.Join(got, " ") != want && want != "" || ok != (want != "") {
			t.Errorf("%q gives %q, %v", text, got, ok)
		}
	}
	var many []string
	for i := range MaxOrigins + 1 {
		many = append(many, "https://site"+strings.Repeat("x", i)+".example")
	}
	if _, ok := ParseOrigins(strings.Join(many, " ")); ok {
		t.Error("there is no end to them")
	}
}
