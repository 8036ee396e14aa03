// Package lorawan has the messages of The Things Stack: their JSON, their Protocol
// Buffers, and the field masks that select parts of them.
//
// The schema is in package wire. ParseJSON and AppendJSON are one codec for all
// messages, driven by their descriptors. The schema has one option of our own: which
// bytes are hex digits in JSON. A Mask is a tree of names and works on the bytes of a
// stored message's JSON: unknown fields stay unchanged, and no message is parsed. The
// format json sends those bytes. The format protobuf applies the mask first, then reads
// the rest by the schema and writes it.
//
// The package has no state, clock or network, and does not know who sends or gets a
// message. Start with up.go (what a message is), then parse.go and append.go.
package lorawan
