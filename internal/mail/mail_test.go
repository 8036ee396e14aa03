package mail

import (
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"thingpost/internal/iot"
)

func TestEveryWayToTheServer(t *testing.T) {
	const signIn = "things:p%40ss%20w%C3%B6rd%3A%2F%3F%23@"
	for name, c := range map[string]struct {
		url           string
		smtps, signIn bool
		encrypted     bool
		user, whyNot  string // whyNot is the failure that people see
		untrusted     bool
	}{
		"clear on loopback":           {url: "smtp://"},
		"clear with sign-in":          {url: "smtp://" + signIn, signIn: true, user: user},
		"STARTTLS":                    {url: "smtp+starttls://", encrypted: true},
		"STARTTLS with sign-in":       {url: "smtp+starttls://" + signIn, signIn: true, encrypted: true, user: user},
		"TLS":                         {url: "smtps://", smtps: true, encrypted: true},
		"TLS with sign-in":            {url: "smtps://" + signIn, smtps: true, signIn: true, encrypted: true, user: user},
		"a wrong password":            {url: "smtps://things:wrong-password@", smtps: true, signIn: true, whyNot: "cannot be used"},
		"no password":                 {url: "smtps://", smtps: true, signIn: true, whyNot: "refuses the mail (502 5.7.0)"},
		"a password for nobody":       {url: "smtps://things:unwanted-password@", smtps: true, whyNot: "cannot be used"},
		"TLS nobody vouches for":      {url: "smtps://", smtps: true, untrusted: true, whyNot: "cannot be used"},
		"STARTTLS nobody vouches for": {url: "smtp+starttls://", untrusted: true, whyNot: "cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, c.smtps, c.signIn)
			if c.untrusted {
				s.roots = nil
			}
			url, mandatory := strings.CutPrefix(c.url, "smtp+starttls://")
			if mandatory {
				url = "smtp://" + url
			}
			w := mailer(t, s, url)
			if mandatory { // as for any other host than the loopback
				w.m.o.Server.Security = StartTLS
			}
			v := w.invitation("bram@veldhuis.example")
			failure := w.mail(v)
			text := w.log.String()
			for _, secret := range []string{password, "wrong-password", "unwanted-password", v.Token.Reveal()} {
				if strings.Contains(text, secret) {
					t.Errorf("the log has %q: %s", secret, text)
				}
			}
			if c.whyNot != "" {
				if !strings.Contains(failure, c.whyNot) || len(s.mails()) != 0 || len(w.waited()) != 0 || !strings.Contains(text, "level=WARN") {
					t.Errorf("%q after %d waits, and %d mails: %s", failure, len(w.waited()), len(s.mails()), text)
				}
				return
			}
			list := s.mails()
			if failure != "" || len(list) != 1 {
				t.Fatalf("%q, and %d mails: %s", failure, len(list), text)
			}
			if m := list[0]; m.encrypted != c.encrypted || m.user != c.user || m.from != "things@host.example" || m.to != v.Email {
				t.Errorf("%+v", m)
			}
		})
	}
}

// TestNothingIsSentInClear uses a server that offers no STARTTLS where it is required.
func TestNothingIsSentInClear(t *testing.T) {
	s := listen(t, true, false)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "220 mx\r\n")
		b := make([]byte, 4096)
		n, _ := conn.Read(b)
		all := string(b[:n])
		_, _ = io.WriteString(conn, "250-mx\r\n250 AUTH PLAIN\r\n")
		rest, _ := io.ReadAll(conn)
		heard <- all + string(rest)
	}()
	t.Cleanup(func() { _ = l.Close() })
	s.address = l.Addr().(*net.TCPAddr)
	w := mailer(t, s, "smtp://things:in-the-clear@")
	w.m.o.Server.Security = StartTLS
	if failure := w.mail(w.invitation("bram@veldhuis.example")); !strings.Contains(failure, "cannot be used") {
		t.Errorf("%q", failure)
	}
	if text := <-heard; strings.Contains(text, "AUTH") || strings.Contains(text, "MAIL") {
		t.Errorf("it sends %q", text)
	}
}

