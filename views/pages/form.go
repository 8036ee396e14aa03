package pages

import "thingpost/views/ui"

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
	// Faulty reports whether anything is wrong.
	Faulty() bool
}

// typed fills in what was typed into a field, but never a password, and what is
// wrong with it. The focus goes to the first bad field rather than to the one
// that has it on a new form.
func typed(f Form, p ui.FieldProps) ui.FieldProps {
	if p.Type != "password" {
		p.Value = f.Value(p.Name)
	}
	p.Error = f.Error(p.Name)
	p.Autofocus = p.Error != "" || p.Autofocus && !f.Faulty()
	return p
}

func orText(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
