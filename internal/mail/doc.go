// Package mail sends the mails of Thingpost, by an SMTP server of the operator's.
//
// A [Mailer] takes over an invitation and returns at once. It makes a few attempts in
// the background and then tells what became of it. What waits is in memory alone: the
// link's token is stored nowhere, so that a restart cannot go on with it.
//
//   - The server is the operator's own, from the options. Nobody else chooses where the
//     connection goes, so the rules for webhooks' addresses (internal/egress) do not
//     apply: a relay on a private network is the usual case.
//   - Names come from strangers. They stand in the subject and the text alone, on one
//     line and cut; the only address that is not the operator's is the recipient's,
//     which must be written exactly as it is understood.
//   - People are told an SMTP status, never a server's own words, which may tell of the
//     operator's network. Those are in the log, without the password and the link.
package mail
