package dashboard

import (
	"net/http"
	"slices"

	"thingpost/internal/iot"
)

const (
	get  = http.MethodGet
	post = http.MethodPost
)

// routes is the table of all pages and actions.
func (s *site) routes() []route {
	const (
		p = "/projects/{project}"
		o = "/settings/organizations/{organization}"
	)
	return slices.Concat(s.instanceRoutes(), []route{
		// Accounts.
		{get, "/setup", anyone, 0, s.newSetUp},
		{post, "/setup", anyone, 0, s.setUp},
		{get, "/sign-in", anyone, 0, s.newSignIn},
		{post, "/sign-in", anyone, 0, s.signIn},
		{post, "/sign-out", anyone, 0, s.signOut},
		{post, "/theme", anyone, 0, s.setTheme},
		{get, "/settings", person, 0, s.showSettings},
		{post, "/settings/name", person, 0, s.changeName},
		{post, "/settings/password", person, 0, s.changePassword},
		{post, "/settings/organizations", person, 0, s.createOrganization},

		// Members.
		{get, o + "/members", inOrganization, 0, s.listMembers},
		{post, o + "/members/{member}", inOrganization, iot.ManageMembers, s.setRole},
		{get, o + "/members/{member}/remove", inOrganization, iot.ManageMembers, s.confirmRemoveMember},
		{post, o + "/members/{member}/remove", inOrganization, iot.ManageMembers, s.removeMember},

		{get, o + "/audit", inOrganization, iot.ManageMembers, s.listOrganizationAudit},

		// Projects.
		{get, "/{$}", person, 0, s.home},
		{get, "/projects/new", person, 0, s.newProject},
		{post, "/projects/new", person, 0, s.createProject}, // checks the right in the chosen organization
		{get, p, inProject, iot.ReadTraffic, s.overview},
		{get, p + "/events", inProject, iot.ReadTraffic, s.events},
		{post, p + "/first-key", inProject, iot.ManageKeys, s.createFirstKey},
		{get, p + "/settings", inProject, iot.ManageProject, s.editProject},
		{post, p + "/settings", inProject, iot.ManageProject, s.updateProject},
		{get, p + "/delete", inProject, iot.ManageProject, s.confirmDeleteProject},
		{post, p + "/delete", inProject, iot.ManageProject, s.deleteProject},
		{get, p + "/audit", inProject, iot.ManageKeys, s.listAudit},

		// Devices.
		{get, p + "/devices", inProject, iot.ReadDevices, s.listDevices},
		{get, p + "/devices/new", inProject, iot.WriteDevices, s.newDevice},
		{post, p + "/devices/new", inProject, iot.WriteDevices, s.createDevice},
		{get, p + "/devices/{device}", inProject, iot.ReadDevices, s.showDevice},
		{get, p + "/devices/{device}/edit", inProject, iot.WriteDevices, s.editDevice},
		{post, p + "/devices/{device}/edit", inProject, iot.WriteDevices, s.updateDevice},
		{get, p + "/devices/{device}/key", inProject, iot.WriteDevices, s.confirmRotateKey},
		{post, p + "/devices/{device}/key", inProject, iot.WriteDevices, s.deviceKey},
		{get, p + "/devices/{device}/test", inProject, iot.SendMessages, s.newTestMessage},
		{post, p + "/devices/{device}/test", inProject, iot.SendMessages, s.sendTestMessage},
		{get, p + "/devices/{device}/delete", inProject, iot.WriteDevices, s.confirmDeleteDevice},
		{post, p + "/devices/{device}/delete", inProject, iot.WriteDevices, s.deleteDevice},

		// Keys.
		{get, p + "/keys", inProject, iot.ManageKeys, s.listKeys},
		{get, p + "/keys/new", inProject, iot.ManageKeys, s.newKey},
		{post, p + "/keys/new", inProject, iot.ManageKeys, s.createKey},
		{get, p + "/keys/{key}/delete", inProject, iot.ManageKeys, s.confirmDeleteKey},
		{post, p + "/keys/{key}/delete", inProject, iot.ManageKeys, s.deleteKey},

		// Profiles.
		{get, p + "/profiles", inProject, iot.ReadDevices, s.listProfiles},
		{get, p + "/profiles/new", inProject, iot.ChangeSettings, s.newProfile},
		{post, p + "/profiles/new", inProject, iot.ChangeSettings, s.createProfile},
		{post, p + "/profiles/preview", inProject, iot.ChangeSettings, s.previewProfile},
		{get, p + "/profiles/{profile}", inProject, iot.ChangeSettings, s.editProfile},
		{post, p + "/profiles/{profile}", inProject, iot.ChangeSettings, s.updateProfile},
		{get, p + "/profiles/{profile}/delete", inProject, iot.ChangeSettings, s.confirmDeleteProfile},
		{post, p + "/profiles/{profile}/delete", inProject, iot.ChangeSettings, s.deleteProfile},
	}, s.webhookRoutes(), s.deliveryRoutes(), s.messageRoutes(), s.inspectorRoutes(), s.replayRoutes(), s.exportRoutes(), s.downlinkRoutes(),
		s.commandRoutes(),
		s.embedRoutes(), s.invitationRoutes(), s.embedSettingsRoutes(), s.upstreamRoutes())
}
