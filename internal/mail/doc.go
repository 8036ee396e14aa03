// Package mail sends the mails of Thingpost through the operator's SMTP server.
//
// A [Mailer] accepts an invitation and returns at once. It makes a few attempts in the
// background and then reports the result. Waiting mails are in memory only: the link's
// token is stored nowhere, so a restart cannot continue with them.
//
//   - The operator chooses the server by the options. Nobody else decides where the
//     connection goes, so the rules for webhooks' addresses (internal/egress) do not
//     apply: a relay on a private network is the usual case.
//   - Strangers choose names. Names appear only in the subject and the text, on one line
//     and truncated. The only address that does not come from the operator is the
//     recipient's, which must be written exactly as it is parsed.
//   - People see an SMTP status and never the server's own words, which may describe the
//     operator's network. Those are in the log, without the password and the link.
package mail
