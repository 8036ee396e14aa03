package iot

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// wholeSecret is the least length of secrets that are also masked inside words. Shorter
// ones would mask parts of words by chance.
const wholeSecret = 8

// Masker finds secrets in texts that can quote them, such as a receiver's answer: as
// they are, and as encoded in URLs, JSON and HTML. It is immutable, and safe for
// concurrent use; nil masks nothing.
type Masker struct {
	forms []string // without repeats; a form comes before the forms that it contains
}

// NewMasker returns a masker of secrets and ignores empty ones. In a header's value
// such as "Bearer abc" the last word is a secret too, and in "Basic …" the decoded text
// is.
func NewMasker(secrets ...Secret) *Masker {
	m := &Masker{}
	for _, s := range secrets {
		for _, text := range spelled(strings.TrimSpace(s.Reveal())) {
			m.forms = append(m.forms, quotedForms(text)...)
		}
	}
	slices.SortFunc(m.forms, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	m.forms = slices.Compact(m.forms)
	return m
}

// spelled returns a secret and the parts of it that are secrets themselves.
func spelled(text string) []string {
	if text == "" {
		return nil
	}
	list := []string{text}
	first, rest, ok := strings.Cut(text, " ")
	if !ok {
		return list
	}
	list = append(list, text[strings.LastIndexByte(text, ' ')+1:])
	if login, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest)); err == nil && strings.EqualFold(first, "Basic") {
		list = append(list, string(login))
		if _, password, ok := strings.Cut(string(login), ":"); ok && password != "" {
			list = append(list, password)
		}
	}
	return list
}

// quotedForms returns the encodings of a text.
func quotedForms(text string) []string {
	encoded := lowerEscapes(url.QueryEscape(text))
	page := html.EscapeString(text)
	forms := []string{text, url.QueryEscape(text), url.PathEscape(text), encoded, lowerEscapes(url.PathEscape(text)), page,
		strings.ReplaceAll(page, "&#34;", "&quot;")}
	if b, err := json.Marshal(text); err == nil { // a string can always be encoded
		forms = append(forms, string(b[1:len(b)-1]))
	}
	plain := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	return append(forms, plain.Replace(text), strings.ReplaceAll(plain.Replace(text), "/", `\/`))
}

var escapes = regexp.MustCompile(`%[0-9A-F]{2}`)

func lowerEscapes(text string) string { return escapes.ReplaceAllStringFunc(text, strings.ToLower) }

// Mask returns the text with secrets replaced by Mask. Secrets of fewer than eight
// bytes are masked only as whole words.
func (m *Masker) Mask(text string) string { return m.mask(text, 1) }

// MaskURL is Mask for addresses. It masks only secrets of eight bytes and more: a short
// one could equal a word of the host or path by chance, and words that a person wrote
// there are not secret.
func (m *Masker) MaskURL(address string) string { return m.mask(address, wholeSecret) }

func (m *Masker) mask(text string, least int) string {
	if m == nil {
		return text
	}
	for _, form := range m.forms {
		switch {
		case len(form) >= wholeSecret:
			text = strings.ReplaceAll(text, form, Mask)
		case len(form) >= least:
			text = maskWord(text, form)
		}
	}
	return text
}

// maskWord masks a word that has no letter or digit before or after it.
func maskWord(text, word string) string {
	var b strings.Builder
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			b.WriteString(text[from:])
			return b.String()
		}
		i += from
		end := i + len(word)
		if isWordByte(word[0]) && goesOnBefore(text[:i]) || isWordByte(word[len(word)-1]) && end < len(text) && isWordByte(text[end]) {
			b.WriteString(text[from : i+1])
			from = i + 1
			continue
		}
		b.WriteString(text[from:i])
		b.WriteString(Mask)
		from = end
	}
}

// goesOnBefore reports whether a text ends inside a word, other than an escape such as
// \n, %20 or \u0022.
func goesOnBefore(text string) bool {
	n := len(text)
	switch {
	case n == 0 || !isWordByte(text[n-1]):
		return false
	case n >= 2 && text[n-2] == '\\', n >= 3 && text[n-3] == '%' && isHex(text[n-2:]), n >= 6 && text[n-6:n-4] == `\u` && isHex(text[n-4:]):
		return false
	}
	return true
}

func isHex(digits string) bool { return strings.Trim(digits, "0123456789abcdefABCDEF") == "" }

func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
