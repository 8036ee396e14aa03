package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
)

// maker is an API key that creates or changes another credential.
type maker struct {
	name string
	text string
	key  *iot.APIKey
}

// TestNoKeyMakesMoreThanItself calls every door that creates or changes a credential as
// API keys of several rights and lives, and checks what is stored afterwards: no
// credential has more rights than its maker, and none expires later.
func TestNoKeyMakesMoreThanItself(t *testing.T) {
	w := newRolesWorld(t)
	p := w.here
	now := iot.At(w.app.now())
	var makers []maker
	for name, rights := range map[string]iot.Rights{
		"all rights": iot.AllKeyRights, "keys": iot.ManageKeys, "keys and messages": iot.ManageKeys | iot.SendMessages,
		"settings and downlinks": iot.ChangeSettings | iot.SendDownlinks, "settings": iot.ChangeSettings,
		"devices": iot.WriteDevices, "devices and messages": iot.WriteDevices | iot.SendMessages,
	} {
		for life, lifetime := range map[string]time.Duration{"for an hour": time.Hour, "without an end": 0} {
			text, k := w.apiKey(p.project, rights, lifetime)
			makers = append(makers, maker{name + ", " + life, text, k})
		}
	}
	slices.SortFunc(makers, func(a, b maker) int { return strings.Compare(a.name, b.name) })
	lives := map[string]string{"none": "", "shorter": now.Add(30 * time.Minute).String(), "longer": now.Add(3 * time.Hour).String()}
	cells, made := 0, 0
	for _, by := range makers {
		for life, at := range lives {
			for _, rights := range []iot.Rights{iot.AllKeyRights, iot.ManageKeys, iot.ManageKeys | iot.SendMessages} {
				for _, door := range []string{"api", "tts", "grpc"} {
					before := w.apiKeys(p)
					status := w.makeKey(door, by, rights, at)
					cells++
					after := w.apiKeys(p)
					for id, k := range after {
						if before[id] == nil {
							made++
							w.fits(by, k, fmt.Sprintf("made by %s at %s with life %s", by.name, door, life))
						}
					}
					may := by.key.Rights.Has(iot.ManageKeys|rights) && (by.key.ExpiresAt == 0 || life == "shorter")
					if (status < 300) != may || (len(after) > len(before)) != may {
						t.Errorf("%s makes %s with life %s at %s: %d, may: %v", by.name, rights, life, door, status, may)
					}
				}
			}
		}
		made += w.changesKeys(by, lives)
		made += w.makesTemplateKey(by)
		made += w.makesDeviceKey(by)
	}
	if !t.Failed() {
		t.Attr("figure", fmt.Sprintf("%d requests for keys by %d makers, %d credentials made or changed: none is more than its maker", cells,
			len(makers), made))
	}
}

// fits fails if a key has more than its maker.
func (w *rolesWorld) fits(by maker, k *iot.APIKey, how string) {
	w.Helper()
	if more := k.Rights &^ by.key.Rights; more != 0 || k.Outlives(by.key) {
		w.Errorf("a key %s has %s until %s, its maker %s until %s", how, k.Rights, k.ExpiresAt, by.key.Rights, by.key.ExpiresAt)
	}
}

func (w *rolesWorld) apiKeys(p *rolesPlace) map[string]*iot.APIKey {
	w.Helper()
	list, err := w.app.db.APIKeys(w.Context(), p.project.Key)
	must(w.T, err)
	found := map[string]*iot.APIKey{}
	for i := range list {
		found[list[i].ID] = &list[i]
	}
	return found
}

// request sends JSON as a key; gRPC's codes are HTTP's here.
func (w *rolesWorld) request(by maker, method, path string, body any) (status int, answer string) {
	w.Helper()
	text := []byte{}
	if body != nil {
		var err error
		text, err = json.Marshal(body)
		must(w.T, err)
	}
	if method == "GRPC" {
		a := w.call(&roleCaller{credential: by.text}, path, string(text))
		return a.status, a.body
	}
	a := w.ask(&roleRow{method: method, pattern: path, need: "key-", body: string(text)}, &roleCaller{credential: by.text}, nil)
	return a.status, a.body
}

// makeKey creates a key by a door for keys.
func (w *rolesWorld) makeKey(door string, by maker, rights iot.Rights, at string) (status int) {
	w.Helper()
	body := map[string]any{"name": "Made " + w.next(), "rights": rights.Names()}
	if at != "" {
		body["expires_at"] = at
	}
	switch door {
	case "tts":
		status, _ = w.request(by, "POST", "/api/v3/applications/"+w.here.project.ID+"/api-keys", body)
	case "grpc":
		body["application_ids"] = map[string]string{"application_id": w.here.project.ID}
		status, _ = w.request(by, "GRPC", "/ttn.lorawan.v3.ApplicationAccess/CreateAPIKey", body)
	default:
		status, _ = w.request(by, "POST", "/api/v1/projects/"+w.here.project.ID+"/keys", body)
	}
	return status
}

