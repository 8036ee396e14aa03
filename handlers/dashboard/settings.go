package dashboard

import (
	"net/http"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
)

// showSettings shows the account: its password and its organizations.
func (s *site) showSettings(w http.ResponseWriter, r *http.Request, v *visit) error {
	return s.settingsPage(w, r, v, http.StatusOK, settingsForms{})
}

// settingsForms are the forms of the page; nil is one as it is first shown.
type settingsForms struct{ name, password, organization *handlers.Form }

func (s *site) settingsPage(w http.ResponseWriter, r *http.Request, v *visit, status int, f settingsForms) error {
	if f.name == nil {
		f.name = handlers.NewForm("name", v.account.Name)
	}
	if f.password == nil {
		f.password = handlers.NewForm()
	}
	if f.organization == nil {
		f.organization = handlers.NewForm()
	}
	organizations, err := s.DB.Organizations(r.Context(), v.account.Key)
	if err != nil {
		return err
	}
	invitations, err := s.DB.InvitationsFor(r.Context(), v.account)
	if err != nil {
		return err
	}
	shell, err := s.shell(w, r, v, shellFor{title: "Account", here: pages.AccountPath})
	if err != nil {
		return err
	}
	return handlers.Render(w, r, status, pages.Settings(pages.SettingsPage{
		Shell: shell, Account: v.account, Name: f.name, Password: f.password, Organization: f.organization, Organizations: organizations,
		Invitations: invitations, MayCreate: v.account.MayMakeOrganizations(s.AllowRegistration) == nil, Now: s.now(),
	}))
}

// changeName changes what the account is called.
func (s *site) changeName(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	if err := s.DB.SetAccountName(v.account, f.Value("name"), v.actor()); err != nil {
		if f.Fail(err, "name") {
			return s.settingsPage(w, r, v, http.StatusUnprocessableEntity, settingsForms{name: f})
		}
		return err
	}
	return s.done(w, r, pages.AccountPath, "Your name is now "+v.account.Name+".")
}

// changePassword changes the password of whoever knows the present one, and ends
// all other sessions.
func (s *site) changePassword(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	if err := s.setPassword(w, r, v, f); err != nil {
		if f.Fail(err, "current", "password") {
			return s.settingsPage(w, r, v, http.StatusUnprocessableEntity, settingsForms{password: f})
		}
		return err
	}
	return s.done(w, r, pages.AccountPath, "The password was changed, and your other sessions were signed out.")
}

func (s *site) setPassword(w http.ResponseWriter, r *http.Request, v *visit, f *handlers.Form) error {
	try, err := s.SignIns.Try(w, r, v.account.Email)
	if err != nil {
		return err
	}
	ok, err := s.Passwords.Check(r.Context(), v.account.PasswordHash, iot.Secret(f.Raw("current")))
	if err != nil {
		return err
	}
	if ok {
		try.Succeeded()
	}
	var faults iot.Faults
	faults.Check(ok, "current", "This is not your current password.")
	hash, err := s.hash(r, &faults, f.Raw("password"), v.account.Email)
	if err != nil {
		return err
	}
	var keep []byte
	if id := s.Sessions.ID(r); id != "" {
		keep = db.SessionHash(id)
	}
	return s.DB.SetPassword(v.account.Key, hash, keep, v.actor())
}

// createOrganization makes an organization that the account owns.
func (s *site) createOrganization(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := v.account.MayMakeOrganizations(s.AllowRegistration); err != nil {
		return err
	}
	f, err := form(w, r)
	if err != nil {
		return err
	}
	o := &iot.Organization{Name: f.Value("organization")}
	var faults iot.Faults
	checkText(&faults, "organization", o.Name)
	if err = faults.Err(); err == nil {
		err = s.DB.CreateOrganization(o, v.account)
	}
	if err != nil {
		if f.Fail(err, "organization") {
			return s.settingsPage(w, r, v, http.StatusUnprocessableEntity, settingsForms{organization: f})
		}
		return err
	}
	return s.done(w, r, pages.AccountPath, o.Name+" was created. You are its owner.")
}
