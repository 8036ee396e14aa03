package db

import (
	"context"
	"time"

	"thingpost/internal/iot"
)

// InvitationLifetime is how long an invitation can be accepted.
const InvitationLifetime = 7 * 24 * time.Hour

// maxInvitations bounds the open invitations of an organization.
const maxInvitations = 1000

const invitationColumns = `i.id, i.organization_id, o.slug, o.name, i.email, i.role, i.invited_by, a.email, a.administrator, ` +
	`i.expires_at, i.mail, i.mail_failure`

const fromInvitations = ` FROM invitations i JOIN organizations o ON o.id = i.organization_id JOIN accounts a ON a.id = i.invited_by `

func (d *DB) scanInvitation(row interface{ Scan(...any) error }) (*iot.Invitation, error) {
	var v iot.Invitation
	var key int64
	err := row.Scan(&key, &v.OrganizationKey, &v.Organization, &v.OrganizationName, &v.Email, &v.Role, &v.InviterKey, &v.InvitedBy,
		&v.ByAdministrator, &v.ExpiresAt, &v.Mail, &v.MailFailure)
	v.ID = d.ids.Of(key)
	return &v, err
}

// CreateInvitations invites people to an organization: all of them, or none. It reads Email,
// Role and Mail of each invitation and sets the other fields. Token, which opens it, is
// stored as a hash. An open invitation for the same email is replaced, and its link becomes
// invalid. Errors: forbidden if the actor may not invite; invalid for an unknown role or one
// that the inviter may not give; conflict for present members; limit_reached for more than
// 1,000 open invitations.
func (d *DB) CreateInvitations(o *iot.Organization, list []*iot.Invitation, by *iot.Account) error {
	for _, v := range list {
		if err := iot.CheckEmail(v.Email); err != nil {
			return err
		}
	}
	return d.write("invite", func(t *Tx) error {
		now := iot.At(t.db.now())
		role, err := t.roleOf(o.Key, by.Key)
		if err != nil {
			return err
		}
		for _, v := range list {
			if err := role.CheckGive(v.Role); err != nil {
				return err
			}
			var member bool
			if err := t.row(`SELECT EXISTS (SELECT 1 FROM members m JOIN accounts a ON a.id = m.account_id WHERE m.organization_id = $1 AND `+
				`a.email = $2)`,
				o.Key, v.Email).Scan(&member); err != nil {
				return err
			}
			if member {
				const text = "This account is a member already. Change its role in the list."
				return &iot.Error{Code: iot.Conflict, Message: text, Fields: map[string]string{"email": text}}
			}
			if _, err := t.exec(`DELETE FROM invitations WHERE organization_id = $1 AND email = $2`, o.Key, v.Email); err != nil {
				return err
			}
			v.ID, v.Token, v.ExpiresAt = t.db.NewID(), iot.NewToken(), now.Add(InvitationLifetime)
			v.OrganizationKey, v.Organization, v.OrganizationName = o.Key, o.ID, o.Name
			v.InviterKey, v.InvitedBy, v.ByAdministrator = by.Key, by.Email, by.Administrator
			if _, err := t.exec(`INSERT INTO invitations (id, organization_id, email, role, hash, invited_by, expires_at, mail) VALUES ($1,
				$2, $3, $4, $5, $6, $7, $8)`,
				v.ID.Key(), o.Key, v.Email, string(v.Role), hashOf(v.Token), by.Key, int64(v.ExpiresAt), string(v.Mail)); err != nil {
				return err
			}
			if err := t.auditOrganization(o.Key, by.Email, "invitation.create", v.Email, string(v.Role)); err != nil {
				return err
			}
		}
		var open int
		if err := t.row(`SELECT count(*) FROM invitations WHERE organization_id = $1`, o.Key).Scan(&open); err != nil {
			return err
		}
		if open > maxInvitations {
			return iot.NewError(iot.LimitReached, "An organization can have at most 1,000 open invitations. Revoke some first.")
		}
		return nil
	})
}