// changesKeys changes the maker's own key and others' in every way, by both doors.
func (w *rolesWorld) changesKeys(by maker, lives map[string]string) (changed int) {
	w.Helper()
	for _, of := range []struct {
		name     string
		rights   iot.Rights
		lifetime time.Duration
	}{{"itself", by.key.Rights, 0}, {"a lasting one", iot.ManageKeys, 0}, {"a longer one", iot.ManageKeys, 2 * time.Hour},
		{"a stronger one", iot.AllKeyRights, time.Hour}} {
		for life, at := range lives {
			for _, rights := range []iot.Rights{iot.AllKeyRights, iot.ManageKeys} {
				for _, door := range []string{"PUT", "GRPC"} {
					self := by
					var was *iot.APIKey
					if of.name == "itself" { // a copy: it can shorten itself
						life := time.Duration(0)
						if by.key.ExpiresAt != 0 {
							life = time.Hour
						}
						self.text, self.key = w.apiKey(w.here.project, by.key.Rights, life)
						was = self.key
					} else {
						_, was = w.apiKey(w.here.project, of.rights, of.lifetime)
					}
					body := map[string]any{"name": "Changed", "rights": rights.Names()}
					if at != "" {
						body["expires_at"] = at
					}
					status := w.changeKey(door, self, was.ID, body)
					k := w.apiKeys(w.here)[was.ID]
					if status < 300 {
						changed++
						if k.Name != "Changed" {
							w.Errorf("%s changes %s: answered %d, and nothing has changed", by.name, of.name, status)
						}
					}
					gained, prolonged := k.Rights&^was.Rights, k.Outlives(was)
					if gained != 0 || prolonged {
						w.fits(self, k, fmt.Sprintf("changed by %s, %s with life %s by %s,", by.name, of.name, life, door))
					}
					if was.Rights&^self.key.Rights != 0 && (status < 300 || k.Name == "Changed") {
						w.Errorf("%s changes %s, which has more: %d", by.name, of.name, status)
					}
				}
			}
		}
	}
	return changed
}

func (w *rolesWorld) changeKey(door string, by maker, id string, key map[string]any) (status int) {
	w.Helper()
	paths := []string{"name", "rights", "expires_at"}
	if door == "PUT" {
		status, _ = w.request(by, "PUT", "/api/v3/applications/"+w.here.project.ID+"/api-keys/"+id,
			map[string]any{"api_key": key, "field_mask": map[string]any{"paths": paths}})
		return status
	}
	key["id"] = id
	status, _ = w.request(by, "GRPC", "/ttn.lorawan.v3.ApplicationAccess/UpdateAPIKey", map[string]any{
		"application_ids": map[string]string{"application_id": w.here.project.ID}, "api_key": key, "field_mask": "name,rights,expiresAt"})
	return status
}

// makesTemplateKey creates a webhook of a template that gives its service a key.
func (w *rolesWorld) makesTemplateKey(by maker) (made int) {
	w.Helper()
	before := w.apiKeys(w.here)
	status, answer := w.request(by, "POST", "/api/v1/projects/"+w.here.project.ID+"/webhooks/from-template",
		map[string]any{"template": "keyed", "id": "keyed-" + w.next(), "fields": map[string]string{}})
	if may := by.key.Rights.Has(iot.ChangeSettings | iot.SendDownlinks); may != (status == http.StatusCreated) {
		w.Errorf("%s makes a webhook with a key: %d %s", by.name, status, answer)
	}
	for id, k := range w.apiKeys(w.here) {
		if before[id] == nil {
			made++
			w.fits(by, k, "made for a template by "+by.name)
		}
	}
	return made
}

// makesDeviceKey asks for a new device's key, and for a new key of a device.
func (w *rolesWorld) makesDeviceKey(by maker) (made int) {
	w.Helper()
	devices := "/api/v1/projects/" + w.here.project.ID + "/devices"
	may := by.key.Rights.Has(iot.WriteDevices|iot.SendMessages) && by.key.ExpiresAt == 0
	id := "keyed-" + w.next()
	status, answer := w.request(by, "POST", devices, map[string]any{"id": id})
	if shown := strings.Contains(answer, `"tpd_`); shown != may || shown == strings.Contains(answer, `"warning"`) && status < 300 {
		w.Errorf("%s adds a device, its key is shown: %v, want %v: %d %s", by.name, shown, may, status, answer)
	}
	if (status == http.StatusCreated) != by.key.Rights.Has(iot.WriteDevices) {
		w.Errorf("%s adds a device: %d", by.name, status)
	}
	key, err := w.app.db.DeviceKey(w.Context(), w.here.sibling)
	must(w.T, err)
	status, answer = w.request(by, "POST", devices+"/"+w.here.sibling.ID+"/key", nil)
	now, err := w.app.db.DeviceKey(w.Context(), w.here.sibling)
	must(w.T, err)
	if (status == http.StatusOK) != may || (now != key) != may || strings.Contains(answer, now.Reveal()) != may {
		w.Errorf("%s replaces a device's key: %d %s, may: %v", by.name, status, answer, may)
	}
	if may {
		made = 2
	}
	return made
}
