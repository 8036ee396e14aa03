package ui

// name is what a card is called by those who cannot see it.
func (p CardProps) name() string {
	if p.Title != "" {
		return p.Title
	}
	return p.Label
}

func (p CardProps) hasAction() bool { return p.Note != "" || p.More.Label != "" || p.Action != nil }

func (s Stat) parts() []Part {
	if len(s.Parts) > 0 {
		return s.Parts
	}
	return []Part{{s.Value, s.Unit}}
}

// toneText returns the class that gives text a tone.
func toneText(t Tone) string {
	switch t {
	case Success:
		return "text-success"
	case Warning:
		return "text-warning"
	case Danger:
		return "text-danger"
	case Info:
		return "text-info"
	case Neutral:
	}
	return ""
}
