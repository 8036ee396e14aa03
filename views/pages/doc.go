// Package pages shows the dashboard's pages and the parts of them that are
// fetched again, one file per noun. A page's props hold what it shows; nothing
// here asks a store, a clock or a rule. Addresses are built in paths.go only.
// Start with project.templ.
package pages
