package iot

import (
	"net/url"
	"strings"
)

// Organization owns projects. Each of its members has a role.
type Organization struct {
	Key       int64   `json:"-"`
	ID        string  `json:"id"` // slug
	UUID      string  `json:"uuid"`
	Name      string  `json:"name"`
	CreatedAt Instant `json:"created_at"`
	// Description and Metadata (a JSON object, "" if none) are kept for clients of
	// other systems. UpdatedAt is 0 if nothing was changed.
	Description string  `json:"-"`
	Metadata    string  `json:"-"`
	UpdatedAt   Instant `json:"-"`
	// OwnerID is the account that has owned it longest.
	OwnerID ID `json:"-"`
	// Role is the role of the account that asks, if an account asks.
	Role Role `json:"role,omitempty"`
}

// OrganizationUpdate has the changes; nil leaves a value unchanged.
type OrganizationUpdate struct {
	Name        *string
	Description *string
	Metadata    *string
}

// Check returns an Invalid error that names every field out of bounds.
func (u OrganizationUpdate) Check() error {
	var f Faults
	checkName(&f, u.Name, MaxName)
	return f.Err()
}

// Role is what a member can do in an organization.
type Role string

// The roles. Each has all rights of those before it.
const (
	Viewer Role = "viewer" // reads
	Editor Role = "editor" // changes devices, profiles and webhooks, sends and replays
	Admin  Role = "admin"  // changes members, keys and projects
	Owner  Role = "owner"  // transfers or deletes the organization
)

// Roles returns all roles, the lowest first.
func Roles() []Role { return []Role{Viewer, Editor, Admin, Owner} }

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return r.Rights() != 0 }

// MayInvite reports whether a member with this role may invite others to a role: to
// none above the member's own.
func (r Role) MayInvite(other Role) bool {
	return r.Rights().Has(ManageMembers) && r.Rights().Has(other.Rights())
}

// CheckGive returns why a member with the role may not give others a role, by an
// invitation or a change: invalid, about the field role, or forbidden for who may give none.
func (r Role) CheckGive(other Role) error {
	switch {
	case !r.Rights().Has(ManageMembers):
		return NewError(Forbidden, "Your role does not let you invite anybody or change roles.")
	case !other.Valid():
		return FieldError("role", "Choose a role. There are viewer, editor, admin and owner.")
	case !r.MayInvite(other):
		return FieldError("role", "Only an owner can make another person an owner.")
	}
	return nil
}

// Rights returns what the role can do in the organization's projects.
func (r Role) Rights() Rights {
	const (
		viewer = ReadTraffic | ReadDevices
		editor = viewer | SendMessages | SendDownlinks | WriteDevices | ChangeSettings
		admin  = editor | ManageKeys | ManageMembers | ManageProject
	)
	switch r {
	case Viewer:
		return viewer
	case Editor:
		return editor
	case Admin:
		return admin
	case Owner:
		return admin | ManageOrganization
	}
	return 0
}

// Rights is a set of actions allowed in a project. Keys and roles are checked by the
// same sets.
type Rights uint32

// The rights. An API key can have the first seven and AllKeyRights, under The Things
// Stack's names. Only roles have the others.
const (
	SendMessages   Rights = 1 << iota // RIGHT_APPLICATION_TRAFFIC_UP_WRITE
	SendDownlinks                     // RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE
	ReadTraffic                       // RIGHT_APPLICATION_TRAFFIC_READ
	ChangeSettings                    // RIGHT_APPLICATION_SETTINGS_BASIC: webhooks and profiles; replays
	ManageKeys                        // RIGHT_APPLICATION_SETTINGS_API_KEYS
	ReadDevices                       // RIGHT_APPLICATION_DEVICES_READ
	WriteDevices                      // RIGHT_APPLICATION_DEVICES_WRITE
	ManageMembers                     // roles only
	ManageProject                     // roles only: rename or delete the project
	ManageOrganization
)

