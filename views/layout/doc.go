// Package layout is the document around every page: the head, the navigation,
// the region of toasts and the dialog that fragments fill. It knows no page
// and no path; what it shows comes in its props. Start with Page.
package layout
