package mail

import (
	"crypto/x509"
	"errors"
	netmail "net/mail"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"thingpost/internal/iot"
)

// Security says how a connection is encrypted.
type Security int

// The ways to encrypt.
const (
	StartTLS Security = iota // STARTTLS (RFC 3207), or nothing is sent
	Implicit                 // TLS from the first byte (RFC 8314)
	None
)

// Server is an SMTP server that accepts mail for others.
type Server struct {
	Host     string
	Port     uint16
	User     string // "" signs in nobody
	Password iot.Secret
	Security Security

	roots *x509.CertPool // nil: the system's
}

// ParseServer reads smtp://user:password@host:587 or smtps://user:password@host:465. The
// port is optional, and so are user and password together. smtp is encrypted by STARTTLS
// unless the host is the loopback or the URL has ?tls=none. An error says what the URL
// must be, as the end of a sentence, and contains nothing of the URL.
func ParseServer(text iot.Secret) (*Server, error) {
	u, err := url.Parse(text.Reveal())
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" {
		return nil, errors.New("must be a URL like smtp://user:password@mail.example.org:587; write special characters of the password " +
			"percent-encoded")
	}
	if u.Path != "" && u.Path != "/" || u.Fragment != "" || u.RawQuery != "" && u.RawQuery != "tls=none" {
		return nil, errors.New("must end with the port, or with ?tls=none")
	}
	s := &Server{Host: u.Hostname(), Port: 587, Security: StartTLS}
	switch {
	case u.Scheme == "smtps" && u.RawQuery != "":
		return nil, errors.New("must be smtp:// for ?tls=none: smtps:// is always encrypted")
	case u.Scheme == "smtps":
		s.Port, s.Security = 465, Implicit
	case u.RawQuery != "" || isLoopback(s.Host):
		s.Security = None
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return nil, errors.New("must have a port from 1 to 65535")
		}
		s.Port = uint16(n)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		s.User, s.Password = u.User.Username(), iot.Secret(password)
		if s.User == "" || password == "" {
			return nil, errors.New("must have both a user and a password, or neither")
		}
	}
	return s, nil
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// ParseFrom reads the sender of mails, such as "Thingpost <things@example.org>".
func ParseFrom(text string) (*netmail.Address, error) {
	a, err := netmail.ParseAddress(text)
	if err != nil || iot.CheckEmail(a.Address) != nil || iot.HasControl(a.Name) {
		return nil, errors.New("must be an email address, like Thingpost <things@example.org>")
	}
	return a, nil
}

// recipient returns an address to send to. ok is false unless the email is written exactly
// as it is parsed, so that nobody can write one address in many ways.
func recipient(email string) (to *netmail.Address, ok bool) {
	a, err := netmail.ParseAddress(email)
	if err != nil || a.Name != "" || a.Address != email || strings.HasSuffix(email, "]") {
		return nil, false
	}
	return a, true
}
