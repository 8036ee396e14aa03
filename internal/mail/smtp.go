package mail

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"thingpost/internal/iot"
)

// deliver hands a mail to the server, until ctx ends. No step takes longer than timeout.
func (s *Server) deliver(ctx context.Context, timeout time.Duration, m *gomail.Msg) error {
	conf := &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12, RootCAs: s.roots}
	// The connection is made here, because the library does not close it when the sign-in
	// fails or ctx ends.
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(s.Host, strconv.Itoa(int(s.Port))))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	spoken := conn
	if s.Security == Implicit {
		spoken = tls.Client(conn, conf)
	}
	options := append(s.signIn(), gomail.WithTimeout(timeout), gomail.WithTLSConfig(conf), gomail.WithTLSPolicy(s.policy()),
		gomail.WithoutNoop(), gomail.WithDialContextFunc(func(context.Context, string, string) (net.Conn, error) { return spoken, nil }))
	c, err := gomail.NewClient(s.Host, options...)
	if err != nil {
		return err
	}
	err = c.DialAndSendWithContext(ctx, m)
	if m.IsDelivered() {
		return nil // errors after the server has accepted the mail do not matter
	}
	return err
}

func (s *Server) policy() gomail.TLSPolicy {
	if s.Security == StartTLS {
		return gomail.TLSMandatory
	}
	return gomail.NoTLS // means: no STARTTLS
}

// signIn returns the options to sign in. Without encryption, methods that hide the
// password come first. The password is sent in clear text only if the operator's URL
// allows that.
func (s *Server) signIn() []gomail.Option {
	if s.User == "" {
		return nil
	}
	ways := []gomail.SMTPAuthType{gomail.SMTPAuthPlain, gomail.SMTPAuthLogin, gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthCramMD5}
	if s.Security == None {
		ways = []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthCramMD5, gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc}
	}
	return []gomail.Option{gomail.WithOpportunisticSMTPAuth(ways...), gomail.WithUsername(s.User), gomail.WithPassword(s.Password.Reveal())}
}

// fault is why an attempt failed: text for people, detail for the log, and whether a retry
// may succeed.
type fault struct {
	text, detail string
	temporary    bool
}

// maxDetail bounds the bytes of a server's words in the log.
const maxDetail = 500

// explain returns what an error of deliver means. A 4xx reply is temporary, and so is a
// connection that fails (RFC 5321, 4.2.1 and 4.5.4.1). An invalid certificate, or a server
// that offers no encryption, is not.
func (s *Server) explain(err error, token iot.Secret) fault {
	f := fault{text: "The mail server cannot be used. The log of this host says why.", detail: s.masked(err.Error(), token)}
	if sent, ok := errors.AsType[*gomail.SendError](err); ok {
		if sent.ErrorCode() == 0 { // the connection broke off
			return fault{textUnreachable, f.detail, true}
		}
		f.temporary = sent.ErrorCode() < 500
		f.text = "The mail server refuses the mail"
		if sent.Reason == gomail.ErrSMTPRcptTo {
			f.text = "The mail server refuses this address"
		}
		f.text += " (" + strings.TrimSpace(strconv.Itoa(sent.ErrorCode())+" "+sent.EnhancedStatusCode()) + ")."
		return f
	}
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		f.temporary = reply.Code < 500
		return f
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault{textUnreachable, f.detail, true}
	}
	return f
}

const textUnreachable = "The mail server does not answer."

// masked hides the token and the password, also in its encoded forms, in a server's words.
func (s *Server) masked(text string, token iot.Secret) string {
	const hidden = iot.Mask
	text = strings.ReplaceAll(text, token.Reveal(), hidden)
	if password := s.Password.Reveal(); password != "" {
		text = strings.NewReplacer(base64.StdEncoding.EncodeToString([]byte("\x00"+s.User+"\x00"+password)), hidden,
			base64.StdEncoding.EncodeToString([]byte(password)), hidden, password, hidden).Replace(text)
	}
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "…"
	}
	return text
}
