package pages

// Form is what a person typed, and what is wrong with it; handlers.Form is one.
type Form interface {
	// Value returns a field's first value.
	Value(field string) string
	// Raw returns it as it was typed.
	Raw(field string) string
	// All returns all values of a field.
	All(field string) []string
	// Has reports whether a field has a value.
	Has(field, value string) bool
	// Checked reports whether a checkbox or switch is on.
	Checked(field string) bool
	// Error returns what is wrong with a field, "" if nothing is.
	Error(field string) string
	// Message returns what is wrong with the form as a whole.
	Message() string
}

func orText(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
