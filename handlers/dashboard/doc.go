// Package dashboard answers the HTML pages and the parts of them that are
// fetched again, one file per noun. All its routes stand in one table, each with
// the rights that it needs (routes.go).
//
// It authenticates nobody: the server tells who is signed in, by
// handlers.Account. It never sends a delivery: a test, a retry and a replay are
// rows that the dispatcher hears of. Start with New, then routes.go and visit.go.
package dashboard