func TestWhatTheMailSays(t *testing.T) {
	s := listen(t, false, false)
	w := mailer(t, s, "smtp://")
	v := w.invitation("bram@veldhuis.example")
	if failure := w.mail(v); failure != "" {
		t.Fatal(failure)
	}
	m, body := read(t, s.mails()[0])
	if from := m.Header.Get("From"); from != `"Thingpost" <things@host.example>` {
		t.Errorf("from %s", from)
	}
	for name, want := range map[string]string{"To": "<bram@veldhuis.example>", "Subject": "Invitation to Veldhuis Growers",
		"Auto-Submitted": "auto-generated", "Message-ID": "<" + v.ID.String() + "@host.example>", "Date": "Sat, 21 Nov 2026 10:04:00 +0000",
		"Content-Type": "text/plain; charset=UTF-8"} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for _, want := range []string{"marit@veldhuis.example invites you to join an organization at things.example.",
		"Organization: Veldhuis Growers\n", "Role: editor\n", "\n" + linkStart + v.Token.Reveal() + "\n", "until 28 November 2026 10:04 UTC"} {
		if !strings.Contains(body, want) {
			t.Errorf("it does not say %q:\n%s", want, body)
		}
	}
}

// read parses a mail.
func read(t *testing.T, g got) (*netmail.Message, string) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(g.text))
	if err != nil {
		t.Fatalf("%v in %q", err, g.text)
	}
	if enc := m.Header.Get("Content-Transfer-Encoding"); enc != "quoted-printable" {
		t.Fatalf("encoded as %s", enc)
	}
	b, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return m, strings.ReplaceAll(string(b), "\r\n", "\n")
}

// TestNamesAddNothing uses names that would become headers, further lines or another
// recipient if they were not kept on one line.
func TestNamesAddNothing(t *testing.T) {
	s := listen(t, false, false)
	w := mailer(t, s, "smtp://")
	plain := w.invitation("bram@veldhuis.example")
	if failure := w.mail(plain); failure != "" {
		t.Fatal(failure)
	}
	m, body := read(t, s.mails()[0])
	headers, lines := len(m.Header), strings.Count(body, "\n")
	names := []string{"x\r\nBcc: eve@elsewhere.example", "x\nBcc: eve@elsewhere.example\n\nbody", "x\r\n\r\nbody\r\n.\r\nMAIL FROM:<eve>",
		"x\u2028Bcc: eve", "x\u0085Bcc: eve", "\r\n.\r\n", "x\x00y", "\u202eevil", "=?utf-8?Q?=0D=0ABcc:_eve?=", strings.Repeat("ä", 5000),
		"\xff\xfe", "<eve@elsewhere.example>", ""}
	for i, name := range names {
		v := w.invitation("bram@veldhuis.example")
		v.OrganizationName, v.InvitedBy, v.Role = name, name, iot.Editor
		if failure := w.mail(v); failure != "" {
			t.Fatalf("%q: %s", name, failure)
		}
		g := s.mails()[i+1]
		m, body := read(t, g)
		if len(m.Header) != headers || strings.Count(body, "\n") != lines || g.to != v.Email || m.Header.Get("To") != "<"+v.Email+">" {
			t.Errorf("%q: %d headers, want %d; %d lines, want %d; to %s", name, len(m.Header), headers, strings.Count(body, "\n"), lines, g.to)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil || len([]rune(subject)) > len("Invitation to ")+maxName || strings.ContainsAny(subject, "\r\n\x00\u202e\u2028") {
			t.Errorf("%q: the subject is %q, %v", name, subject, err)
		}
	}
}

func TestOnlyAPlainAddressIsARecipient(t *testing.T) {
	w := mailer(t, listen(t, false, false), "smtp://")
	for _, email := range []string{"", "bram", "Bram <bram@veldhuis.example>", "bram@veldhuis.example, eve@elsewhere.example",
		"bram@veldhuis.example\r\nRCPT TO:<eve@elsewhere.example>", `"bram"@veldhuis.example`, "bram(x)@veldhuis.example", "bram@[127.0.0.1]",
		"bram@veldhuis.example>", " bram@veldhuis.example"} {
		if failure := w.m.Mail(w.invitation(email), linkStart); failure != textForm {
			t.Errorf("%q: %q", email, failure)
		}
	}
}

func TestRefusalsAndRetries(t *testing.T) {
	busy := &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "come again to 10.0.0.7"}
	no := &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "nobody here on 10.0.0.7"}
	all := []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}
	for name, c := range map[string]struct {
		answers []error
		failure string
		tries   int
	}{
		"refused":         {[]error{no}, "The mail server refuses this address (550 5.1.1).", 1},
		"later":           {[]error{busy, busy}, "", 3},
		"later, refused":  {[]error{busy, no}, "The mail server refuses this address (550 5.1.1).", 2},
		"at the very end": {[]error{busy, busy, busy, busy}, "", 5},
		"never":           {[]error{busy, busy, busy, busy, busy}, "The mail server refuses this address (451 4.7.1).", 5},
	} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, false, false)
			w := mailer(t, s, "smtp://")
			s.answers(c.answers...)
			failure := w.mail(w.invitation("bram@veldhuis.example"))
			if failure != c.failure || s.tries() != c.tries || !slices.Equal(w.waited(), all[:c.tries-1]) ||
				len(s.mails()) != btoi(c.failure == "") {
				t.Errorf("%q after %d tries and %v, with %d mails", failure, s.tries(), w.waited(), len(s.mails()))
			}
			if strings.Contains(failure, "10.0.0.7") || !strings.Contains(w.log.String(), "10.0.0.7") {
				t.Errorf("the server's words are shown to people, or missing in the log: %s", w.log)
			}
		})
	}
}

