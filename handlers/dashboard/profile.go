package dashboard

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// listProfiles lists the profiles.
func (s *site) listProfiles(w http.ResponseWriter, r *http.Request, v *visit) error {
	profiles, err := s.DB.Profiles(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	shell, err := s.shell(w, r, v, shellFor{title: "Profiles", here: v.in().Profiles()})
	if err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK,
		pages.Profiles(pages.ProfilesPage{Shell: shell, In: v.in(), Profiles: profiles, MayChange: v.may(iot.ChangeSettings)}))
}

// newProfile shows the empty form.
func (s *site) newProfile(w http.ResponseWriter, r *http.Request, v *visit) error {
	return s.profileForm(w, r, v, http.StatusOK, handlers.NewForm("webhook", "on", "write", "on"), nil)
}

// profileForm shows the form of a profile, or of a new one (nil).
func (s *site) profileForm(w http.ResponseWriter, r *http.Request, v *visit, status int, f *handlers.Form, p *iot.Profile) error {
	title := "New profile"
	if p != nil {
		title = p.Name
	}
	shell, err := s.shell(w, r, v, shellFor{title: title, here: v.in().Profiles()})
	if err != nil {
		return err
	}
	preview, err := s.profilePreview(r, v, f)
	if err != nil {
		return err
	}
	return handlers.Render(w, r, status,
		pages.ProfileForm(pages.ProfileFormPage{Shell: shell, In: v.in(), Title: title, Form: f, Profile: p, Preview: preview}))
}

// createProfile adds a profile.
func (s *site) createProfile(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	p := &iot.Profile{ProjectKey: v.project.Key, ID: f.Value("id"), Name: f.Value("name"), Webhook: f.Checked("webhook"),
		Write: f.Checked("write")}
	var faults iot.Faults
	checkText(&faults, "name", p.Name)
	p.ExpectedIntervalMS = formInterval(f, &faults)
	p.ContentType, p.Transformer = readTransformer(f)
	if err = faults.Err(); err == nil {
		err = s.DB.CreateProfile(p, v.actor())
	}
	if err != nil {
		if f.Fail(err, pages.ProfileFields()...) {
			return s.profileForm(w, r, v, http.StatusUnprocessableEntity, f, nil)
		}
		return err
	}
	return s.done(w, r, v.in().Profiles(), p.Name+" was added. Choose it on a device’s page.")
}

// profile reads the profile of the address.
func (s *site) profile(r *http.Request, v *visit) (*iot.Profile, error) {
	return s.DB.Profile(r.Context(), v.project.Key, r.PathValue("profile"))
}

// editProfile shows the form of a profile.
func (s *site) editProfile(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := s.profile(r, v)
	if err != nil {
		return err
	}
	f := handlers.NewForm("name", p.Name)
	setInterval(f, p.ExpectedIntervalMS)
	setTransformer(f, p)
	if p.Webhook {
		f.Set("webhook", "on")
	}
	if p.Write {
		f.Set("write", "on")
	}
	return s.profileForm(w, r, v, http.StatusOK, f, p)
}

// updateProfile saves a profile.
func (s *site) updateProfile(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := s.profile(r, v)
	if err != nil {
		return err
	}
	f, err := form(w, r)
	if err != nil {
		return err
	}
	name, toWebhooks, write := f.Value("name"), f.Checked("webhook"), f.Checked("write")
	changed := *p
	var faults iot.Faults
	interval := formInterval(f, &faults)
	contentType, transformer := readTransformer(f)
	if err = faults.Err(); err == nil {
		err = s.DB.UpdateProfile(&changed, iot.ProfileUpdate{Name: &name, Webhook: &toWebhooks, Write: &write, ExpectedIntervalMS: &interval,
			ContentType: &contentType, Transformer: &transformer}, v.actor())
	}
	if err != nil {
		if f.Fail(err, pages.ProfileFields()...) {
			return s.profileForm(w, r, v, http.StatusUnprocessableEntity, f, p)
		}
		return err
	}
	return s.done(w, r, v.in().Profiles(), name+" was saved.")
}

// confirmDeleteProfile asks before a profile is deleted.
func (s *site) confirmDeleteProfile(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := s.profile(r, v)
	if err != nil {
		return err
	}
	return s.askDeleteProfile(w, r, v, http.StatusOK, p, "")
}

func (s *site) askDeleteProfile(w http.ResponseWriter, r *http.Request, v *visit, status int, p *iot.Profile, why string) error {
	return s.confirm(w, r, v, shellFor{title: "Delete profile", here: v.in().Profiles()}, status, ui.ConfirmProps{
		Title: "Delete " + p.Name + "?", Lead: "You can delete it only if no device uses it. No message is lost.",
		Action: v.in().DeleteProfile(p.ID), Confirm: "Delete the profile", Icon: ui.IconTrash, Danger: true, Keep: "Keep it",
		Back: v.in().Profiles(), Error: why,
	})
}

// deleteProfile deletes a profile that no device has.
func (s *site) deleteProfile(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := s.profile(r, v)
	if err != nil {
		return err
	}
	err = s.DB.DeleteProfile(p, v.actor())
	if iot.CodeOf(err) == iot.Conflict {
		f := handlers.NewForm()
		f.Fail(err)
		return s.askDeleteProfile(w, r, v, http.StatusConflict, p, f.Message())
	}
	if err != nil {
		return err
	}
	return s.done(w, r, v.in().Profiles(), p.Name+" was deleted.")
}

// setInterval writes an expected interval into the form.
func setInterval(f *handlers.Form, ms int64) {
	number, unit := pages.Interval(ms)
	f.Set(pages.FieldInterval, number)
	f.Set(pages.FieldIntervalUnit, unit)
}

// formInterval reads it, in milliseconds.
func formInterval(f *handlers.Form, faults *iot.Faults) int64 {
	ms, err := pages.ParseInterval(f.Value(pages.FieldInterval), f.Value(pages.FieldIntervalUnit))
	if err != nil {
		faults.Add(pages.FieldInterval, pages.IntervalFault)
	}
	return ms
}
