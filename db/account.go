package db

import (
	"context"
	"database/sql"

	"thingpost/internal/iot"
)

const accountColumns = `a.id, a.email, a.name, a.password_hash, a.administrator, a.confirmed, a.created_at, a.signed_in_at`

func (d *DB) scanAccount(row interface{ Scan(...any) error }, more ...any) (*iot.Account, error) {
	var a iot.Account
	var hash string
	into := append([]any{&a.Key, &a.Email, &a.Name, &hash, &a.Administrator, &a.Confirmed, &a.CreatedAt, &a.SignedInAt}, more...)
	if err := row.Scan(into...); err != nil {
		return nil, err
	}
	a.ID, a.PasswordHash = d.ids.Of(a.Key), iot.Secret(hash)
	return &a, nil
}

// HasAccounts reports whether the instance was set up.
func (d *DB) HasAccounts(ctx context.Context) (bool, error) {
	var has bool
	err := d.reader.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM accounts)`).Scan(&has)
	return has, translate("look for accounts", err)
}

// Account returns an account by its key; not_found.
func (d *DB) Account(ctx context.Context, key int64) (*iot.Account, error) {
	a, err := d.scanAccount(d.reader.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM accounts a WHERE a.id = $1`, key))
	return a, orNotFound("account", err)
}

// AccountByEmail returns an account by its email in any case; not_found.
func (d *DB) AccountByEmail(ctx context.Context, email string) (*iot.Account, error) {
	a, err := d.scanAccount(d.reader.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM accounts a WHERE a.email = $1`, email))
	return a, orNotFound("account", err)
}

// Accounts returns all accounts in the order of their emails.
func (d *DB) Accounts(ctx context.Context) ([]iot.Account, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT `+accountColumns+` FROM accounts a ORDER BY a.email`)
	if err != nil {
		return nil, translate("list accounts", err)
	}
	defer func() { _ = rows.Close() }()
	list := []iot.Account{}
	for rows.Next() {
		a, err := d.scanAccount(rows)
		if err != nil {
			return nil, translate("list accounts", err)
		}
		list = append(list, *a)
	}
	return list, translate("list accounts", rows.Err())
}

// SetUp creates the first account, an administrator, and an organization that it owns.
// Conflict if an account exists already.
func (d *DB) SetUp(a *iot.Account, o *iot.Organization) error {
	return d.write("set up", func(t *Tx) error {
		var has bool
		if err := t.row(`SELECT EXISTS (SELECT 1 FROM accounts)`).Scan(&has); err != nil {
			return err
		}
		if has {
			return iot.NewError(iot.Conflict, "This Thingpost is set up already. Sign in instead.")
		}
		a.Administrator, a.Confirmed = true, true
		if err := t.createAccount(a); err != nil {
			return err
		}
		if err := t.createOrganization(o); err != nil {
			return err
		}
		if err := t.setMember(o.Key, a.Key, iot.Owner); err != nil {
			return err
		}
		return t.audit(0, a.Email, "instance.set_up", a.Email, "")
	})
}

// CreateAccount adds an account; conflict if its email is taken. Key, ID and
// CreatedAt are set.
func (d *DB) CreateAccount(a *iot.Account, actor string) error {
	return d.write("create account", func(t *Tx) error {
		if err := t.createAccount(a); err != nil {
			return err
		}
		return t.audit(0, actor, "account.create", a.Email, "")
	})
}

func (t *Tx) createAccount(a *iot.Account) error {
	a.ID = t.db.NewID()
	a.Key, a.CreatedAt = a.ID.Key(), iot.At(t.db.now())
	_, err := t.exec(`INSERT INTO accounts (id, email, name, password_hash, administrator, confirmed, created_at) VALUES ($1, $2, $3, $4,
		$5, $6, $7)`,
		a.Key, a.Email, a.Name, a.PasswordHash.Reveal(), a.Administrator, a.Confirmed, int64(a.CreatedAt))
	if isTaken(err) {
		return &iot.Error{Code: iot.Conflict, Message: "An account with this email exists already.",
			Fields: map[string]string{"email": "An account with this email exists already."}}
	}
	return err
}

