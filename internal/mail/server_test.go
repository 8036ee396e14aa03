package mail

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	netmail "net/mail"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"thingpost/internal/iot"
)

// got is a mail that the server has accepted.
type got struct {
	from, to, text string
	encrypted      bool
	user           string // who signed in
}

// server is a real SMTP server.
type server struct {
	t       *testing.T
	address *net.TCPAddr
	roots   *x509.CertPool

	mu      sync.Mutex
	inbox   []got
	refuses []error // the next answers to a recipient; nil accepts
	spam    bool    // refuses mails for their links, which it quotes
	asked   int     // number of recipients received
	hold    chan struct{}
	inside  int // sessions that wait for hold
}

const (
	user     = "things"
	password = "p@ss wörd:/?#"
)

// listen starts a server on the loopback. With smtps it speaks TLS from the first byte;
// with signIn it requires a password.
func listen(t *testing.T, smtps, signIn bool) *server {
	t.Helper()
	s := &server{t: t}
	conf := s.certificate()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().(*net.TCPAddr)
	srv := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		_, encrypted := c.TLSConnectionState()
		v := &session{s: s, got: got{encrypted: encrypted}, mustSignIn: signIn}
		if signIn {
			return &signingSession{v}, nil
		}
		return v, nil
	}))
	srv.Domain, srv.AllowInsecureAuth, srv.ErrorLog = "mx.example", true, slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	if smtps {
		l = tls.NewListener(l, conf)
	} else {
		srv.TLSConfig = conf
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		_ = l.Close() // a server that has not begun yet does not close it
		<-ended
	})
	return s
}

func (s *server) certificate() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatal(err)
	}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// answers sets the next answers to recipients.
func (s *server) answers(list ...error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuses = list
}

func (s *server) mails() []got {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]got(nil), s.inbox...)
}

func (s *server) tries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// holds makes the server delay its answers to recipients until the function is called.
func (s *server) holds() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = make(chan struct{})
	return sync.OnceFunc(func() { close(s.hold) })
}

func (s *server) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inside
}

type session struct {
	s          *server
	got        got
	mustSignIn bool
}

func (v *session) Reset()        {}
func (v *session) Logout() error { return nil }

func (v *session) Mail(from string, _ *smtp.MailOptions) error {
	if v.mustSignIn && v.got.user == "" {
		return smtp.ErrAuthRequired
	}
	v.got.from = from
	return nil
}

func (v *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	v.s.mu.Lock()
	hold := v.s.hold
	v.s.asked++
	v.s.inside++
	var refusal error
	if len(v.s.refuses) > 0 {
		refusal, v.s.refuses = v.s.refuses[0], v.s.refuses[1:]
	}
	v.s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	v.s.mu.Lock()
	v.s.inside--
	v.s.mu.Unlock()
	v.got.to += to
	return refusal
}

func (v *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	v.got.text = string(b)
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	if v.s.spam {
		_, link, _ := strings.Cut(strings.ReplaceAll(strings.ReplaceAll(v.got.text, "=\r\n", ""), "=3D", "="), linkStart)
		link, _, _ = strings.Cut(link, "\r\n")
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "spam: " + linkStart + link}
	}
	v.s.inbox = append(v.s.inbox, v.got)
	return nil
}

type signingSession struct{ *session }

func (v *signingSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (v *signingSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, u, p string) error {
		if u != user || p != password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "wrong: " + p} // it quotes the password
		}
		v.got.user = u
		return nil
	}), nil
}

// world is a mailer and what it reports.
type world struct {
	t    *testing.T
	m    *Mailer
	log  *safeBuffer
	end  func() // stops the mailer and waits for it
	open func(iot.Secret) bool

	mu    sync.Mutex
	done  map[iot.ID]string
	waits []time.Duration
	after func(time.Duration) <-chan time.Time
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// mailer returns a mailer for a server's URL without its address, such as
// "smtps://user:pass@".
func mailer(t *testing.T, s *server, url string, set ...func(*Options)) *world {
	t.Helper()
	at, err := ParseServer(iot.Secret(url + net.JoinHostPort("127.0.0.1", strconv.Itoa(s.address.Port))))
	if err != nil {
		t.Fatal(err)
	}
	at.roots = s.roots
	return mailerTo(t, at, set...)
}

func mailerTo(t *testing.T, at *Server, set ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, log: &safeBuffer{}, done: map[iot.ID]string{}, open: func(iot.Secret) bool { return true }}
	w.after = func(time.Duration) <-chan time.Time { // no wait
		c := make(chan time.Time, 1)
		c <- time.Time{}
		return c
	}
	o := Options{Server: at, From: &netmail.Address{Name: "Thingpost", Address: "things@host.example"},
		Open: func(_ context.Context, token iot.Secret) bool { return w.open(token) },
		Done: func(id iot.ID, failure string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if _, twice := w.done[id]; twice {
				t.Errorf("the result of %s is reported twice", id)
			}
			w.done[id] = failure
		},
		After: func(d time.Duration) <-chan time.Time {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.waits = append(w.waits, d)
			return w.after(d)
		},
		Now: func() time.Time { return time.Date(2026, 11, 21, 10, 4, 0, 0, time.UTC) },
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range set {
		f(&o)
	}
	w.m = New(o)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.m.Run(ctx) }()
	w.end = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.end)
	return w
}

var ids = iot.NewIDs(1, 0, time.Now)

// invitation returns a new invitation.
func (w *world) invitation(email string) *iot.Invitation {
	return &iot.Invitation{ID: ids.New(), OrganizationName: "Veldhuis Growers", Email: email, Role: iot.Editor,
		InvitedBy: "marit@veldhuis.example", ExpiresAt: iot.At(time.Date(2026, 11, 28, 10, 4, 0, 0, time.UTC)), Token: iot.NewToken()}
}

const linkStart = "https://things.example/invitation?token="

// mail mails an invitation and returns the result.
func (w *world) mail(v *iot.Invitation) string {
	w.t.Helper()
	w.begin(v)
	return w.outcome(v)
}

func (w *world) begin(v *iot.Invitation) {
	w.t.Helper()
	if failure := w.m.Mail(v, linkStart+v.Token.Reveal()); failure != "" {
		w.t.Fatal(failure)
	}
}

func (w *world) outcome(v *iot.Invitation) (failure string) {
	w.t.Helper()
	until(w.t, "the mail has an outcome", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		var ok bool
		failure, ok = w.done[v.ID]
		return ok
	})
	return failure
}

func (w *world) waited() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]time.Duration(nil), w.waits...)
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range 10_000 {
		if ok() {
			return
		}
		<-tick.C
	}
	t.Fatalf("timed out waiting until %s", what)
}
