package main

import (
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	neturl "net/url"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const mailPassword = "canary-of-the-mail-server"

// mailServer is a real SMTP server, which takes what comes after a sign-in. It refuses
// recipients that begin with "no", in words that quote all it was told, and answers to
// those that begin with "wait" when the test has ended.
type mailServer struct {
	address string
	ended   chan struct{}

	mu    sync.Mutex
	mails map[string]string // by recipient
	waits int
}

func newMailServer(t *testing.T) *mailServer {
	t.Helper()
	m := &mailServer{mails: map[string]string{}, ended: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	m.address = l.Addr().String()
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{m: m}, nil }))
	s.Domain, s.AllowInsecureAuth = "mx.example", true
	stopped := make(chan struct{})
	go func() { defer close(stopped); _ = s.Serve(l) }()
	t.Cleanup(func() { close(m.ended); _ = s.Close(); _ = l.Close(); <-stopped })
	return m
}

// env has the program use the server.
func (m *mailServer) env() string {
	return "THINGPOST_SMTP_URL=smtp://things:" + mailPassword + "@" + m.address
}

// to returns what came for a recipient, "" if nothing has.
func (m *mailServer) to(email string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mails[email]
}

func (m *mailServer) waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waits
}

type mailSession struct {
	m        *mailServer
	user, to string
}

func (s *mailSession) Reset()                               {}
func (s *mailSession) Logout() error                        { return nil }
func (s *mailSession) AuthMechanisms() []string             { return []string{sasl.Plain} }
func (s *mailSession) Mail(string, *smtp.MailOptions) error { return nil }

func (s *mailSession) Auth(mech string) (sasl.Server, error) {
	if mech != sasl.Plain {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != mailPassword {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	if s.user == "" {
		return smtp.ErrAuthRequired
	}
	if strings.HasPrefix(to, "wait") {
		s.m.mu.Lock()
		s.m.waits++
		s.m.mu.Unlock()
		<-s.m.ended
	}
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(strings.ReplaceAll(string(b), "=\r\n", ""), "=3D", "=") // of quoted-printable
	if strings.HasPrefix(s.to, "no") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1},
			Message: "no to " + mailPassword + " and " + strings.Join(strings.Fields(text), " ")}
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.mails[s.to] = text
	return nil
}

// invitedJSON is an invitation of the API.
type invitedJSON struct {
	ID, Email, Mail, Link string
	MailFailure           string `json:"mail_failure"`
}

// TestInvitationsAreMailed invites people by three doors of the program, which mails them
// the links: they open what they are to open. What cannot be mailed is told, also after
// the program was killed, and neither password nor link is in the log.
func TestInvitationsAreMailed(t *testing.T) {
	m, data, address := newMailServer(t), t.TempDir(), freeAddress(t)
	file := filepath.Join(t.TempDir(), "smtp-url")
	writeFile(t, filepath.Dir(file), "smtp-url", strings.TrimPrefix(m.env(), "THINGPOST_SMTP_URL=")+"\n")
	start := func() *process {
		return serve(t, append(adminEnv(), "THINGPOST_SMTP_URL_FILE="+file), "-data", data, "-listen", address, "-public-url", "http://"+address,
			"-mail-from", "Thingpost <things@host.example>", "-log-level", "debug")
	}
	p := start()
	c := signIn(t, p.url)
	const path = "/organizations/my-organization/invitations"
	secrets := canaries{"password of the mail server": mailPassword}
	invite := func(email string) (v invitedJSON) {
		t.Helper()
		c.call("POST", path, map[string]string{"email": email, "role": "viewer"}, 201, &v)
		_, token, _ := strings.Cut(v.Link, "token=")
		secrets["link to "+email] = token
		return v
	}
	becomes := func(v invitedJSON, want string) (now invitedJSON) {
		t.Helper()
		until(t, v.Email+" is "+want, func() bool {
			c.call("GET", path+"/"+v.ID, nil, 200, &now)
			return now.Mail == want
		})
		return now
	}

	// The API.
	v := invite("bram@example.org")
	if v.Mail != "sending" && v.Mail != "sent" {
		t.Errorf("%+v", v)
	}
	becomes(v, "sent")
	link := regexp.MustCompile(`http://[^\s]+/invitation\?token=tpt_[a-z2-7]+`)
	if got := link.FindString(m.to("bram@example.org")); got != v.Link || !strings.HasPrefix(got, "http://"+address+"/") {
		t.Errorf("mailed %q, want %q: %s", got, v.Link, m.to("bram@example.org"))
	}
	bram := visitor(t, p.url)
	if s := bram.tries("POST", "/invitation", neturl.Values{"token": {secrets["link to bram@example.org"]}, "name": {"Bram"},
		"password": {"a long password"}}); s.status != 303 {
		t.Errorf("joining answers %d: %s", s.status, s.body)
	}
	// The page.
	r := newReader(t, p.url)
	r.signIn("ada@example.org", "correct horse battery")
	token := r.invites("cor@example.org")
	secrets["link to cor@example.org"] = token
	until(t, "the page's is mailed", func() bool { return m.to("cor@example.org") != "" })
	if !strings.Contains(m.to("cor@example.org"), "http://"+address+"/invitation?token="+token) {
		t.Errorf("mailed %s", m.to("cor@example.org"))
	}
	// Mainflux.
	var orgs struct{ Items []struct{ ID, UUID string } }
	c.call("GET", "/organizations", nil, 200, &orgs)
	status, answer := c.exchange("POST", p.url+"/orgs/"+orgs.Items[0].UUID+"/memberships",
		`{"org_memberships":[{"email":"dot@example.org","role":"editor"}]}`,
		map[string]string{"Authorization": "Bearer " + c.token, "Content-Type": "application/json"})
	got := link.FindString(answer)
	if status != 200 || got == "" {
		t.Fatalf("Mainflux answers %d %s", status, answer)
	}
	_, secrets["link to dot@example.org"], _ = strings.Cut(got, "token=")
	until(t, "Mainflux's is mailed", func() bool { return strings.Contains(m.to("dot@example.org"), got) })

	// A refusal.
	if v := becomes(invite("no@example.org"), "failed"); v.MailFailure != "The mail server refuses the mail (550 5.1.1)." {
		t.Errorf("refused: %+v", v)
	}
	// A kill.
	v = invite("wait@example.org")
	until(t, "it is on its way", func() bool { return m.waiting() > 0 })
	must(t, p.Process.Kill())
	_ = p.Wait()
	secrets.search(t, "the log", p.stderr.String())
	p = start()
	c = signIn(t, p.url)
	if v := becomes(v, "failed"); v.MailFailure != "The server ended before it was sent." {
		t.Errorf("killed: %+v", v)
	}
	// A stop.
	v = invite("wait-too@example.org")
	until(t, "it is on its way", func() bool { return m.waiting() > 1 })
	if status := p.end(t, syscall.SIGTERM); status != 0 {
		t.Errorf("it ends with %d", status)
	}
	secrets.search(t, "the log", p.stderr.String())
	p = start()
	defer p.end(t, syscall.SIGTERM)
	c = signIn(t, p.url)
	if v := becomes(v, "failed"); v.MailFailure != "Thingpost was stopped before the mail was sent." {
		t.Errorf("stopped: %+v", v)
	}
	secrets.searchFiles(t, data)
	if !strings.Contains(p.stderr.String(), "level=DEBUG") {
		t.Error("the log has no line of the level debug")
	}
}