// AllKeyRights is RIGHT_APPLICATION_ALL.
const AllKeyRights = SendMessages | SendDownlinks | ReadTraffic | ChangeSettings | ManageKeys | ReadDevices | WriteDevices

const rightAll = "RIGHT_APPLICATION_ALL"

var rightNames = []struct {
	right Rights
	name  string
}{
	{SendMessages, "RIGHT_APPLICATION_TRAFFIC_UP_WRITE"},
	{SendDownlinks, "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"},
	{ReadTraffic, "RIGHT_APPLICATION_TRAFFIC_READ"},
	{ChangeSettings, "RIGHT_APPLICATION_SETTINGS_BASIC"},
	{ManageKeys, "RIGHT_APPLICATION_SETTINGS_API_KEYS"},
	{ReadDevices, "RIGHT_APPLICATION_DEVICES_READ"},
	{WriteDevices, "RIGHT_APPLICATION_DEVICES_WRITE"},
}

// Has reports whether the set has all rights of need.
func (r Rights) Has(need Rights) bool { return r&need == need }

// Names returns The Things Stack's names, or RIGHT_APPLICATION_ALL alone if the set has
// every right that a key can have.
func (r Rights) Names() []string {
	if r.Has(AllKeyRights) {
		return []string{rightAll}
	}
	names := []string{}
	for _, n := range rightNames {
		if r.Has(n.right) {
			names = append(names, n.name)
		}
	}
	return names
}

// RightNames returns every name that a key's rights can have, RIGHT_APPLICATION_ALL first.
func RightNames() []string {
	names := []string{rightAll}
	for _, n := range rightNames {
		names = append(names, n.name)
	}
	return names
}

// ParseRights reads names of rights. An unknown name or an empty list is an
// Invalid error of the field "rights".
func ParseRights(names []string) (Rights, error) {
	var r Rights
next:
	for _, name := range names {
		if name == rightAll {
			r |= AllKeyRights
			continue
		}
		for _, n := range rightNames {
			if n.name == name {
				r |= n.right
				continue next
			}
		}
		return 0, FieldError("rights", "Unknown right "+name+". The rights are "+strings.Join(RightNames(), ", ")+".")
	}
	if r == 0 {
		return 0, FieldError("rights", "Choose at least one right.")
	}
	return r, nil
}

// String returns the names, comma-separated, as SQL stores them.
func (r Rights) String() string { return strings.Join(r.Names(), ",") }

