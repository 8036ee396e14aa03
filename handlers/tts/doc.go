// Package tts is The Things Stack's dialect: its REST paths below /api/v3 (and /v3/api,
// as its documents misspell it) and its gRPC services, with its errors. It has only
// that system's words and shapes. The rules are in other packages. Start with tts.go,
// which has the table of routes.
package tts
