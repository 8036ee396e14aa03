// Package tts speaks The Things Stack's dialect: its REST paths below /api/v3
// (and /v3/api, as its documents misspell it) and its gRPC services, with its
// errors. It has only that system's words and shapes; the rules are those of the
// other packages. Start with tts.go, which has the table of routes.
package tts