// Account is a person who signs in.
type Account struct {
	Key   int64  `json:"-"`
	ID    ID     `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
	// PasswordHash is argon2id in its usual text form. It is never in an answer.
	PasswordHash Secret `json:"-"`
	// Administrator of the instance: sees the storage and system pages.
	Administrator bool `json:"administrator"`
	// Confirmed means that the operator or the administrator has confirmed that the
	// email belongs to this person.
	Confirmed  bool    `json:"-"`
	CreatedAt  Instant `json:"created_at"`
	SignedInAt Instant `json:"signed_in_at"`
}

// Member is an account in an organization.
type Member struct {
	Account Account `json:"account"`
	Role    Role    `json:"role"`
	AddedAt Instant `json:"added_at"`
}

// MayMakeOrganizations returns a Forbidden error unless the account may create
// organizations: the administrator, or anybody if the host allows registration.
func (a *Account) MayMakeOrganizations(allowRegistration bool) error {
	if a.Administrator || allowRegistration {
		return nil
	}
	return NewError(Forbidden, "Only the administrator of this host can create organizations. "+
		"Ask for one, or for an invitation to an existing one.")
}

// Invitation asks a person, by email, to join an organization with a role.
type Invitation struct {
	ID               ID        `json:"id"`
	OrganizationKey  int64     `json:"-"`
	Organization     string    `json:"organization"` // slug
	OrganizationName string    `json:"-"`
	Email            string    `json:"email"`
	Role             Role      `json:"role"`
	InviterKey       int64     `json:"-"`
	InvitedBy        string    `json:"invited_by"` // email
	ByAdministrator  bool      `json:"-"`          // the inviter is the host's administrator
	ExpiresAt        Instant   `json:"expires_at"`
	Mail             MailState `json:"mail"`
	MailFailure      string    `json:"mail_failure"` // why it failed, for people
	Token            Secret    `json:"-"`            // opens it; known only when it is created
}

// MailState is what became of an invitation's mail.
type MailState string

// The states of a mail.
const (
	MailNone    MailState = ""        // none was to be sent
	MailSending MailState = "sending" // or waits to be tried again
	MailSent    MailState = "sent"    // the mail server has accepted it
	MailFailed  MailState = "failed"
)

// InvitationPath is where an invitation is answered.
const InvitationPath = "/invitation"

// Link returns the link that opens an invitation whose token is known, below a host's
// address without a slash at its end; "" is a path.
func (v *Invitation) Link(host string) string {
	return host + InvitationPath + "?token=" + url.QueryEscape(v.Token.Reveal())
}

// Token lets a program act as an account for a limited time.
type Token struct {
	Key        int64   `json:"-"`
	AccountKey int64   `json:"-"`
	CreatedAt  Instant `json:"created_at"`
	ExpiresAt  Instant `json:"expires_at"`
}

// APIKey is a secret of a project. Its text is shown once and stored as a hash.
type APIKey struct {
	ID         string   `json:"id"` // the 39 characters between the dots of its text
	ProjectKey int64    `json:"-"`
	Name       string   `json:"name"`
	Rights     Rights   `json:"-"`
	Names      []string `json:"rights"`
	CreatedAt  Instant  `json:"created_at"`
	CreatedBy  string   `json:"created_by"`
	ExpiresAt  Instant  `json:"expires_at"`
	UsedAt     Instant  `json:"used_at"`
}

// Outlives reports whether k still works after o has expired.
func (k *APIKey) Outlives(o *APIKey) bool {
	return o.ExpiresAt != 0 && (k.ExpiresAt == 0 || k.ExpiresAt > o.ExpiresAt)
}

// MayMake returns a Forbidden error that names the fields at fault if the new key made
// has a right that its maker k lacks, or expires later than k.
func (k *APIKey) MayMake(made *APIKey) error {
	if more := made.Rights &^ k.Rights; more != 0 {
		names := strings.Join(more.Names(), ", ")
		return &Error{Code: Forbidden, Message: "A key cannot have rights that its maker does not have: " + names + ".",
			Fields: map[string]string{"rights": "must not include " + names + "."}}
	}
	if made.Outlives(k) {
		end := k.ExpiresAt.String()
		return &Error{Code: Forbidden, Message: "A key cannot outlive the key that creates or changes it, which expires at " + end +
			". Set expires_at to that time or earlier.",
			Fields: map[string]string{"expires_at": "must be at most " + end + "."}}
	}
	return nil
}

// MayChange returns a Forbidden error unless the key k may change the key was into to.
// k cannot change a key that has a right which k lacks. It can add a right or time only
// if MayMake allows the result. It can rename a key that outlives it, shorten its life
// or remove rights.
func (k *APIKey) MayChange(was, to *APIKey) error {
	if more := was.Rights &^ k.Rights; more != 0 {
		return NewError(Forbidden, "This key has rights that yours does not have: "+strings.Join(more.Names(), ", ")+
			". You can revoke it, but not change it.")
	}
	if to.Rights&^was.Rights == 0 && !to.Outlives(was) {
		return nil
	}
	return k.MayMake(to)
}

// AuditEntry is who changed what, and when.
type AuditEntry struct {
	ID         ID      `json:"id"`
	ProjectKey int64   `json:"-"`
	At         Instant `json:"at"`
	Project    string  `json:"-"` // slug; "" if it concerns no project
	// Actor is an account's email, an API key's name, or "thingpost" for the program.
	Actor string `json:"actor"`
	// Action is a verb and a noun, such as "webhook.create".
	Action string `json:"action"`
	// Subject is the slug or name of what was changed.
	Subject string `json:"subject"`
	// Detail is what changed, without secrets; may be empty.
	Detail string `json:"detail"`
}
