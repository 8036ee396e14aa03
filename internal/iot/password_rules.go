package iot

import (
	"strings"
	"unicode/utf8"
)

// PasswordProblem returns why a text cannot be the password of the account with the
// email, or "" if it can. A password has at least 10 characters and at most 512 bytes.
// It is not the email, the name in it, or a common password.
func PasswordProblem(password Secret, email string) string {
	text := strings.ToLower(strings.TrimSpace(password.Reveal()))
	name, _, _ := strings.Cut(strings.ToLower(email), "@")
	switch {
	case TextLength(password.Reveal()) < MinPassword:
		return "must have at least 10 characters."
	case len(password) > MaxPassword:
		return "must have at most 512 bytes."
	case !utf8.ValidString(password.Reveal()):
		return "must be UTF-8 text."
	case email != "" && (text == strings.ToLower(email) || name != "" && undecorated(text) == undecorated(name)):
		return "must not be the email address or the name in it."
	case isGuessed(text):
		return "this password is too common. Choose another, such as four or five words."
	}
	return ""
}

// fewestDifferent is how many different characters a password needs.
const fewestDifferent = 4

// isGuessed reports whether a password is common. It has few different characters,
// follows the alphabet, the digits or a keyboard, or consists of words of common
// passwords with digits and signs around them.
func isGuessed(text string) bool {
	different := map[rune]bool{}
	for _, r := range text {
		different[r] = true
	}
	if len(different) < fewestDifferent {
		return true
	}
	word := undecorated(text)
	for _, run := range []string{"abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiopasdfghjklzxcvbnm",
		"qwertzuiopasdfghjklyxcvbnm", "azertyuiopqsdfghjklmwxcvbn", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "1q2w3e4r5t6y7u8i9o0p"} {
		if strings.Contains(run, text) || strings.Contains(reversed(run), text) || len(word) >= fewestDifferent &&
			(strings.Contains(run, word) || strings.Contains(reversed(run), word)) {
			return true
		}
	}
	rest := word
	for _, common := range commonWords() {
		rest = strings.ReplaceAll(rest, common, "")
	}
	return word != "" && (rest == "" || allDigits(rest))
}

// commonWords are the frequent words in published lists of leaked passwords. A word
// comes before the words that it contains. "correct horse battery staple" is among
// them.
func commonWords() []string {
	return []string{"correcthorsebatterystaple", "administrator", "thingpost", "password", "passwort", "passw0rd", "p@ssw0rd", "p@ssword",
		"baseball", "football",
		"princess", "sunshine", "superman", "trustno1", "starwars", "iloveyou", "whatever", "letmein", "welcome", "changeme", "default", "qwerty",
		"qwertz", "azerty",
		"master", "dragon", "monkey", "shadow", "secret", "batman", "summer", "winter", "spring", "autumn", "google", "access", "system",
		"server", "manager", "login",
		"admin", "hello", "guest", "hallo", "test", "root", "user", "pass", "1q2w3e4r", "1qaz2wsx", "zaq12wsx", "abc", "me"}
}

// undecorated returns a password without the digits and signs at its ends and the gaps
// between its words, which people add to short words.
func undecorated(text string) string {
	const signs = "0123456789!?.,;:#*+-_@$%&/()= "
	return strings.NewReplacer(" ", "", "-", "", "_", "", ".", "").Replace(strings.Trim(text, signs))
}

func reversed(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

func allDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }
