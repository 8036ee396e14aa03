package iot

// Project owns devices, webhooks and keys.
type Project struct {
	Key             int64   `json:"-"`
	OrganizationKey int64   `json:"-"`
	ID              string  `json:"id"` // slug
	UUID            string  `json:"uuid"`
	Name            string  `json:"name"`
	Organization    string  `json:"organization"` // slug
	AutoRegister    bool    `json:"auto_register"`
	CreatedAt       Instant `json:"created_at"`
	UpdatedAt       Instant `json:"updated_at"`
	// Role is the asking account's role in the project, where one asks.
	Role Role `json:"role,omitempty"`
}

// ProjectUpdate holds what is to change; nil leaves a value as it is.
type ProjectUpdate struct {
	Name         *string `json:"name"`
	AutoRegister *bool   `json:"auto_register"`
}

// Profile says how the messages of its devices are treated.
type Profile struct {
	Key       int64  `json:"-"`
	ProjectID int64  `json:"-"`
	ID        string `json:"id"` // slug
	UUID      string `json:"uuid"`
	Name      string `json:"name"`
	// Webhook off: messages are stored, but go to no webhook.
	Webhook bool `json:"webhook"`
	// Write off: messages are kept only until they are delivered.
	Write bool `json:"write"`
	// ExpectedIntervalMS is how often its devices are expected to send, unless they
	// have an interval of their own; 0: nobody expects them.
	ExpectedIntervalMS int64   `json:"expected_interval_ms"`
	CreatedAt          Instant `json:"created_at"`
	UpdatedAt          Instant `json:"updated_at"`
}

// DefaultProfile is the slug of the profile that each project is made with and
// that devices have unless another is chosen. It cannot be deleted.
const DefaultProfile = "default"

// ProfileUpdate holds what is to change; nil leaves a value as it is.
type ProfileUpdate struct {
	Name    *string `json:"name"`
	Webhook *bool   `json:"webhook"`
	Write   *bool   `json:"write"`
	// ExpectedIntervalMS: MinIntervalMS to MaxIntervalMS, or 0 for none.
	ExpectedIntervalMS *int64 `json:"expected_interval_ms"`
}

// Check returns an Invalid error that names every field out of bounds.
func (u ProfileUpdate) Check() error {
	var f Faults
	checkName(&f, u.Name)
	checkInterval(&f, u.ExpectedIntervalMS)
	return f.Err()
}

// Check returns an Invalid error that names every field out of bounds.
func (u ProjectUpdate) Check() error {
	var f Faults
	checkName(&f, u.Name)
	return f.Err()
}

// MaxName is the most characters that a name may have.
const MaxName = 254

func checkName(f *Faults, name *string) {
	if name != nil {
		f.Check(TextLength(*name) >= 1 && TextLength(*name) <= MaxName, "name", "must have 1 to 254 characters.")
	}
}
