package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"thingpost/internal/iot"
)

// judge sets the class and sentence of an answer, by its head. at is its arrival.
func (r *Result) judge(req *http.Request, header http.Header, at time.Time) {
	if r.Status >= 200 && r.Status < 300 {
		return
	}
	if r.Status == http.StatusTooManyRequests || r.Status == http.StatusServiceUnavailable {
		r.RetryAfter = retryAfter(header.Get("Retry-After"), at)
	}
	location := header.Get("Location")
	switch {
	case redirects(r.Status) && location != "":
		r.Class, r.Detail = iot.ErrRedirect, redirectDetail(r.Status, req.URL, location)
	case r.Status == http.StatusBadRequest && req.URL.Scheme == "http" && wantsTLS(r.Body):
		r.Class, r.Detail = iot.ErrHTTP4xx, fmt.Sprintf("The receiver answered 400 Bad Request: %s speaks https on this port; write https:// "+
			"in the webhook's URL.", printable(req.URL.Host))
	case r.Status >= 400 && r.Status < 500 && wantsCertificate(r.Status, r.Body):
		r.Class, r.Detail = iot.ErrTLS, fmt.Sprintf("The receiver answered %d: it wants a client certificate. %s.", r.Status, noneToSend)
	case r.Status >= 400 && r.Status < 500:
		r.Class, r.Detail = iot.ErrHTTP4xx, statusDetail(r.Status)
	default: // 5xx; and statuses that make no sense for a POST, which are the server's fault too
		r.Class, r.Detail = iot.ErrHTTP5xx, statusDetail(r.Status)
	}
}

// wantsCertificate reports whether a web server says with an answer, instead of ending the
// handshake, that it wants a client certificate. nginx does.
func wantsCertificate(status int, body []byte) bool {
	return status == 496 || bytes.Contains(body, []byte("No required SSL certificate was sent"))
}

// redirects reports whether clients follow the Location of such an answer. 304 is about
// caches; 305 and 306 are obsolete.
func redirects(status int) bool {
	switch status {
	case http.StatusMultipleChoices, http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect,
		http.StatusPermanentRedirect:
		return true
	}
	return false
}

// wantsTLS reports whether a body is the answer of a common server to plain HTTP on a
// port for https: Go's, nginx, Apache httpd.
func wantsTLS(body []byte) bool {
	for _, words := range []string{"sent an HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port",
		"speaking plain HTTP to an SSL-enabled server port"} {
		if bytes.Contains(body, []byte(words)) {
			return true
		}
	}
	return false
}

// bodyNote is how the answer's body broke, and what its status means all the same.
// length is the announced length, or -1.
func bodyNote(err error, r *Result, length int64, timeout bool, after time.Duration) string {
	came := fmt.Sprintf("after %d bytes", len(r.Body))
	if length >= 0 {
		came = fmt.Sprintf("after %d of %d bytes", len(r.Body), length)
	}
	var what string
	switch {
	case timeout:
		what = fmt.Sprintf("did not end in %s: it stopped %s; a short answer, or none, is enough", span(after), came)
	case errors.Is(err, syscall.ECONNRESET):
		what = fmt.Sprintf("broke off %s: the connection was reset; check the receiver and any proxy before it", came)
	case errors.Is(err, io.ErrUnexpectedEOF):
		what = fmt.Sprintf("broke off %s: the connection was closed; check the receiver and any proxy before it", came)
	default:
		what = fmt.Sprintf("cannot be read, %s (%s); check the receiver and any proxy before it", came, printable(err.Error()))
	}
	if r.Status >= 200 && r.Status < 300 {
		return fmt.Sprintf("%s came and counts as success, but the answer's body %s.", iot.StatusCode(r.Status).Text(), what)
	}
	return fmt.Sprintf("The answer's body %s.", what)
}

