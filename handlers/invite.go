package handlers

import (
	"time"

	"thingpost/internal/iot"
)

// InviterOptions are what an Inviter needs.
type InviterOptions struct {
	// Create is db.CreateInvitations.
	Create func(o *iot.Organization, list []*iot.Invitation, by *iot.Account) error
	// Mail takes over an invitation, to be mailed with its link, and returns at once.
	// failure, for people, says why it does not. nil: nothing is mailed.
	Mail func(v *iot.Invitation, link string) (failure string)
	// Done is told why an invitation is not mailed; it is that of mail.Options.
	Done func(id iot.ID, failure string)
	// PublicURL begins the links in mails, without a slash at its end. It is the operator's:
	// who asks for a mail could choose a request's Host.
	PublicURL string
	Now       func() time.Time
}

// Inviter invites people, for every door: it stores their invitations and has them mailed,
// where mail is configured. It is safe for concurrent use.
type Inviter struct {
	InviterOptions
	byInviter, toEmail *Limiter
}

// NewInviter returns an Inviter. An account has 30 invitations mailed at once and then one
// in two minutes; an email gets 3 at once and then one in an hour, whoever invites it.
func NewInviter(o InviterOptions) *Inviter {
	return &Inviter{InviterOptions: o, byInviter: NewLimiter(o.Now, 2*time.Minute, 30), toEmail: NewLimiter(o.Now, time.Hour, 3)}
}

// Mails reports whether invitations are mailed.
func (i *Inviter) Mails() bool { return i.Mail != nil }

// Invite creates invitations, all or none, as db.CreateInvitations does, which checks them, and has each of
// them mailed. What cannot be mailed is an invitation all the same, to hand on: its
// MailFailure says why.
func (i *Inviter) Invite(o *iot.Organization, list []*iot.Invitation, by *iot.Account) error {
	for _, v := range list {
		v.Mail = iot.MailNone
		if i.Mail != nil {
			v.Mail = iot.MailSending
		}
	}
	if err := i.Create(o, list, by); err != nil || i.Mail == nil {
		return err
	}
	for _, v := range list {
		if failure := i.mail(v, by); failure != "" {
			v.Mail, v.MailFailure = iot.MailFailed, failure
			i.Done(v.ID, failure)
		}
	}
	return nil
}

// mail returns why an invitation is not mailed, for people.
func (i *Inviter) mail(v *iot.Invitation, by *iot.Account) (failure string) {
	if i.byInviter.Take(accountOf(by.Email)) > 0 {
		return "You have invited many people within a short time."
	}
	if i.toEmail.Take(accountOf(v.Email)) > 0 {
		return "This email was sent invitations several times within a short time."
	}
	return i.Mail(v, v.Link(i.PublicURL))
}

// InvitationOf finds an organization's open invitation by its id; not_found.
func InvitationOf(list []iot.Invitation, id string) (*iot.Invitation, error) {
	for i := range list {
		if list[i].ID.String() == id {
			return &list[i], nil
		}
	}
	return nil, iot.NewError(iot.NotFound, "There is no such invitation, or it is no longer open.")
}