// SetPassword changes an account's password. It ends all its tokens and all its sessions
// except the one named by its hash (nil: none stays).
func (d *DB) SetPassword(key int64, hash iot.Secret, keep []byte, actor string) error {
	return d.write("set password", func(t *Tx) error {
		if err := t.execOne("account", `UPDATE accounts SET password_hash = $1 WHERE id = $2`, hash.Reveal(), key); err != nil {
			return err
		}
		if keep == nil {
			keep = []byte{}
		}
		if _, err := t.exec(`DELETE FROM sessions WHERE account_id = $1 AND hash <> $2`, key, keep); err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM tokens WHERE account_id = $1`, key); err != nil {
			return err
		}
		var email string
		if err := t.row(`SELECT email FROM accounts WHERE id = $1`, key).Scan(&email); err != nil {
			return err
		}
		return t.audit(0, actor, "account.password", email, "")
	})
}

// SetAccountName changes an account's name; invalid, not_found.
func (d *DB) SetAccountName(a *iot.Account, name, actor string) error {
	var f iot.Faults
	f.Check(name != "" && iot.TextLength(name) <= iot.MaxName && !iot.HasControl(name), "name", "must have 1 to 254 characters in one line.")
	if err := f.Err(); err != nil {
		return err
	}
	return d.write("set account name", func(t *Tx) error {
		if err := t.execOne("account", `UPDATE accounts SET name = $1 WHERE id = $2`, name, a.Key); err != nil {
			return err
		}
		a.Name = name
		return t.audit(0, actor, "account.update", a.Email, "name")
	})
}

const organizationColumns = `o.id, o.slug, o.uuid, o.name, o.created_at, o.description, o.metadata, o.updated_at,
	coalesce((SELECT account_id FROM members WHERE organization_id = o.id AND role = 'owner'
	ORDER BY added_at, account_id LIMIT 1), 0), m.role`

func (d *DB) scanOrganization(row interface{ Scan(...any) error }) (*iot.Organization, error) {
	var o iot.Organization
	var owner int64
	err := row.Scan(&o.Key, &o.ID, &o.UUID, &o.Name, &o.CreatedAt, &o.Description, &o.Metadata, &o.UpdatedAt, &owner, &o.Role)
	o.OwnerID = d.ids.Of(owner)
	return &o, err
}

// Organizations returns an account's organizations with its role, the oldest first.
func (d *DB) Organizations(ctx context.Context, account int64) ([]iot.Organization, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT `+organizationColumns+`
		FROM organizations o JOIN members m ON m.organization_id = o.id WHERE m.account_id = $1 ORDER BY o.id`, account)
	if err != nil {
		return nil, translate("list organizations", err)
	}
	defer func() { _ = rows.Close() }()
	list := []iot.Organization{}
	for rows.Next() {
		o, err := d.scanOrganization(rows)
		if err != nil {
			return nil, translate("list organizations", err)
		}
		list = append(list, *o)
	}
	return list, translate("list organizations", rows.Err())
}

const organizationQuery = `SELECT ` + organizationColumns + ` FROM organizations o
	JOIN members m ON m.organization_id = o.id WHERE m.account_id = $1 AND `

// Organization returns one of an account's organizations by slug or UUID; not_found.
func (d *DB) Organization(ctx context.Context, account int64, name string) (*iot.Organization, error) {
	query, name := byName(name, organizationQuery+`o.slug = $2`, organizationQuery+`o.uuid = $2`)
	o, err := d.scanOrganization(d.reader.QueryRowContext(ctx, query, account, name))
	return o, orNotFound("organization", err)
}

// CreateOrganization creates an organization that the account owns. An empty ID is made
// from the name. Conflict if the ID is taken.
func (d *DB) CreateOrganization(o *iot.Organization, owner *iot.Account) error {
	return d.write("create organization", func(t *Tx) error {
		if err := t.createOrganization(o); err != nil {
			return err
		}
		o.Role = iot.Owner
		if err := t.setMember(o.Key, owner.Key, iot.Owner); err != nil {
			return err
		}
		return t.auditOrganization(o.Key, owner.Email, "organization.create", o.ID, "")
	})
}

func (t *Tx) createOrganization(o *iot.Organization) error {
	if err := t.pickSlug(&o.ID, o.Name, `SELECT 1 FROM organizations WHERE slug = $1`); err != nil {
		return err
	}
	o.UUID, o.CreatedAt = t.db.NewID().String(), iot.At(t.db.now())
	r, err := t.exec(`INSERT INTO organizations (slug, uuid, name, created_at, description, metadata) VALUES ($1, $2, $3, $4, $5, $6)`,
		o.ID, o.UUID, o.Name, int64(o.CreatedAt), o.Description, o.Metadata)
	if err != nil {
		return slugTaken(err)
	}
	o.Key, err = r.LastInsertId()
	return err
}

// Members returns an organization's members in the order of their emails.
func (d *DB) Members(ctx context.Context, organization int64) ([]iot.Member, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT `+accountColumns+`, m.role, m.added_at FROM members m JOIN accounts a ON a.id = `+
		`m.account_id
		WHERE m.organization_id = $1 ORDER BY a.email`, organization)
	if err != nil {
		return nil, translate("list members", err)
	}
	defer func() { _ = rows.Close() }()
	list := []iot.Member{}
	for rows.Next() {
		var m iot.Member
		a, err := d.scanAccount(rows, &m.Role, &m.AddedAt)
		if err != nil {
			return nil, translate("list members", err)
		}
		m.Account = *a
		list = append(list, m)
	}
	return list, translate("list members", rows.Err())
}

// SetMember gives an account a role in an organization or changes its role; an empty role
// removes the member. The account is not asked: this is for the operator's commands, and
// people join by AcceptInvitation. Invitations that the account may no longer make are
// revoked. Conflict if no owner would be left.
func (d *DB) SetMember(organization, account int64, role iot.Role, actor string) error {
	return d.write("set member", func(t *Tx) error { return t.changeMember(organization, account, role, actor) })
}

// ChangeMember is SetMember for present members. The error is not_found for others, also
// for someone who has just left: nobody is added again without being asked.
func (d *DB) ChangeMember(organization, account int64, role iot.Role, actor string) error {
	return d.write("change member", func(t *Tx) error {
		now, err := t.roleOf(organization, account)
		if err == nil && now == "" {
			err = notFound("member")
		}
		if err != nil {
			return err
		}
		return t.changeMember(organization, account, role, actor)
	})
}

func (t *Tx) changeMember(organization, account int64, role iot.Role, actor string) error {
	var email string
	if err := t.row(`SELECT email FROM accounts WHERE id = $1`, account).Scan(&email); err != nil {
		return orNotFound("account", err)
	}
	action := "member.set"
	if role == "" {
		action = "member.remove"
		if err := t.execOne("member", `DELETE FROM members WHERE organization_id = $1 AND account_id = $2`, organization, account); err != nil {
			return err
		}
	} else if err := t.setMember(organization, account, role); err != nil {
		return err
	}
	var owners int
	if err := t.row(`SELECT count(*) FROM members WHERE organization_id = $1 AND role = 'owner'`, organization).Scan(&owners); err != nil {
		return err
	}
	if owners == 0 {
		return iot.NewError(iot.Conflict, "An organization needs an owner. Make somebody else an owner first.")
	}
	if err := t.voidInvitations(organization, account, role, actor); err != nil {
		return err
	}
	return t.auditOrganization(organization, actor, action, email, string(role))
}

func (t *Tx) setMember(organization, account int64, role iot.Role) error {
	_, err := t.exec(`INSERT INTO members (organization_id, account_id, role, added_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT DO UPDATE SET role = excluded.role`, organization, account, string(role), int64(iot.At(t.db.now())))
	return err
}

// pickSlug checks a slug, or makes an empty one from the name. The query finds a row if a
// slug is taken; its arguments are the slug and more.
func (t *Tx) pickSlug(slug *string, name, taken string, more ...any) error {
	return pickSlug(slug, name, iot.CheckSlug, func(s string) *sql.Row { return t.row(taken, append([]any{s}, more...)...) })
}

// pickSlug is Tx.pickSlug with a rule for slugs, and a function that finds a row if a slug
// is taken.
func pickSlug(slug *string, name string, check func(field, s string) error, find func(slug string) *sql.Row) error {
	var failed error
	isTaken := func(s string) bool {
		var one int
		err := find(s).Scan(&one)
		if err != nil && !isNoRow(err) {
			failed = err // and ends the search
			return false
		}
		return err == nil
	}
	if *slug == "" {
		made := iot.MakeSlug(name, isTaken)
		if failed == nil {
			*slug = made
		}
		return failed
	}
	if err := check("id", *slug); err != nil {
		return err
	}
	if isTaken(*slug) {
		return errSlugTaken
	}
	return failed
}

var errSlugTaken = &iot.Error{Code: iot.Conflict, Message: "This id is taken. Choose another.",
	Fields: map[string]string{"id": "This id is taken. Choose another."}}

func slugTaken(err error) error {
	if isTaken(err) {
		return errSlugTaken
	}
	return err
}
