package ui

// viewKey names the views of a Views in the stylesheet: a, b, c, d.
func viewKey(i int) string { return string(rune('a' + min(i, 3))) }
