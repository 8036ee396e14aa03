// Package inspect is the built-in receiver: it takes requests to a project's
// inspector, stores the last of them with secrets masked, and answers as people
// have configured it.
//
// It is a package of its own because two sides use it: web serves it to the
// outside, without a session, and egress calls it inside the process, so that no
// webhook dials this host. It knows nothing of pages, of matching or of the
// dispatcher. Start with receive.
//
// An inspector's path is /inspect/ and 160 random bits. egress asks Owns about such
// a URL. A token that is in the database is ours whatever the host's name is, also
// after the public address has changed. A request is stored before it is answered.
// Masked are the headers, parameters and texts that the project's webhooks call
// secret, and those whose names say so. Stored are the last 100 of a project, 2 MiB
// together, 64 KiB of a body, and no longer than retention by age allows. At most
// 64 senders from outside wait for an answer at once.
package inspect
