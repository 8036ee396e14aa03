package ui

// keyHelp is what keys do; static/js/keys.js does it.
type keyHelp struct {
	keys []string
	does string
}

func keys() []keyHelp {
	return []keyHelp{
		{[]string{"/"}, "search deliveries, messages, devices"},
		{[]string{"j", "k"}, "next and previous row, also in the drawer"},
		{[]string{"Enter"}, "open the selected row"},
		{[]string{"r"}, "retry the selected or open delivery"},
		{[]string{"e"}, "show errors only, or all"},
		{[]string{"t"}, "pause or resume the live tail"},
		{[]string{"g", "o"}, "go to Overview"},
		{[]string{"g", "d"}, "go to Deliveries"},
		{[]string{"g", "w"}, "go to Configure webhooks"},
		{[]string{"g", "m"}, "go to Messages"},
		{[]string{"?"}, "show these shortcuts"},
		{[]string{"Esc"}, "close, or clear the selection"},
	}
}

func keyHints() []keyHelp {
	return []keyHelp{{[]string{"j", "k"}, "move"}, {[]string{"Enter"}, "open"}, {[]string{"r"}, "retry"}, {[]string{"e"}, "errors only"}}
}
