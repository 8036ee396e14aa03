package iot

import (
	"testing"
	"time"
)

func TestDecodeBase64(t *testing.T) {
	for text, want := range map[string]string{"vu8=": "\xbe\xef", "vu8": "\xbe\xef", "vu8=\n": "\xbe\xef", " vu8\r\n": "\xbe\xef",
		"-_8=": "\xfb\xff", "+/8": "\xfb\xff", "": ""} {
		if got, err := DecodeBase64(text); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"v", "v u 8", "+_8", "äu8="} {
		if got, err := DecodeBase64(text); err == nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestUnixTime(t *testing.T) {
	for number, want := range map[string]string{
		"0": "1970-01-01T00:00:00Z", "1767225600": "2026-01-01T00:00:00Z", "1767225600.25": "2026-01-01T00:00:00.25Z",
		"1.7672256e9":   "2026-01-01T00:00:00Z",
		"1767225600250": "2026-01-01T00:00:00.25Z", "100000000000": "1973-03-03T09:46:40Z", "99999999999": "5138-11-16T09:46:39Z",
		"253402300799999": "9999-12-31T23:59:59.999Z",
	} {
		if got, ok := UnixTime(number); !ok || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%s: %v, %v; want %s", number, got, ok, want)
		}
	}
	for _, text := range []string{"", "-1", "253402300800000", "1e400", "NaN", "Inf", "2026-01-01"} {
		if got, ok := UnixTime(text); ok {
			t.Errorf("%s: %v", text, got)
		}
	}
}
