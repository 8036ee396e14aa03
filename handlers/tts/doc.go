// Package tts speaks The Things Stack's dialect: its REST paths below /api/v3
// (and /v3/api, as its documents misspell it), with its errors. The rules are
// those of the other packages; here stand only that system's words and shapes.
// Start with tts.go, which holds the table of routes.
package tts