func (t *Tx) roleOf(organization, account int64) (role iot.Role, err error) {
	err = t.row(`SELECT coalesce((SELECT role FROM members WHERE organization_id = $1 AND account_id = $2), '')`, organization,
		account).Scan(&role)
	return role, err
}

// InvitationsOf returns an organization's open invitations, ordered by email.
func (d *DB) InvitationsOf(ctx context.Context, organization int64) ([]iot.Invitation, error) {
	return d.invitations(ctx, `i.organization_id = $1`, organization)
}

// InvitationsFor returns the open invitations that an account may accept without their
// links: those to its email, if the email is confirmed. Only that account sees them.
func (d *DB) InvitationsFor(ctx context.Context, a *iot.Account) ([]iot.Invitation, error) {
	if !a.Confirmed {
		return []iot.Invitation{}, nil
	}
	return d.invitations(ctx, `i.email = $1`, a.Email)
}

func (d *DB) invitations(ctx context.Context, where string, of any) ([]iot.Invitation, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT `+invitationColumns+fromInvitations+`WHERE `+where+
		` AND i.expires_at > $2 ORDER BY i.email, o.name, i.id`,
		of, int64(iot.At(d.now())))
	if err != nil {
		return nil, translate("list invitations", err)
	}
	defer func() { _ = rows.Close() }()
	list := []iot.Invitation{}
	for rows.Next() {
		v, err := d.scanInvitation(rows)
		if err != nil {
			return nil, translate("list invitations", err)
		}
		list = append(list, *v)
	}
	return list, translate("list invitations", rows.Err())
}

// Invitation returns the open invitation of a link's token; not_found.
func (d *DB) Invitation(ctx context.Context, token iot.Secret) (*iot.Invitation, error) {
	v, err := d.scanInvitation(d.reader.QueryRowContext(ctx, `SELECT `+invitationColumns+fromInvitations+
		`WHERE i.hash = $1 AND i.expires_at > $2`,
		hashOf(token), int64(iot.At(d.now()))))
	return v, orNoInvitation(err)
}

func orNoInvitation(err error) error {
	if isNoRow(err) {
		return iot.NewError(iot.NotFound, "This invitation is no longer open. It was accepted, declined, replaced or revoked, or is older "+
			"than seven days. Ask for a new one.")
	}
	return translate("read invitation", err)
}

// takeInvitation deletes and returns an open invitation to an account's email, if the email
// is confirmed or the token is the invitation's. An invitation can be taken once.
func (t *Tx) takeInvitation(id iot.ID, token iot.Secret, a *iot.Account) (*iot.Invitation, error) {
	v, err := t.db.scanInvitation(t.row(`SELECT `+invitationColumns+fromInvitations+`WHERE i.id = $1 AND i.email = $2 AND i.expires_at > $3
		AND (i.hash = $4 OR EXISTS (SELECT 1 FROM accounts WHERE id = $5 AND confirmed))`,
		id.Key(), a.Email, int64(iot.At(t.db.now())), hashOf(token), a.Key))
	if err != nil {
		return nil, orNoInvitation(err)
	}
	_, err = t.exec(`DELETE FROM invitations WHERE id = $1`, id.Key())
	return v, err
}

// AcceptInvitation makes an account a member by an invitation to its email: with the link's
// token, or without it ("") if the email is confirmed. A member keeps the higher of both
// roles. not_found if the invitation is not open, or is another's.
func (d *DB) AcceptInvitation(id iot.ID, token iot.Secret, a *iot.Account) error {
	return d.write("accept invitation", func(t *Tx) error {
		v, err := t.takeInvitation(id, token, a)
		if err != nil {
			return err
		}
		return t.join(v, a)
	})
}

func (t *Tx) join(v *iot.Invitation, a *iot.Account) error {
	now, err := t.roleOf(v.OrganizationKey, a.Key)
	if err != nil {
		return err
	}
	if !now.Rights().Has(v.Role.Rights()) {
		if err := t.setMember(v.OrganizationKey, a.Key, v.Role); err != nil {
			return err
		}
	}
	return t.auditOrganization(v.OrganizationKey, a.Email, "invitation.accept", v.Email, string(v.Role))
}

// JoinByInvitation creates an account for the holder of an invitation's link, with a
// password of their own, and accepts the invitation. The account's email is the
// invitation's; it is confirmed if the administrator invited. conflict if an account with
// this email exists; not_found.
func (d *DB) JoinByInvitation(token iot.Secret, a *iot.Account) error {
	return d.write("join", func(t *Tx) error {
		v, err := t.db.scanInvitation(t.row(`SELECT `+invitationColumns+fromInvitations+`WHERE i.hash = $1`, hashOf(token)))
		if err != nil {
			return orNoInvitation(err)
		}
		a.Email, a.Confirmed = v.Email, v.ByAdministrator
		if v, err = t.takeInvitation(v.ID, token, a); err != nil {
			return err
		}
		if err := t.createAccount(a); err != nil {
			return err
		}
		if err := t.audit(0, a.Email, "account.create", a.Email, "invited by "+v.InvitedBy); err != nil {
			return err
		}
		return t.join(v, a)
	})
}

// DeclineInvitation ends an invitation to an account; its errors are as of AcceptInvitation.
func (d *DB) DeclineInvitation(id iot.ID, token iot.Secret, a *iot.Account) error {
	return d.write("decline invitation", func(t *Tx) error {
		v, err := t.takeInvitation(id, token, a)
		if err != nil {
			return err
		}
		return t.auditOrganization(v.OrganizationKey, a.Email, "invitation.decline", v.Email, string(v.Role))
	})
}

// RevokeInvitation ends an organization's invitation; not_found.
func (d *DB) RevokeInvitation(organization int64, id iot.ID, actor string) error {
	return d.write("revoke invitation", func(t *Tx) error {
		var email string
		if err := t.row(`DELETE FROM invitations WHERE id = $1 AND organization_id = $2 RETURNING email`, id.Key(),
			organization).Scan(&email); err != nil {
			return orNoInvitation(err)
		}
		return t.auditOrganization(organization, actor, "invitation.revoke", email, "")
	})
}

// voidInvitations revokes the invitations that a member may no longer make.
func (t *Tx) voidInvitations(organization, inviter int64, role iot.Role, actor string) error {
	for _, invited := range iot.Roles() {
		for !role.MayInvite(invited) {
			var email string
			err := t.row(`DELETE FROM invitations WHERE id = (SELECT id FROM invitations WHERE invited_by = $1 AND organization_id = $2 AND role `+
				`= $3 LIMIT 1)
				RETURNING email`, inviter, organization, string(invited)).Scan(&email)
			if isNoRow(err) {
				break
			}
			if err == nil {
				err = t.auditOrganization(organization, actor, "invitation.revoke", email, "its inviter may not invite any more")
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// MailDone records the result of an invitation's mail: failure is "" if it was sent, or why
// it was not. An invitation that is no longer open is ignored.
func (d *DB) MailDone(id iot.ID, failure string) error {
	state := iot.MailSent
	if failure != "" {
		state = iot.MailFailed
	}
	return d.write("record a mail", func(t *Tx) error {
		_, err := t.exec(`UPDATE invitations SET mail = $1, mail_failure = $2 WHERE id = $3`, string(state), failure, id.Key())
		return err
	})
}

// FailMails records that mails which were being sent when the server stopped were not sent.
func (d *DB) FailMails(failure string) error {
	return d.write("fail mails", func(t *Tx) error {
		_, err := t.exec(`UPDATE invitations SET mail = $1, mail_failure = $2 WHERE mail = $3`, string(iot.MailFailed), failure,
			string(iot.MailSending))
		return err
	})
}

// ConfirmAccount records that an account's email belongs to it: the account may then accept
// invitations without their links; not_found.
func (d *DB) ConfirmAccount(key int64) error {
	return d.write("confirm account", func(t *Tx) error {
		return t.execOne("account", `UPDATE accounts SET confirmed = 1 WHERE id = $1`, key)
	})
}
