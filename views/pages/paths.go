package pages

import (
	"net/url"
	"strings"
)

// The pages outside of projects.
const (
	HomePath          = "/"
	AllProjectsPath   = "/?all=1" // the list, also if there is one project only
	SetUpPath         = "/setup"
	SignInPath        = "/sign-in"
	SignOutPath       = "/sign-out"
	ThemePath         = "/theme"
	AccountPath       = "/settings"
	PasswordPath      = "/settings/password"
	OrganizationsPath = "/settings/organizations"
	NewProjectPath    = "/projects/new"
	DocumentationPath = "/api/v1/openapi.json"
	AccountNamePath   = "/settings/name"
	StylePath         = "/settings/style" // only where it was asked for
)

// Organization is an organization, by its slug; its methods are the addresses
// of its pages.
type Organization struct {
	ID string
	// Project is a project of it whose navigation stays beside its pages; may be
	// empty.
	Project string
}

func (o Organization) below(parts ...string) string {
	return withQuery(OrganizationsPath+joined(append([]string{o.ID}, parts...)...), "project", o.Project)
}

// Members is the list of members; a POST invites somebody.
func (o Organization) Members() string { return o.below("members") }

// RevokeInvitation asks before an invitation is revoked; a POST does it.
func (o Organization) RevokeInvitation(id string) string { return o.below("invitations", id, "revoke") }

// AnswerInvitation is where an account answers an invitation of its own.
func AnswerInvitation(id string) string { return "/settings/invitations/" + url.PathEscape(id) }

// SignInFor is the sign-in that leads to a page.
func SignInFor(next string) string { return withQuery(SignInPath, "next", next) }

// Member is one member, by the account's id: a POST changes the role.
func (o Organization) Member(account string) string { return o.below("members", account) }

// RemoveMember asks before a member is taken out; a POST does it.
func (o Organization) RemoveMember(account string) string {
	return o.below("members", account, "remove")
}

// Audit is the organization's list of changes, with those of its projects; pairs
// of a parameter and its value filter it.
func (o Organization) Audit(filter ...string) string {
	return withQuery(OrganizationsPath+joined(o.ID, "audit"), append(filter, "project", o.Project)...)
}

// Instance is this host as a whole; its methods are the addresses of the pages
// of its administrator.
type Instance struct {
	// Project is a project whose navigation stays beside the pages; may be empty.
	Project string
}

func (i Instance) below(parts ...string) string {
	return withQuery(AccountPath+joined(parts...), "project", i.Project)
}

// Storage shows how large the database is, and its backups.
func (i Instance) Storage() string { return i.below("storage") }

// NewBackup makes a backup, as POST.
func (i Instance) NewBackup() string { return i.below("storage", "backups") }

// Backup downloads a backup.
func (i Instance) Backup(name string) string { return i.below("storage", "backups", name) }

// DeleteBackup asks before a backup is deleted; a POST does it.
func (i Instance) DeleteBackup(name string) string {
	return i.below("storage", "backups", name, "delete")
}

// Prune asks before what is too old is removed at once; a POST does it.
func (i Instance) Prune() string { return i.below("storage", "prune") }

// System shows version, health and options.
func (i Instance) System() string { return i.below("system") }

// Audit is the list of all changes; pairs of a parameter and its value filter it.
func (i Instance) Audit(filter ...string) string {
	return withQuery(AccountPath+joined("audit"), append(filter, "project", i.Project)...)
}

// In is a project, by its slug; its methods are the addresses of its pages.
type In string

func (p In) base() string { return "/projects" + joined(string(p)) }

func (p In) below(parts ...string) string { return p.base() + joined(parts...) }

// Overview is the project's first page.
func (p In) Overview() string { return p.base() }

// Settings is the form of the project itself.
func (p In) Settings() string { return p.below("settings") }

// Upstream saves where downlinks go on to, by a POST.
func (p In) Upstream() string { return p.below("settings", "upstream") }

// RemoveUpstream asks before downlinks go on to nowhere; a POST does it.
func (p In) RemoveUpstream() string { return p.below("settings", "upstream", "remove") }

// Embeds lists the links to embedded logs; a POST makes one.
func (p In) Embeds() string { return p.below("embeds") }

// RevokeEmbed asks before a link is revoked; a POST does it.
func (p In) RevokeEmbed(id string) string { return p.below("embeds", id, "revoke") }

