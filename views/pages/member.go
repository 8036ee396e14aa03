package pages

import (
	"thingpost/internal/iot"
	"thingpost/views/ui"
)

// mayChange reports whether the reader may change a member: only an owner
// changes an owner.
func (p MembersPage) mayChange(m iot.Member) bool {
	return p.MayChange && (m.Role != iot.Owner || p.MayOwners)
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