func statusDetail(status int) string {
	var do string
	switch status {
	case http.StatusSwitchingProtocols:
		do = "it speaks another protocol at this URL; check the URL"
	case http.StatusMultipleChoices, http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect,
		http.StatusPermanentRedirect:
		do = "it sends clients elsewhere and does not say where; check the webhook's URL and the receiver"
	case http.StatusNotModified:
		do = "that means \"not modified\", which is not an answer to a POST; check the receiver and any cache before it"
	case http.StatusUseProxy, 306:
		do = "it asks for a proxy, which is obsolete; check the receiver"
	case http.StatusUnauthorized, http.StatusForbidden:
		do = "it does not accept the credentials; check the webhook's headers"
	case http.StatusNotFound:
		do = "nothing exists at this URL; check its path"
	case http.StatusMethodNotAllowed:
		do = "it does not accept such requests at this URL; check the path"
	case http.StatusGone:
		do = "it wants no more messages at this URL; change the URL before resuming the webhook"
	case http.StatusRequestEntityTooLarge:
		do = "the message is too large for it; raise the receiver's limit"
	case http.StatusUnsupportedMediaType:
		do = "it does not accept this Content-Type; check the webhook's format and headers"
	case http.StatusTooManyRequests:
		do = "it gets too many requests; lower the webhook's requests per second if this goes on"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		do = "the receiver or a proxy before it is not available; check that it is running"
	default:
		do = "the receiver failed; its answer and its own log say why"
		if status < 500 {
			do = "it refuses the request; its answer may say why"
		}
	}
	return fmt.Sprintf("The receiver answered %s: %s.", iot.StatusCode(status).Text(), do)
}

// redirectDetail names the target without user, query and the request's own path, which
// can have secrets.
func redirectDetail(status int, from *url.URL, location string) string {
	const advice = "redirects are not followed, so change the webhook's URL to where the receiver really is"
	text := iot.StatusCode(status).Text()
	to, err := from.Parse(location)
	if err != nil || to.Host == "" {
		return fmt.Sprintf("The receiver answered %s: %s.", text, advice)
	}
	if from.Scheme == "http" && to.Scheme == "https" && to.Hostname() == from.Hostname() && to.Path == from.Path {
		return fmt.Sprintf("The receiver answered %s to the same URL with https: redirects are not followed, so write https:// in the "+
			"webhook's URL.", text)
	}
	path := to.Path
	if len(from.Path) > 1 {
		if to.Host == from.Host && strings.TrimSuffix(path, "/") == strings.TrimSuffix(from.Path, "/") {
			return fmt.Sprintf("The receiver answered %s to the same URL except for its last slash: redirects are not followed, so add or "+
				"remove it in the webhook's URL.", text)
		}
		path = strings.Replace(path, from.Path, "/…", 1)
	}
	return fmt.Sprintf("The receiver answered %s to %s: %s.", text, printable(to.Scheme+"://"+to.Host+path), advice)
}

// timeoutDetail is the phase in which the time ran out, in words.
func timeoutDetail(x *exchange, at phase, host string, after time.Duration) string {
	host = printable(host)
	var what string
	switch at {
	case phaseDNS:
		what = fmt.Sprintf("looking up the name of %s took too long; check the host and its name servers", host)
	case phaseConnect:
		what = fmt.Sprintf("%s did not accept a connection; check address, port and firewall", host)
	case phaseTLS:
		what = fmt.Sprintf("%s accepted a connection but did not finish the TLS handshake; check that it speaks https on this port", host)
	case phaseSend:
		what = fmt.Sprintf("%s did not take the whole request; check that the receiver is not stuck", host)
	case phaseWait:
		if x.interim.Load() > 0 {
			what = fmt.Sprintf("%s took the request and announced an answer (1xx), but sent none; check the receiver and any proxy before it",
				host)
			break
		}
		what = fmt.Sprintf("%s took the request but did not answer; make the receiver answer before it processes the message, or raise the "+
			"webhook's timeout", host)
	}
	return fmt.Sprintf("No answer in %s: %s.", span(after), what)
}

// span writes a timeout for people: 10 s, 1.5 s.
func span(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s"
}

// explain returns the class and sentence of an exchange without an answer.
func explain(err error, req *http.Request, x *exchange) (iot.ErrorClass, string) {
	class, detail := explainFirst(err, req, x)
	if e, ok := errors.AsType[*partlyRefused](err); ok {
		var what []string
		for _, r := range e.refused[:min(len(e.refused), maxNamed)] {
			what = append(what, r.what)
		}
		detail += " Other addresses of the name were not tried: " + strings.Join(what, "; ") + "."
	}
	return class, detail
}