// Delete asks before the project is deleted; a POST does it.
func (p In) Delete() string { return p.below("delete") }

// FirstKey makes a key for the first steps, as POST.
func (p In) FirstKey() string { return p.below("first-key") }

// Events is the stream of names of what changed.
func (p In) Events() string { return p.below("events") }

// Audit is the list of changes; pairs of a parameter and its value filter it.
func (p In) Audit(filter ...string) string { return withQuery(p.below("audit"), filter...) }

// Webhooks is the panel "Configure webhooks"; a POST to NewWebhook creates.
func (p In) Webhooks() string { return p.below("webhooks") }

// NewWebhook is the empty form; a POST creates.
func (p In) NewWebhook() string { return p.below("webhooks", "new") }

// CopyWebhook is the form for a new webhook with the settings of another.
func (p In) CopyWebhook(id string) string { return withQuery(p.NewWebhook(), "copy", id) }

// PreviewWebhook answers what the posted form would do with a message.
func (p In) PreviewWebhook() string { return p.below("webhooks", "preview") }

// Templates is the gallery of templates, by pairs of a parameter and its value:
// "q" is searched for, "kind" is what they are for.
func (p In) Templates(query ...string) string { return withQuery(p.below("templates"), query...) }

// Template is the form of a template; a POST makes a webhook of it.
func (p In) Template(id string) string { return p.below("templates", id) }

// PreviewTemplate answers what a webhook of the posted form would do with a
// message.
func (p In) PreviewTemplate(id string) string { return p.below("templates", id, "preview") }

// Webhook is the form; a POST saves.
func (p In) Webhook(id string) string { return p.below("webhooks", id) }

// DeleteWebhook asks first; a POST deletes.
func (p In) DeleteWebhook(id string) string { return p.below("webhooks", id, "delete") }

// PauseWebhook pauses, as POST.
func (p In) PauseWebhook(id string) string { return p.below("webhooks", id, "pause") }

// ResumeWebhook lets a paused webhook go on, as POST.
func (p In) ResumeWebhook(id string) string { return p.below("webhooks", id, "resume") }

// TestWebhook sends a test, as POST.
func (p In) TestWebhook(id string) string { return p.below("webhooks", id, "test") }

// WebhookSecret rotates the signing secret, as POST.
func (p In) WebhookSecret(id string) string { return p.below("webhooks", id, "secret") }

// Deliveries is the log, filtered by pairs of a parameter and its value. Empty
// values are left out.
func (p In) Deliveries(filter ...string) string {
	return withQuery(p.below("deliveries"), filter...)
}

// Delivery is one delivery with its attempts.
func (p In) Delivery(id string) string { return p.below("deliveries", id) }

// RetryDelivery sends again, as POST.
func (p In) RetryDelivery(id string) string { return p.below("deliveries", id, "retry") }

// CancelDelivery stops a pending one, as POST.
func (p In) CancelDelivery(id string) string { return p.below("deliveries", id, "cancel") }

// ReplayDeliveries asks before all that a filter chooses are sent again; a POST
// does it. The filter is as of Deliveries.
func (p In) ReplayDeliveries(filter ...string) string {
	return withQuery(p.below("deliveries", "replay"), filter...)
}

// CancelDeliveries asks before all pending ones that a filter chooses are
// cancelled; a POST does it. The filter is as of Deliveries.
func (p In) CancelDeliveries(filter ...string) string {
	return withQuery(p.below("deliveries", "cancel"), filter...)
}

// ExportDeliveries is the log as a file; the filter is as of Deliveries.
func (p In) ExportDeliveries(format string, filter ...string) string {
	return withQuery(p.below("deliveries", "export"), append([]string{ParamFormat, format}, filter...)...)
}

// ExportMessages is the list of messages as a file; the filter is as of Messages.
func (p In) ExportMessages(format string, filter ...string) string {
	return withQuery(p.below("messages", "export"), append([]string{ParamFormat, format}, filter...)...)
}

// Commands is the list of commands to all devices.
func (p In) Commands() string { return p.below("commands") }

// CommandsBefore is the page of the list that ends before a command.
func (p In) CommandsBefore(id string) string { return withQuery(p.Commands(), ParamBefore, id) }

// StopCommand ends a running command, as POST.
func (p In) StopCommand(id string) string { return p.below("commands", id, "stop") }

// Replays is the list of replays.
func (p In) Replays() string { return p.below("replays") }

