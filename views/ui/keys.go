package ui

// keyHelp is what keys do; static/js/keys.js does it.
type keyHelp struct {
	keys []string
	does string
}

func keys() []keyHelp {
	return []keyHelp{
		{[]string{"/"}, "search deliveries, messages, devices"},
		{[]string{"j", "k"}, "go down and up in a list, also in the drawer"},
		{[]string{"Enter"}, "open what is marked"},
		{[]string{"r"}, "retry the delivery that is marked or open"},
		{[]string{"e"}, "errors only, and back to all"},
		{[]string{"t"}, "stop the live tail, and let it go on"},
		{[]string{"g", "o"}, "go to Overview"},
		{[]string{"g", "d"}, "go to Deliveries"},
		{[]string{"g", "w"}, "go to Configure webhooks"},
		{[]string{"g", "m"}, "go to Messages"},
		{[]string{"?"}, "show these keys"},
		{[]string{"Esc"}, "close, or let go of the list"},
	}
}

func keyHints() []keyHelp {
	return []keyHelp{{[]string{"j", "k"}, "move"}, {[]string{"Enter"}, "open"}, {[]string{"r"}, "retry"}, {[]string{"e"}, "errors only"}}
}
