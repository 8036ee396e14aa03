// Package lorawan knows the messages of The Things Stack: their JSON, their
// Protocol Buffers, and the field masks that leave out parts of them.
//
// The schema is package wire's. ParseJSON and AppendJSON are one codec for all
// its messages, driven by their descriptors; the one option of our own in the schema
// says which bytes JSON writes as hex digits. Mask is compiled to a tree of names and
// works on the bytes of a stored message's JSON, so that unknown fields stay as they
// came; no message is parsed for it. The format json sends those bytes. protobuf cuts
// first, then reads the rest by the schema and writes it.
//
// The package has no state, clock or network and does not know who sends or gets a
// message. Start with up.go (what a message is), then parse.go and append.go.
package lorawan
