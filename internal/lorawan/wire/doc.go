// Package wire is the schema of The Things Stack's messages and services, in our
// own words: the .proto files beside it and the code that is made of them. Names
// and numbers on the wire are that system's, so that its clients understand us;
// fields that we have no use for are left out, and what comes in them is kept by
// Protocol Buffers as unknown.
//
// It knows no rules. What JSON looks like is package lorawan's.
//
// up.proto is where to start reading; "make generate" regenerates the Go code.
package wire
