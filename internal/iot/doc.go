// Package iot has the domain types, with their states, rules, errors and ids. It
// knows nothing of SQL, HTTP or HTML, and imports no other package of the program.
// Start with Message, Webhook and Delivery. The glossary is in ARCHITECTURE.md.
//
// # Secrets
//
//   - Secret prints and logs as "redacted" and encodes as •••. A write of ••• leaves
//     what is stored.
//   - At rest, header values, downlink keys, signing secrets, device keys and template
//     fields are sealed with AES-256-GCM by secret.key or the operator's file (db).
//   - Secrets that a template puts into a URL or path are not in these texts:
//     Webhook.URL and Route.Path have ••• in their place, in memory as in the
//     database, and Webhook.Hidden has the secrets in their order, sealed in a column
//     of their own. So whatever shows, logs or compares a URL shows the mask without
//     knowing, and a write with as many masks as before keeps what is stored. A sealed
//     URL would hide the host and leave the masking to each reader.
//   - Attempts are stored with secret headers masked, and with the webhook's secrets
//     masked where the answer quotes them, also as JSON, HTML, a URL or Basic encodes
//     them (Masker). A secret of fewer than eight bytes is masked where it is a whole
//     word, and not in the URL, where a host or path can be the same word by chance.
//
// # People
//
// An API key makes and changes none with a right that it lacks, or that expires after
// it (APIKey.MayMake, MayChange). The writer asks this of the key as it is at that
// moment, whatever the door. A key that a template asks for expires with its maker. A
// device's key sends and does not expire, so it is shown to, or replaced by, only a key
// that can send and does not expire either; a device is added all the same, with a
// warning. An open gRPC stream ends with its key.
//
// Passwords are argon2id (19 MiB, two passes), two at a time; the memory goes back
// after each. Common ones and the email are refused. Rights are one set for roles and
// keys. The audit log is written in the transaction of each change: who can manage
// keys reads a project's, who can manage members an organization's, the administrator
// all of it.
package iot
