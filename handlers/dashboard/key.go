package dashboard

import (
	"net/http"
	"strconv"
	"time"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

const keySubject = "api-key "

// listKeys lists the API keys, and shows one that was made just now.
func (s *site) listKeys(w http.ResponseWriter, r *http.Request, v *visit) error {
	keys, err := s.DB.APIKeys(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	shell, err := s.shell(w, r, v, shellFor{title: "API keys", here: v.in().Keys()})
	if err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.Keys(pages.KeysPage{
		Shell: shell, In: v.in(), Keys: keys, New: s.shown.take(v.account.Key, keySubject+v.project.UUID).Reveal(), Now: s.now(),
	}))
}

// newKey shows the empty form.
func (s *site) newKey(w http.ResponseWriter, r *http.Request, v *visit) error {
	return s.keyForm(w, r, v, http.StatusOK, handlers.NewForm("days", "0"))
}

func (s *site) keyForm(w http.ResponseWriter, r *http.Request, v *visit, status int, f *handlers.Form) error {
	shell, err := s.shell(w, r, v, shellFor{title: "Create an API key", here: v.in().Keys()})
	if err != nil {
		return err
	}
	return handlers.Render(w, r, status, pages.NewKey(pages.NewKeyPage{Shell: shell, In: v.in(), Form: f}))
}

// maxKeyDays bounds how long a key lives that ends at all.
const maxKeyDays = 3650

// createKey makes a key; the list shows its text once.
func (s *site) createKey(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	text, err := s.makeKey(v, f)
	if err != nil {
		if f.Fail(err, "name", "rights", "days") {
			return s.keyForm(w, r, v, http.StatusUnprocessableEntity, f)
		}
		return err
	}
	s.shown.keep(v.account.Key, keySubject+v.project.UUID, text)
	return handlers.Redirect(w, r, v.in().Keys())
}

func (s *site) makeKey(v *visit, f *handlers.Form) (iot.Secret, error) {
	var faults iot.Faults
	checkText(&faults, "name", f.Value("name"))
	rights, err := iot.ParseRights(f.All("rights"))
	faults.Check(err == nil, "rights", "Choose at least one right.")
	days, err := strconv.Atoi(f.Value("days"))
	faults.Check(err == nil && days >= 0 && days <= maxKeyDays, "days", "must be 0 to 3,650 days.")
	if err := faults.Err(); err != nil {
		return "", err
	}
	id, secret, text := iot.NewAPIKey()
	k := &iot.APIKey{ID: id, ProjectKey: v.project.Key, Name: f.Value("name"), Rights: rights}
	if days > 0 {
		k.ExpiresAt = s.now().Add(time.Duration(days) * 24 * time.Hour)
	}
	return text, s.DB.CreateAPIKey(k, secret, v.actor())
}

// key finds the key of the address.
func (s *site) key(r *http.Request, v *visit) (*iot.APIKey, error) {
	keys, err := s.DB.APIKeys(r.Context(), v.project.Key)
	if err != nil {
		return nil, err
	}
	for i := range keys {
		if keys[i].ID == r.PathValue("key") {
			return &keys[i], nil
		}
	}
	return nil, iot.NewError(iot.NotFound, "There is no such key, or it is already revoked.")
}

// confirmDeleteKey asks before a key is revoked.
func (s *site) confirmDeleteKey(w http.ResponseWriter, r *http.Request, v *visit) error {
	k, err := s.key(r, v)
	if err != nil {
		return err
	}
	return s.confirm(w, r, v, shellFor{title: "Revoke key", here: v.in().Keys()}, http.StatusOK, ui.ConfirmProps{
		Title: "Revoke " + k.Name + "?", Lead: "Programs that use it are rejected immediately. This cannot be undone.",
		Action: v.in().DeleteKey(k.ID), Confirm: "Revoke the key", Icon: ui.IconBan, Danger: true, Keep: "Keep it", Back: v.in().Keys(),
	})
}

// deleteKey revokes a key.
func (s *site) deleteKey(w http.ResponseWriter, r *http.Request, v *visit) error {
	k, err := s.key(r, v)
	if err != nil {
		return err
	}
	if err := s.DB.DeleteAPIKey(v.project.Key, k.ID, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, v.in().Keys(), k.Name+" was revoked.")
}
