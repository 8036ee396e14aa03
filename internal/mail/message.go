package mail

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	netmail "net/mail"

	gomail "github.com/wneessen/go-mail"

	"thingpost/internal/iot"
)

// maxName bounds the characters of a name in a mail.
const maxName = 80

// message returns the mail of an invitation.
func message(from, to *netmail.Address, v *iot.Invitation, link string, now time.Time) *gomail.Msg {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(from)
	m.ToMailAddress(to)
	m.Subject("Invitation to " + line(v.OrganizationName))
	m.SetDateWithValue(now)
	_, domain, _ := strings.Cut(from.Address, "@")
	m.SetMessageIDWithValue(v.ID.String() + "@" + domain)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: absent people's mail programs do not answer
	m.SetBodyString(gomail.TypeTextPlain, text(v, link))
	return m
}

func text(v *iot.Invitation, link string) string {
	host := link
	if u, err := url.Parse(link); err == nil {
		host = u.Host
	}
	return fmt.Sprintf(`%s invites you to join an organization at %s.

Organization: %s
Role: %s

To accept or decline, open this link:

%s

It works once, until %s UTC. Do not pass it on: anyone who has it
can answer for you.

If you do not know who invites you, ignore this mail. You join only what you
accept.
`, line(v.InvitedBy), host, line(v.OrganizationName), v.Role, link, v.ExpiresAt.Time().Format("2 January 2006 15:04"))
}

// line makes one line of a name: invisible characters become spaces, and a long name is
// truncated. The line contains no start of an encoded word (RFC 2047), which a mail
// program would decode in a subject.
func line(name string) string {
	name = strings.ReplaceAll(name, "=?", "= ?")
	name = strings.Join(strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }), " ")
	if r := []rune(name); len(r) > maxName {
		name = string(r[:maxName-1]) + "…"
	}
	return name
}
