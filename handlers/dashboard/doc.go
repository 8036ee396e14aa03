// Package dashboard answers the HTML pages and the parts of them that are
// fetched again, one file per noun. All its routes are in one table, each with
// the rights that it needs (routes.go). Tests walk that table.
//
// It authenticates nobody: the server says who is signed in, by
// handlers.Account. It never sends a delivery: a test, a retry and a replay are
// rows that the dispatcher learns of. Start with New, then routes.go and visit.go.
//
// People join an organization by an invitation that they accept. Its link is shown to
// the inviter, once. So it proves nothing about the email, and neither does
// registration: such an account is not confirmed. It joins by the link that its person
// got, and is not told of other invitations; otherwise whoever makes an account for
// another's email could take that person's next invitation. The operator and the
// administrator confirm accounts.
//
// An embedded log is a link: an id and its expiry, signed by HMAC-SHA256 with a key
// that HKDF derives from the key file. Its row says what it shows, to which sites
// (frame-ancestors, on this page alone), and whether it was revoked. It has no
// session. CORS allows what a sandboxed frame fetches, for the origin null alone.
package dashboard
