// Package iot is the ground floor: the words of the product as Go types, with
// their states, rules, errors and ids. It knows nothing of SQL, HTTP or HTML,
// and imports no other package of the program. Start with Message, Webhook and
// Delivery; the glossary they follow is in ARCHITECTURE.md.
package iot
