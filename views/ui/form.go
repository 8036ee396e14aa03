package ui

import "github.com/a-h/templ"

func (p FieldProps) id() string {
	if p.ID != "" {
		return p.ID
	}
	return p.Name
}

func (p FieldProps) kind() string {
	if p.Type != "" {
		return p.Type
	}
	return "text"
}

// attrs returns the attributes that an input, a textarea and a select share.
func (p FieldProps) attrs() templ.Attributes {
	attrs := templ.Attributes{
		"id": p.id(), "name": p.Name,
		"required": p.Required, "disabled": p.Disabled, "readonly": p.ReadOnly, "autofocus": p.Autofocus,
	}
	for name, value := range map[string]string{
		"placeholder": p.Placeholder, "autocomplete": p.Autocomplete, "min": p.Min, "max": p.Max,
		"aria-describedby": p.describedBy(),
	} {
		if value != "" {
			attrs[name] = value
		}
	}
	if p.MaxLength > 0 {
		attrs["maxlength"] = number(p.MaxLength)
	}
	if p.Error != "" {
		attrs["aria-invalid"] = "true"
	}
	if p.Mono {
		attrs["spellcheck"], attrs["autocapitalize"] = "false", "none"
	}
	return attrs
}

// describedBy names the error before the help: it is what matters now.
func (p FieldProps) describedBy() string {
	help := p.Help != "" || p.HelpBody != nil
	switch {
	case p.Error != "" && help:
		return p.id() + "-error " + p.id() + "-help"
	case p.Error != "":
		return p.id() + "-error"
	case help:
		return p.id() + "-help"
	}
	return ""
}

// field is a select seen as a field, for the attributes they share.
func (p SelectProps) field() FieldProps {
	return FieldProps{Name: p.Name, ID: p.ID, Help: p.Help, HelpBody: p.HelpBody, Error: p.Error, Disabled: p.Disabled}
}

func (p CheckProps) id() string {
	if p.ID != "" {
		return p.ID
	}
	if p.Value != "" {
		return p.Name + "-" + p.Value
	}
	return p.Name
}

func (p CheckProps) hasHelp() bool { return p.Help != "" || p.HelpBody != nil }

func (p CheckProps) attrs() templ.Attributes {
	value := p.Value
	if value == "" {
		value = "on"
	}
	attrs := templ.Attributes{"id": p.id(), "name": p.Name, "value": value, "checked": p.Checked, "disabled": p.Disabled}
	if p.hasHelp() {
		attrs["aria-describedby"] = p.id() + "-help"
	}
	return attrs
}
