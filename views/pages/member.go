package pages

import (
	"github.com/a-h/templ"

	"thingpost/internal/iot"
	"thingpost/views/ui"
)

// mayChange reports whether the reader may change a member: only an owner
// changes an owner.
func (p MembersPage) mayChange(m iot.Member) bool {
	return p.MayChange && (m.Role != iot.Owner || p.MayOwners)
}

// InvitationsID is the section of the open invitations.
const InvitationsID = "invitations"

// asking makes the section of the invitations ask again while one is being mailed.
func (p MembersPage) asking() templ.Attributes {
	for _, i := range p.Invitations {
		if i.Mail == iot.MailSending {
			return templ.Attributes{"hx-get": p.At.Members(), "hx-trigger": "every 3s", "hx-target": "this", "hx-swap": "outerHTML",
				"hx-disinherit": "*"}
		}
	}
	return nil
}

// howInvited says what the form does.
func (p MembersPage) howInvited() string {
	if p.Mails {
		return "The person is mailed a link. It works once and expires after seven days. You see it too, once."
	}
	return "You get a link to pass on. It works once and expires after seven days. The person signs in or sets a password, and accepts."
}

func roleOptions(roles []iot.Role) []ui.Option {
	var options []ui.Option
	for _, r := range roles {
		options = append(options, ui.Option{Value: string(r), Label: RoleName(r)})
	}
	return options
}

// roleFacts say what each role may do.
func roleFacts() []ui.Fact {
	return []ui.Fact{
		{Term: RoleName(iot.Viewer), Value: "Reads everything but keys."},
		{Term: RoleName(iot.Editor), Value: "Also changes devices, profiles and webhooks, sends messages and replays."},
		{Term: RoleName(iot.Admin), Value: "Also changes members, API keys and projects."},
		{Term: RoleName(iot.Owner), Value: "Also makes other people owners."},
	}
}
