// Package lorawan knows the messages of The Things Stack: their JSON, their
// Protocol Buffers, and the field masks that leave out parts of them.
//
// The schema is package wire's. ParseJSON and AppendJSON are one codec for all
// its messages, driven by their descriptors; Mask works on the bytes of a stored
// message's JSON, so that what we do not know stays as it came. The package has
// no state, clock or network and does not know who sends or gets a message.
//
// Start with up.go (what a message is), then parse.go and append.go.
package lorawan
