// Package inspect is the built-in receiver: it takes requests to a project's
// inspector, keeps the last of them with secrets masked, and answers as people
// have told it to.
//
// It is a package of its own because two sides reach it and neither is a page
// nor an API: web serves it to the outside, without a session, and egress calls
// it inside the process, so that no webhook has to dial this host. It knows
// nothing of pages, of matching or of the dispatcher. Start with receive.
package inspect
