// Package inspect is the built-in receiver. It accepts requests to a project's
// inspector, stores the latest of them with secrets masked, and answers as people have
// configured it.
//
// Two packages use it: web serves it to the outside, without a session, and egress
// calls it inside the process, so that no webhook dials this host. It knows no pages,
// no matching and no dispatcher. Start with receive.
//
// An inspector's path is /inspect/ and 160 random bits. egress asks Owns about such a
// URL. A token in the database is ours under any host name, also after the public
// address has changed. A request is stored before it is answered. Headers, parameters
// and texts are masked if the project's webhooks mark them secret, or if their names
// do. A project keeps its last 100 requests, 2 MiB together, 64 KiB of a body, and none
// longer than retention by age allows. At most 64 senders from outside can wait for an
// answer.
package inspect
