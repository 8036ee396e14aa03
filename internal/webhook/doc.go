// Package webhook decides which webhooks get a message, and makes the request
// that each of them gets. It also holds the rules of a webhook's settings and of
// its retries, for the panel, the API and every dialect.
//
// It is pure: it has no clock, store or network, and does not know who calls it.
// Start with Check (what can be saved), Compile (everything that can be worked
// out once), Compiled.Wants and Match (who gets a message, and why), and
// Compiled.Render (what is sent). Templates begin with ParseTemplate (one file),
// ReadCatalogue (all that are offered) and Instantiate (a webhook of one).
package webhook
