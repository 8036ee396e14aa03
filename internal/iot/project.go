package iot

import "strconv"

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
	// Description and Metadata (a JSON object, "" if none) are kept for clients of
	// other systems.
	Description string `json:"-"`
	Metadata    string `json:"-"`
	// Role is the role of the account that asks, if an account asks.
	Role Role `json:"role,omitempty"`
}

// ProjectUpdate has the changes; nil leaves a value unchanged.
type ProjectUpdate struct {
	Name         *string `json:"name"`
	AutoRegister *bool   `json:"auto_register"`
	Description  *string `json:"-"`
	Metadata     *string `json:"-"`
}

// Check returns an Invalid error that names every field out of bounds.
func (u ProjectUpdate) Check() error {
	var f Faults
	checkName(&f, u.Name, MaxThingName)
	return f.Err()
}

// The maximum lengths of names in characters: of projects, profiles and devices (as in
// Mainflux), and of everything else.
const (
	MaxThingName = 1024
	MaxName      = 254
)

func checkName(f *Faults, name *string, most int) {
	if name != nil {
		f.Check(TextLength(*name) >= 1 && TextLength(*name) <= most, "name", "must have 1 to "+strconv.Itoa(most)+" characters.")
	}
}