func explainFirst(err error, req *http.Request, x *exchange) (iot.ErrorClass, string) {
	host := printable(req.URL.Host)
	if errors.Is(err, errBlocked) {
		if e, ok := errors.AsType[*iot.Error](err); ok {
			return iot.ErrBlocked, e.Message
		}
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return iot.ErrDNS, dnsDetail(e, printable(req.URL.Hostname()))
	}
	asked := x.asked.Load()
	if e, ok := errors.AsType[*tlsError](err); ok {
		return iot.ErrTLS, tlsDetail(e.err, req.URL, asked)
	}
	// With TLS 1.3 a receiver checks the client after the handshake.
	err = x.alert(err)
	if e, ok := errors.AsType[*net.OpError](err); ok && (e.Op == "remote error" || e.Op == "local error") {
		return iot.ErrTLS, tlsDetail(err, req.URL, asked)
	}
	if asked && !x.reused && ended(err) {
		return iot.ErrTLS, tlsDetail(err, req.URL, asked)
	}
	if name, bad := badHeader(req.Header); bad {
		return iot.ErrConfig, fmt.Sprintf("The header %q has characters that cannot be sent; check its value and what its variables became.",
			printable(name))
	}
	return connectDetail(err, host)
}

func dnsDetail(e *net.DNSError, host string) string {
	switch {
	case e.IsNotFound:
		return fmt.Sprintf("The name %s does not exist in DNS; check the host in the webhook's URL.", host)
	case e.IsTimeout:
		return fmt.Sprintf("The name servers did not answer for %s; check this machine's DNS and the host.", host)
	}
	return fmt.Sprintf("The name %s could not be looked up; check this machine's DNS and the host.", host)
}

func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func connectDetail(err error, host string) (iot.ErrorClass, string) {
	at := host
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" && e.Addr != nil && e.Addr.String() != host {
		at = fmt.Sprintf("%s (%s)", host, e.Addr)
	}
	if errors.Is(err, errInterim) {
		return iot.ErrConnect, fmt.Sprintf("%s sent more than %d interim answers (1xx) and no final one; check what answers there.", at,
			maxInterim)
	}
	// net/http has no types for two of these.
	text := err.Error()
	switch {
	case strings.Contains(text, "malformed HTTP response \"\\x15\\x03"):
		return iot.ErrTLS, fmt.Sprintf("%s speaks TLS on this port; write https:// in the webhook's URL.", host)
	case errors.Is(err, errHeaders), strings.Contains(text, "response header list larger"):
		return iot.ErrConnect, fmt.Sprintf("%s answered with more than %d KiB of headers; check what answers there.", host, maxHeaderBytes>>10)
	case errors.Is(err, syscall.ECONNREFUSED):
		return iot.ErrConnect, fmt.Sprintf("%s refused the connection; check that the receiver is running and that the port is right.", at)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return iot.ErrConnect, fmt.Sprintf("%s cannot be reached from this machine; check its network and the address.", at)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return iot.ErrConnect, "This machine has no file descriptors left for a connection; raise the limit of open files (ulimit -n)."
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return iot.ErrConnect, fmt.Sprintf("%s reset the connection before it answered; check the receiver's log and any firewall or proxy "+
			"before it.", at)
	case ended(err):
		return iot.ErrConnect, fmt.Sprintf("%s closed the connection without an answer; check the receiver's log.", at)
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return iot.ErrTimeout, fmt.Sprintf("%s stopped answering on the network; check address, port and firewall.", at)
	}
	return iot.ErrConnect, fmt.Sprintf("%s did not answer as an HTTP server does (%s); check the URL's port and the receiver.", at,
		printable(text))
}

// badHeader returns the first header that HTTP cannot carry.
func badHeader(h http.Header) (string, bool) {
	for name, values := range h {
		if name == "" || strings.ContainsFunc(name, notToken) {
			return name, true
		}
		for _, v := range values {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return name, true
			}
		}
	}
	return "", false
}

func notToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

// printable returns foreign text for use in a sentence: short, without control
// characters.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\ufffd' || r >= 0x2028 && r <= 0x202e {
			return '?'
		}
		return r
	}, s)
	const most = 120
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
