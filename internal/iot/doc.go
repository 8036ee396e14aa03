// Package iot has the domain types, with their states, rules, errors and ids. It knows
// no SQL, HTTP or HTML, and imports no other package of the program. Start with
// Message, Webhook and Delivery. The glossary is in ARCHITECTURE.md.
//
// # Secrets
//
//   - Secret prints and logs as "redacted" and encodes as •••. Writing ••• leaves the
//     stored secret unchanged.
//   - At rest, header values, downlink keys, signing secrets, device keys and template
//     fields are sealed with AES-256-GCM by secret.key or the operator's file (db).
//   - URLs and paths contain no secrets of a template. Webhook.URL and Route.Path have
//     ••• in their place, in memory and in the database. Webhook.Hidden has the secrets
//     in order, sealed in a column of their own. Code that shows, logs or compares a
//     URL therefore shows the mask without knowing. A write with as many masks as
//     before keeps the secrets. A sealed URL would hide the host and leave the masking
//     to each reader.
//   - Attempts are stored with secret headers masked. The webhook's secrets are also
//     masked where the answer quotes them, as they are or as JSON, HTML, a URL or Basic
//     encodes them (Masker). A secret of fewer than eight bytes is masked only as a
//     whole word, and never in the URL: a host or path can be the same word by chance.
//
// # People
//
// An API key cannot create or change a key with a right that it lacks, or that expires
// after it (APIKey.MayMake, MayChange). The writer checks this against the present key,
// for every door. A key that a template asks for expires with its maker. A device's key
// sends and does not expire. It is shown to, and can be replaced by, only a key that
// can send and does not expire. Other keys can still create a device, with a warning.
// An open gRPC stream ends with its key.
//
// Passwords are argon2id (19 MiB, two passes), two at a time; the memory is freed after
// each. Common passwords and the email are refused. Roles and keys share one set of
// rights. The audit log is written in the transaction of each change. Who can manage
// keys reads a project's log, who can manage members an organization's, and the
// administrator all of it.
package iot
