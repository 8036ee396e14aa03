package iot

import (
	"strings"
	"testing"
)

func TestPasswordProblem(t *testing.T) {
	const email = "ada.lovelace@example.org"
	for want, words := range map[string][]string{
		"": {"correct horse battery", "a long password", "a long password 2", "wachtwoord van ada", "Tr0ub4dor&3x",
			"ada likes loops", "ééééàààèèèê", "hunter22hunter", "8301-7742-6653"},
		"at least 10":   {"", "short", "123456789", "éééééàààà"},
		"at most 512":   {Secret(strings.Repeat("ab cd ", 90)).Reveal()},
		"must be UTF-8": {"\xff\xfe long enough"},
		"must not be":   {email, strings.ToUpper(email), "ada.lovelace", "AdaLovelace1", "ada.lovelace!!2024", "  ada.lovelace  "},
		"too common": {"1234567890", "0987654321", "password123", "Password!2024", "passwordpassword", "qwertyuiop", "qwertyuiop123",
			"aaaaaaaaaaaa", "abababababab", "letmein123!", "Welcome2024", "administrator", "admin1234567", "thingpost1", "thingpost-admin",
			"1q2w3e4r5t", "abcdefghij", "iloveyou 123", "correct horse battery staple", "test test test", "changeme!!!!", "1qaz2wsx3edc",
			"2024202420"},
	} {
		for _, word := range words {
			if got := PasswordProblem(Secret(word), email); !strings.Contains(got, want) || want == "" && got != "" {
				t.Errorf("%q: %q, want %q", word, got, want)
			}
		}
	}
}