// ReplaysBefore is the page of the list that ends before a replay.
func (p In) ReplaysBefore(id string) string { return withQuery(p.Replays(), ParamBefore, id) }

// Replay is one replay.
func (p In) Replay(id string) string { return p.below("replays", id) }

// StopReplay ends a running replay, as POST.
func (p In) StopReplay(id string) string { return p.below("replays", id, "stop") }

// SendMessages asks to which webhook all messages that a filter chooses are
// sent; a POST does it. The filter is as of Messages.
func (p In) SendMessages(filter ...string) string {
	return withQuery(p.below("messages", "send"), filter...)
}

// Messages is the list of messages, filtered as Deliveries.
func (p In) Messages(filter ...string) string {
	return withQuery(p.below("messages"), filter...)
}

// Message is one message, with why each webhook got it or not.
func (p In) Message(id string) string { return p.below("messages", id) }

// SendMessage asks which webhook a message is sent to; a POST does it.
func (p In) SendMessage(id string) string { return p.below("messages", id, "send") }

// Devices is the list of devices, by pairs of a parameter and its value: "q" is
// searched for, "after" is the device before the page.
func (p In) Devices(query ...string) string { return withQuery(p.below("devices"), query...) }

// NewDevice is the empty form; a POST creates.
func (p In) NewDevice() string { return p.below("devices", "new") }

// Device is one device.
func (p In) Device(id string) string { return p.below("devices", id) }

// EditDevice is the form; a POST saves.
func (p In) EditDevice(id string) string { return p.below("devices", id, "edit") }

// DeviceKey asks before the key is replaced; a POST reveals or replaces it.
func (p In) DeviceKey(id string) string { return p.below("devices", id, "key") }

// SendAsDevice is the form of a test message; a POST sends it.
func (p In) SendAsDevice(id string) string { return p.below("devices", id, "test") }

// PushDownlink is the form of a downlink; a POST queues it.
func (p In) PushDownlink(device string) string { return p.below("devices", device, "downlinks") }

// ClearDownlinks asks before a device's queue is emptied; a POST does it.
func (p In) ClearDownlinks(device string) string {
	return p.below("devices", device, "downlinks", "clear")
}

// RemoveDownlink takes one out of the queue, as POST.
func (p In) RemoveDownlink(device, id string) string {
	return p.below("devices", device, "downlinks", id, "remove")
}

// DeleteDevice asks first; a POST deletes.
func (p In) DeleteDevice(id string) string { return p.below("devices", id, "delete") }

// Inspector shows what the project's built-in receiver got; a POST gives the
// project one.
func (p In) Inspector() string { return p.below("inspector") }

// Inspection is the inspector with one request shown whole.
func (p In) Inspection(id string) string { return withQuery(p.Inspector(), "request", id) }

// InspectorAnswer sets what the inspector answers, as POST.
func (p In) InspectorAnswer() string { return p.below("inspector", "answer") }

// InspectorWebhook makes a webhook that leads to the inspector, as POST.
func (p In) InspectorWebhook() string { return p.below("inspector", "webhook") }

// ClearInspector asks before what the inspector got is forgotten; a POST does it.
func (p In) ClearInspector() string { return p.below("inspector", "clear") }

// Keys is the list of API keys.
func (p In) Keys() string { return p.below("keys") }

// NewKey is the empty form; a POST creates.
func (p In) NewKey() string { return p.below("keys", "new") }

// DeleteKey asks first; a POST revokes.
func (p In) DeleteKey(id string) string { return p.below("keys", id, "delete") }

// Profiles is the list of profiles.
func (p In) Profiles() string { return p.below("profiles") }

// NewProfile is the empty form; a POST creates.
func (p In) NewProfile() string { return p.below("profiles", "new") }

// PreviewProfile takes a profile's form and shows what it makes of a message.
func (p In) PreviewProfile() string { return p.below("profiles", "preview") }

// Profile is the form; a POST saves.
func (p In) Profile(id string) string { return p.below("profiles", id) }

// DeleteProfile asks first; a POST deletes.
func (p In) DeleteProfile(id string) string { return p.below("profiles", id, "delete") }

// joined writes parts of a path, each behind a slash.
func joined(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString("/" + url.PathEscape(part))
	}
	return b.String()
}

// withQuery adds pairs of a parameter and its value to a path, without those
// whose value is empty.
func withQuery(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Add(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
