package ui

// toneIcon returns the icon that says what a tone says.
func toneIcon(icon IconName, tone Tone) IconName {
	if icon != "" {
		return icon
	}
	switch tone {
	case Danger:
		return IconAlert
	case Warning:
		return IconWarning
	case Success:
		return IconDone
	case Info, Neutral:
	}
	return IconInfo
}

// alertTone is the tone by the stylesheet's names, where none is info.
func alertTone(t Tone) string {
	if t == Neutral {
		return "neutral"
	}
	return string(t)
}

func toastTone(t Tone) Tone {
	if t == Neutral {
		return Info
	}
	return t
}

func (p ConfirmProps) variant() Variant {
	if p.Danger {
		return Destructive
	}
	return Primary
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