// TestTheLinkIsNotLogged uses a server that quotes the link.
func TestTheLinkIsNotLogged(t *testing.T) {
	s := listen(t, false, false)
	s.spam = true
	w := mailer(t, s, "smtp://")
	v := w.invitation("bram@veldhuis.example")
	if failure := w.mail(v); failure != "The mail server refuses the mail (554 5.7.1)." {
		t.Errorf("%q", failure)
	}
	if text := w.log.String(); !strings.Contains(text, linkStart+iot.Mask) || strings.Contains(text, v.Token.Reveal()) {
		t.Errorf("the log has %s", text)
	}
}

func btoi(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func TestAServerThatIsAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: l.Addr().(*net.TCPAddr)}
	_ = l.Close()
	w := mailer(t, s, "smtp://")
	if failure := w.mail(w.invitation("bram@veldhuis.example")); failure != textUnreachable || len(w.waited()) != len(retries) {
		t.Errorf("%q after %v", failure, w.waited())
	}
}

// TestASilentServer uses a server that accepts connections and says nothing.
func TestASilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for _, url := range []string{"smtp://", "smtps://"} {
		w := mailer(t, &server{address: l.Addr().(*net.TCPAddr)}, url, func(o *Options) { o.Timeout = 20 * time.Millisecond })
		if failure := w.mail(w.invitation("bram@veldhuis.example")); failure != textUnreachable || len(w.waited()) != len(retries) {
			t.Errorf("%s: %q after %v: %s", url, failure, w.waited(), w.log)
		}
	}
}

func TestWhatIsNotOpenAnyMoreIsNotMailed(t *testing.T) {
	s := listen(t, false, false)
	w := mailer(t, s, "smtp://")
	s.answers(&smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}})
	w.open = func(iot.Secret) bool { return s.tries() == 0 } // revoked between the attempts
	if failure := w.mail(w.invitation("bram@veldhuis.example")); failure != textClosed || s.tries() != 1 || len(s.mails()) != 0 {
		t.Errorf("%q after %d tries, with %d mails", failure, s.tries(), len(s.mails()))
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	s := listen(t, false, false)
	release := s.holds()
	defer release()
	w := mailer(t, s, "smtp://")
	list := make([]*iot.Invitation, maxWaiting)
	for i := range list {
		list[i] = w.invitation(fmt.Sprintf("bram-%d@veldhuis.example", i))
		w.begin(list[i])
	}
	if failure := w.m.Mail(w.invitation("one-more@veldhuis.example"), linkStart); failure != textFull {
		t.Errorf("one more: %q", failure)
	}
	until(t, "all connections are in use", func() bool { return s.waiting() == maxSending })
	if s.tries() != maxSending {
		t.Errorf("%d connections, want %d", s.tries(), maxSending)
	}
	release()
	for _, v := range list {
		if failure := w.outcome(v); failure != "" {
			t.Fatal(failure)
		}
	}
	if n := len(s.mails()); n != maxWaiting {
		t.Errorf("%d mails", n)
	}
	until(t, "there is room", func() bool { return w.m.Mail(w.invitation("one-more@veldhuis.example"), linkStart) == "" })
}

