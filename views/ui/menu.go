package ui

func (p FilterProps) inputType() string {
	if p.Several {
		return "checkbox"
	}
	return "radio"
}
