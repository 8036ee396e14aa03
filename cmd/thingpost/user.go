package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"thingpost/db"
	"thingpost/internal/iot"
)

// commandActor is the name of the command line in the audit log.
const commandActor = "thingpost user"

// withStore runs fn on the store of a data folder, whether its server runs or not.
func withStore(ctx context.Context, p *program, c storeConfig, fn func(*db.DB) error) error {
	if _, err := os.Stat(c.Data); err != nil {
		return &iot.Error{Code: iot.Unavailable, Message: "There is no data folder " + c.Data + ". Name the server's with -data.", Err: err}
	}
	// A newer program must not migrate the database of an older running server.
	d, err := db.Open(ctx, db.Options{Folder: c.Data, KeyFile: c.KeyFile, Now: p.now, AsItIs: serverRuns(c.Data)})
	if err != nil {
		return err
	}
	err = fn(d)
	return errors.Join(err, d.Close())
}

const userAddAbout = `Add a person. The password is read from the terminal, or the first line of standard input.
The first person becomes the instance's administrator and owner of its first organization.`

func userAddCommand(ctx context.Context, p *program, args []string) error {
	o := newOptions("user add", "EMAIL", userAddAbout)
	var c storeConfig
	var name, organization, role string
	o.dataOptions(&c.Data, &c.KeyFile)
	o.text(&name, "name", "NAME", "", "the person's name")
	o.text(&organization, "organization", "ID", "", "organization to join; optional if there is only one")
	o.text(&role, "role", "ROLE", "", "role in it: viewer, editor, admin or owner; without it the person does not join")
	o.validate = func() map[string]string {
		if role != "" && !iot.Role(role).Valid() {
			return map[string]string{"role": "must be viewer, editor, admin or owner"}
		}
		return nil
	}
	rest, err := o.parse(p, args, 1, 1)
	if err != nil {
		return err
	}
	a := &iot.Account{Email: rest[0], Name: name, Confirmed: true}
	if a.Name == "" {
		a.Name, _, _ = strings.Cut(a.Email, "@")
	}
	if err := iot.CheckEmail(a.Email); err != nil {
		return err
	}
	return withStore(ctx, p, c, func(d *db.DB) error {
		if a.PasswordHash, err = p.newPassword(ctx, a.Email); err != nil {
			return err
		}
		has, err := d.HasAccounts(ctx)
		if err != nil {
			return err
		}
		if !has {
			if err := d.SetUp(a, &iot.Organization{Name: firstOrganization}); err != nil {
				return err
			}
			p.say("Added %s, the administrator.", a.Email)
			return nil
		}
		var org *iot.Organization
		if role != "" {
			if org, err = findOrganization(ctx, d, organization); err != nil {
				return err
			}
		}
		if err := d.CreateAccount(a, commandActor); err != nil {
			return err
		}
		if org != nil {
			if err := d.SetMember(org.Key, a.Key, iot.Role(role), commandActor); err != nil {
				return err
			}
		}
		p.say("Added %s.", a.Email)
		return nil
	})
}

const userListAbout = `List people, their roles in organizations, and when they last signed in (UTC).`

func userListCommand(ctx context.Context, p *program, args []string) error {
	o := newOptions("user list", "", userListAbout)
	var c storeConfig
	o.dataOptions(&c.Data, &c.KeyFile)
	if _, err := o.parse(p, args, 0, 0); err != nil {
		return err
	}
	return withStore(ctx, p, c, func(d *db.DB) error {
		accounts, err := d.Accounts(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, "EMAIL\tNAME\tROLES\tLAST SIGN-IN")
		for _, a := range accounts {
			organizations, err := d.Organizations(ctx, a.Key)
			if err != nil {
				return err
			}
			var roles []string
			if a.Administrator {
				roles = append(roles, "administrator")
			}
			for _, org := range organizations {
				roles = append(roles, org.ID+":"+string(org.Role))
			}
			seen := "never"
			if a.SignedInAt != 0 {
				seen = a.SignedInAt.Time().Format("2006-01-02 15:04")
			}
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", a.Email, a.Name, strings.Join(roles, " "), seen)
		}
		return w.Flush()
	})
}

const userRoleAbout = `Set a person's ROLE in an organization: viewer, editor, admin or owner; none removes the person.
The person is not asked. On the dashboard people are invited, and join when they accept.`