// TestStop stops a mailer with one mail that waits for a retry, one that is being sent,
// and one for which the server takes too long.
func TestStop(t *testing.T) {
	s := listen(t, false, false)
	w := mailer(t, s, "smtp://")
	w.after = func(time.Duration) <-chan time.Time { return nil } // never
	s.answers(&smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}})
	waits := w.invitation("waits@veldhuis.example")
	w.begin(waits)
	until(t, "it waits", func() bool { return len(w.waited()) == 1 })
	release := s.holds()
	sent := w.invitation("sent@veldhuis.example")
	w.begin(sent)
	until(t, "it is on its way", func() bool { return s.waiting() == 1 })
	ended := make(chan struct{})
	go func() { defer close(ended); w.end() }()
	if failure := w.outcome(waits); failure != textStopped {
		t.Errorf("what waited: %q", failure)
	}
	if failure := w.m.Mail(w.invitation("late@veldhuis.example"), linkStart); failure != textStopped {
		t.Errorf("after the stop: %q", failure)
	}
	release()
	<-ended
	if failure := w.outcome(sent); failure != "" || len(s.mails()) != 1 {
		t.Errorf("what was being sent: %q", failure)
	}

	release = s.holds()
	defer release()
	w = mailer(t, s, "smtp://", func(o *Options) { o.Grace = time.Millisecond })
	late := w.invitation("late@veldhuis.example")
	w.begin(late)
	until(t, "it is on its way", func() bool { return s.waiting() == 1 })
	w.end()
	if failure := w.outcome(late); failure != textStopped || len(s.mails()) != 1 {
		t.Errorf("what took too long: %q", failure)
	}
}

func TestParseServer(t *testing.T) {
	for text, want := range map[string]Server{
		"smtp://mail.example.org":                {Host: "mail.example.org", Port: 587},
		"smtp://mail.example.org/":               {Host: "mail.example.org", Port: 587},
		"smtp://me:p%40ss@mail.example.org:2525": {Host: "mail.example.org", Port: 2525, User: "me", Password: "p@ss"},
		"smtps://me%40x:s@mail.example.org":      {Host: "mail.example.org", Port: 465, User: "me@x", Password: "s", Security: Implicit},
		"smtp://127.0.0.1:25":                    {Host: "127.0.0.1", Port: 25, Security: None},
		"smtp://[::1]:25":                        {Host: "::1", Port: 25, Security: None},
		"smtp://localhost":                       {Host: "localhost", Port: 587, Security: None},
		"smtp://relay.internal:25?tls=none":      {Host: "relay.internal", Port: 25, Security: None},
		"smtps://127.0.0.1":                      {Host: "127.0.0.1", Port: 465, Security: Implicit},
	} {
		if got, err := ParseServer(iot.Secret(text)); err != nil || *got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "mail.example.org:587", "http://mail.example.org", "smtp://", "smtp://:587", "smtp://me@h",
		"smtp://:secret@h", "smtp://me:@h", "smtp://h:0", "smtp://h:70000", "smtp://h/path", "smtp://h?tls=off", "smtp://h?tls=none&x=y",
		"smtps://h?tls=none", "smtp://h#x", "smtp://me:sec ret@h", "smtp://me:sec#ret@h", "smtp://me:%zz-secret@h", "smtp://h\r\nx"} {
		if got, err := ParseServer(iot.Secret(text)); err == nil {
			t.Errorf("%q: %+v", text, got)
		} else if strings.Contains(err.Error(), "sec") || !strings.HasPrefix(err.Error(), "must ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParseFrom(t *testing.T) {
	for text, want := range map[string]netmail.Address{"things@example.org": {Address: "things@example.org"},
		"Thingpost <things@example.org>": {Name: "Thingpost", Address: "things@example.org"}} {
		if got, err := ParseFrom(text); err != nil || *got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "things", "a@b, c@d.example", "x\r\n <a@b.example>", "=?utf-8?q?=0Ax?= <a@b.example>"} {
		if got, err := ParseFrom(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
