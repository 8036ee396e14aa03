// Package budget owns the server's memory: it shares one number out to all that
// holds bytes for others (bodies that come in, payloads that wait, requests in
// flight, answers until they are stored), so that what comes is told to wait, or stays on
// disk, and the process does not grow.
//
// Each part is shared fairly: nobody may hold more of it than is still free. So one
// alone gets half, two a third each, and there is always room for somebody new.
// Start with New.
package budget
