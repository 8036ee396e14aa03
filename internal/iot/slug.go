package iot

import (
	"crypto/rand"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Bounds of a slug, as of The Things Stack's ids.
const (
	MinSlug = 3
	MaxSlug = 36
)

var slugForm = regexp.MustCompile(`^[a-z0-9](?:[-]?[a-z0-9]){2,}$`)

// SlugRule is the form of a slug in words.
const SlugRule = "must be 3 to 36 lower-case letters, digits and single dashes, and begin and end with a letter or digit."

// reserved are words of the dashboard's paths that are in the place of a slug
// (/projects/new). A page of such a slug could not be reached.
var reserved = []string{"new", "preview", "replay"}

func isReserved(s string) bool { return slices.Contains(reserved, s) }

// LooksLikeUUID reports whether s has a UUID's form (RFC 9562, with dashes, any case),
// which a slug must not have.
func LooksLikeUUID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }

// CheckSlug returns an Invalid error about the field unless s is a slug.
func CheckSlug(field, s string) error {
	switch {
	case len(s) < MinSlug || len(s) > MaxSlug || !slugForm.MatchString(s):
		return FieldError(field, SlugRule)
	case LooksLikeUUID(s):
		return FieldError(field, "must not have the form of a UUID.")
	case isReserved(s):
		return FieldError(field, "must not be "+s+": the dashboard's own pages have this name.")
	}
	return nil
}

// MakeSlug makes a slug from a name: lower case, with dashes for other characters. It
// adds random letters if the result is too short, too long, of a UUID's form, a word of
// the dashboard's paths, or taken. taken may be nil.
func MakeSlug(name string, taken func(string) bool) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	base := strings.TrimSuffix(b.String(), "-")
	for slug := base; ; {
		if CheckSlug("id", slug) == nil && (taken == nil || !taken(slug)) {
			return slug
		}
		const suffix = 6
		cut := strings.TrimSuffix(base[:min(len(base), MaxSlug-suffix-1)], "-")
		if cut != "" {
			cut += "-"
		}
		slug = cut + randomLetters(suffix)
	}
}

func randomLetters(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = 'a' + b[i]%26
	}
	return string(b)
}