func userRoleCommand(ctx context.Context, p *program, args []string) error {
	o := newOptions("user role", "EMAIL ROLE", userRoleAbout)
	var c storeConfig
	var organization string
	o.dataOptions(&c.Data, &c.KeyFile)
	o.text(&organization, "organization", "ID", "", "the organization; optional if there is only one")
	rest, err := o.parse(p, args, 2, 2)
	if err != nil {
		return err
	}
	role := iot.Role(rest[1])
	if rest[1] == "none" {
		role = ""
	} else if !role.Valid() {
		return o.usage("the role must be viewer, editor, admin, owner or none.")
	}
	return withStore(ctx, p, c, func(d *db.DB) error {
		a, err := d.AccountByEmail(ctx, rest[0])
		if err != nil {
			return err
		}
		org, err := findOrganization(ctx, d, organization)
		if err != nil {
			return err
		}
		if role != "" && !a.Confirmed {
			// The account may have been created by anybody, with a password of their
			// own.
			now, err := d.Role(ctx, org.Key, a.Key)
			if err != nil {
				return err
			}
			if now == "" {
				return iot.NewError(iot.Forbidden, "It is not confirmed that "+a.Email+" belongs to this account's owner: "+
					"somebody else may have created it. Set its password with thingpost user password, which confirms it, "+
					"or invite them on the page Members.")
			}
		}
		if err := d.SetMember(org.Key, a.Key, role, commandActor); err != nil {
			return err
		}
		p.say("%s in %s: %s.", a.Email, org.ID, rest[1])
		return nil
	})
}

const userPasswordAbout = `Set a person's password. It is read from the terminal or the first line of standard input.
All of the person's sessions and tokens end. From then on the account's email counts as confirmed.`

func userPasswordCommand(ctx context.Context, p *program, args []string) error {
	o := newOptions("user password", "EMAIL", userPasswordAbout)
	var c storeConfig
	o.dataOptions(&c.Data, &c.KeyFile)
	rest, err := o.parse(p, args, 1, 1)
	if err != nil {
		return err
	}
	return withStore(ctx, p, c, func(d *db.DB) error {
		a, err := d.AccountByEmail(ctx, rest[0])
		if err != nil {
			return err
		}
		hash, err := p.newPassword(ctx, a.Email)
		if err != nil {
			return err
		}
		if err := d.SetPassword(a.Key, hash, nil, commandActor); err != nil {
			return err
		}
		if err := d.ConfirmAccount(a.Key); err != nil {
			return err
		}
		p.say("The password of %s is set. All sessions and tokens were ended.", a.Email)
		return nil
	})
}

// findOrganization returns an organization by slug or UUID, or the only one.
func findOrganization(ctx context.Context, d *db.DB, name string) (*iot.Organization, error) {
	accounts, err := d.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	found := map[int64]iot.Organization{}
	for _, a := range accounts {
		list, err := d.Organizations(ctx, a.Key)
		if err != nil {
			return nil, err
		}
		for _, org := range list {
			if name == "" || org.ID == name || strings.EqualFold(org.UUID, name) {
				found[org.Key] = org
			}
		}
	}
	switch {
	case len(found) == 0:
		return nil, iot.NewError(iot.NotFound, "There is no such organization. See: thingpost user list.")
	case len(found) > 1:
		return nil, iot.NewError(iot.Invalid, "There are several organizations. Choose one with -organization. See: thingpost user list.")
	}
	for _, org := range found {
		return &org, nil
	}
	panic("not reached: there is one")
}

// newPassword reads a new password and returns its hash. It is never read from the
// command line, which everybody on the machine sees.
func (p *program) newPassword(ctx context.Context, email string) (iot.Secret, error) {
	text, err := p.readPassword()
	if err != nil {
		return "", &iot.Error{Code: iot.Invalid,
			Message: "There is no password to read. Enter it, or pass it as the first line of standard input.", Err: err}
	}
	return iot.NewPasswords().Hash(ctx, text, email)
}

func (p *program) readPassword() (iot.Secret, error) {
	if f, ok := p.stdin.(*os.File); ok {
		show, err := hideTyping(f)
		if err == nil {
			_, _ = fmt.Fprint(p.stderr, "Password: ")
			defer func() {
				show()
				_, _ = fmt.Fprintln(p.stderr)
			}()
		}
	}
	line, err := readLine(p.stdin)
	return iot.Secret(line), err
}

// readLine reads a line byte by byte: later bytes are not ours.
func readLine(r io.Reader) (string, error) {
	var line []byte
	var b [1]byte
	for len(line) <= iot.MaxPassword {
		n, err := r.Read(b[:])
		if n == 1 && b[0] == '\n' {
			break
		}
		line = append(line, b[:n]...)
		if errors.Is(err, io.EOF) && len(line) > 0 {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return strings.TrimSuffix(string(line), "\r"), nil
}
