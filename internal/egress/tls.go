package egress

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// noneToSend is what to do where a receiver wants a client certificate.
const noneToSend = "Thingpost has none to send: make the receiver accept requests without one at this URL, and recognise ours by a " +
	"secret header or the webhook's signature"

// tlsDetail says why there is no secure connection to a URL's host, and what to do.
// asked means that the receiver asked for a client certificate.
func tlsDetail(err error, u *url.URL, asked bool) string {
	host := printable(u.Host)
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificateDetail(e, host, printable(u.Hostname()))
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Sprintf("%s does not speak TLS on this port; write http:// in the webhook's URL, or use the port for https.", host)
	}
	alert, remote := "", false
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "remote error" {
		alert, remote = printable(strings.TrimPrefix(e.Err.Error(), "tls: ")), true
	}
	switch {
	case alert == "certificate required",
		asked && (alert == "bad certificate" || alert == "handshake failure" || alert == "access denied" || alert == "unknown certificate"):
		return fmt.Sprintf("%s wants a client certificate (%s). %s.", host, alert, noneToSend)
	case asked && ended(err):
		return fmt.Sprintf("%s asked for a client certificate and closed the connection without an answer. %s.", host, noneToSend)
	case alert == "protocol version not supported", strings.Contains(err.Error(), "unsupported protocol version"):
		return fmt.Sprintf("%s speaks only a version of TLS that is too old; enable TLS 1.2 or 1.3 there.", host)
	case alert == "unrecognized name", alert == "internal error":
		return fmt.Sprintf("%s has no certificate for the name %s, or failed (%s); check the host in the webhook's URL, and that the receiver "+
			"is set up for this name.", host, printable(u.Hostname()), alert)
	case alert == "handshake failure", alert == "insufficient security level", strings.Contains(err.Error(), "unconfigured cipher suite"):
		return fmt.Sprintf("%s refused the TLS handshake (%s): it has no cipher or kind of key in common with us, or no certificate for this "+
			"name; enable modern ciphers there (ECDHE with AES-GCM or ChaCha20), and check the host in the webhook's URL.", host,
			words(alert, "no cipher in common"))
	case remote:
		return fmt.Sprintf("%s refused the TLS connection (%s); its log says why.", host, alert)
	case broken(err):
		return fmt.Sprintf("%s closed the connection during the TLS handshake; check that it speaks https on this port.", host)
	}
	return fmt.Sprintf("The TLS handshake with %s did not succeed (%s); check the receiver's TLS settings.", host, printable(err.Error()))
}

func words(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// certificateDetail says what is wrong with a receiver's certificate. name is the name
// that it must have.
func certificateDetail(err *tls.CertificateVerificationError, host, name string) string {
	if e, ok := errors.AsType[x509.HostnameError](err.Err); ok {
		return nameDetail(e.Certificate, host, name)
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err.Err); ok {
		return authorityDetail(e, err.UnverifiedCertificates, host)
	}
	e, ok := errors.AsType[x509.CertificateInvalidError](err.Err)
	if !ok {
		return fmt.Sprintf("The certificate of %s is not valid (%s); renew it at the receiver.", host,
			printable(strings.TrimPrefix(err.Err.Error(), "x509: ")))
	}
	which := "The certificate of " + host
	if len(err.UnverifiedCertificates) > 0 && !e.Cert.Equal(err.UnverifiedCertificates[0]) {
		which = fmt.Sprintf("The certificate of an authority (%s) that the certificate of %s depends on", issuerName(e.Cert.Subject.CommonName),
			host)
	}
	now := time.Now().UTC() //nolint:forbidigo // crypto/tls used it too
	switch {
	case e.Reason == x509.Expired && now.Before(e.Cert.NotBefore):
		return fmt.Sprintf("%s is not valid before %s; this machine's clock says %s: check which of the two is wrong.", which,
			minute(e.Cert.NotBefore), minute(now))
	case e.Reason == x509.Expired:
		return fmt.Sprintf("%s has expired on %s; renew it at the receiver, or check this machine's clock (%s).", which, minute(e.Cert.NotAfter),
			minute(now))
	case e.Reason == x509.IncompatibleUsage:
		return which + " is not meant for servers (extended key usage); get one for server authentication."
	}
	return fmt.Sprintf("%s is not valid (%s); renew it at the receiver.", which, printable(strings.TrimPrefix(e.Error(), "x509: ")))
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }

// nameDetail is about a certificate for names other than the URL's.
func nameDetail(cert *x509.Certificate, host, name string) string {
	var names []string
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	names = append(names, cert.DNSNames...)
	const most = 4
	switch n := len(names); {
	case n == 0:
		return fmt.Sprintf("The certificate of %s names no host as Subject Alternative Name (SAN); the Common Name "+
			"(CN) does not count. Renew it with the SAN %s.", host, name)
	case n > most:
		names = append(names[:most], fmt.Sprintf("%d more", n-most))
	}
	return fmt.Sprintf(
		"The certificate of %s is for another name (%s); use the name it was made for in the webhook's URL, or renew it for %s.", host,
		printable(strings.Join(names, ", ")), name)
}

// authorityDetail is about a certificate of an authority unknown here. sent are the
// certificates that the receiver sent, its own first.
func authorityDetail(e x509.UnknownAuthorityError, sent []*x509.Certificate, host string) string {
	const install = "install the authority's certificate on this machine (or name its file in SSL_CERT_FILE)"
	if text := e.Error(); strings.Contains(text, "insecure algorithm") {
		return fmt.Sprintf("The certificate of %s is signed by an algorithm that is no longer safe (%s); renew it with SHA-256 or better.",
			host, printable(strings.TrimPrefix(text, "x509: ")))
	}
	if len(sent) == 0 {
		return fmt.Sprintf("The certificate of %s is signed by no authority that this machine trusts; %s.", host, install)
	}
	leaf, last := sent[0], sent[len(sent)-1]
	issuer := issuerName(last.Issuer.CommonName)
	switch {
	case bytes.Equal(leaf.RawIssuer, leaf.RawSubject):
		return fmt.Sprintf("The certificate of %s is self-signed, so this machine does not trust it; have an authority sign it, "+
			"or install it on this machine (or name its file in SSL_CERT_FILE).", host)
	case len(sent) == 1:
		return fmt.Sprintf("The receiver %s sent only its own certificate, and this machine does not know its issuer (%s). Make it send "+
			"the whole chain, with the intermediate certificates; if %s is an authority of your own, %s.", host, issuer, issuer, install)
	}
	return fmt.Sprintf("The certificate of %s is signed by an authority that this machine does not trust (%s); if it is one of your own, %s.",
		host, issuer, install)
}

func issuerName(commonName string) string { return words(printable(commonName), "it has no name") }
