// Package web is the HTTP server: which handler answers under which prefix,
// what every request passes on its way there, the sessions of the dashboard,
// the hub that tells open pages of changes, and the listeners.
//
// It knows no page, no API call and nothing of messages: New takes the handlers.
// It knows the store for sessions only. Start with New, then sitemap.go.
//
//   - Requests have 20 s for their head and a minute for a small body. A listener has
//     at most 8,192 connections, half of the files that the system allows, or one for
//     each 64 KiB of -memory, whichever is least. Beyond that, the one that was silent longest is closed (connections.go). After a chunked
//     body and after a request of HTTP/1.0 the connection is closed: a proxy in front
//     that reads the length otherwise could take a hidden request for a body.
//   - A body takes memory of the budget while it is handled (intake.go). If there is
//     none within a second, the answer is 429 or 503 with Retry-After.
//   - A path below an API's prefix is tidied before the site map judges it (path.go): a
//     doubled slash, a "." and a slash at its end are taken out. One with ".." is 404.
//   - What net/http and other libraries would write to standard error goes through the
//     log, a line at a time (Lines).
//   - Pages have a strict CSP (no inline script or style, nothing from elsewhere),
//     http.CrossOriginProtection and SameSite cookies.
//   - Sessions are gorilla/sessions over our own table. The browser has a random id,
//     the table its SHA-256. The id changes at sign-in. A session ends two weeks after
//     its last use, at sign-out, or with a changed password. While the disk takes no
//     writes, a new one is kept in memory, so that people can see what is wrong.
//   - The sender's address is the connection's. From a proxy of -trust-proxies it is
//     the last in X-Forwarded-For that is not a proxy's: anybody can write the rest.
//   - Readyz writes a row and waits until it is on disk, at most every five seconds.
//   - Other systems' first path segments are reserved and answer 404 in JSON, so that
//     a dialect can be added without taking a page away.
//
// # Live pages
//
// A commit names what changed in a project (iot.EventName). The hub passes the names
// to open pages by server-sent events, and the page fetches the sections that show
// it. The hub never waits: a page that is 64 events behind is dropped and connects
// again. There are at most 1,000 pages, a batch of names each half second, and a line
// each 20 s, when the reader's membership is checked again.
//
// static/js/live.js has one stream for each visible page; a hidden tab closes its
// stream, since browsers open six connections to a host by HTTP/1.1. A section is
// fetched at most twice a second, one request at a time. It keeps its focus, opened
// details and scrolled boxes, and waits for an open menu, a selection and a pressed
// button. A list waits while the pointer or the keyboard is in it, its head is out of
// sight, a drawer is open, or the tail is off; meanwhile it counts the rows newer than
// its first (after=, capped). A lost stream is opened again after 0.25 s to 15 s, and
// then all sections are fetched. static/js/keys.js has the keys and the drawer.
package web
