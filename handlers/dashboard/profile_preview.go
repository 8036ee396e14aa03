package dashboard

import (
	"net/http"
	"strings"
	"time"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
	"thingpost/views/pages"
)

// readTransformer reads what a form makes of payloads.
func readTransformer(f *handlers.Form) (iot.ContentType, iot.Transformer) {
	t := iot.Transformer{DataFilters: []string{}, DataField: f.Value(pages.FieldDataField), TimeField: f.Value(pages.FieldTimeField),
		TimeFormat: f.Value(pages.FieldTimeFormat), TimeLocation: f.Value(pages.FieldTimeLocation)}
	for line := range strings.Lines(f.Value(pages.FieldDataFilters)) {
		if line = strings.TrimSpace(line); line != "" {
			t.DataFilters = append(t.DataFilters, line)
		}
	}
	return iot.ContentType(f.Value(pages.FieldContentType)), t
}

// setTransformer fills in what a profile makes of payloads.
func setTransformer(f *handlers.Form, p *iot.Profile) {
	f.Set(pages.FieldContentType, string(p.ContentType))
	f.Set(pages.FieldDataFilters, strings.Join(p.Transformer.DataFilters, "\n"))
	f.Set(pages.FieldDataField, p.Transformer.DataField)
	f.Set(pages.FieldTimeField, p.Transformer.TimeField)
	f.Set(pages.FieldTimeFormat, p.Transformer.TimeFormat)
	f.Set(pages.FieldTimeLocation, p.Transformer.TimeLocation)
}

// previewProfile shows what the posted form would make of a message: the section
// alone, or the whole page where no script asks.
func (s *site) previewProfile(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	if !handlers.IsFragment(r, pages.ProfilePreviewID) {
		var p *iot.Profile
		if name := f.Value(pages.FieldProfile); name != "" {
			if p, err = s.DB.Profile(r.Context(), v.project.Key, name); err != nil {
				return err
			}
		}
		return s.profileForm(w, r, v, http.StatusOK, f, p)
	}
	preview, err := s.profilePreview(r, v, f)
	if err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.ProfilePreviewView(preview))
}

// profilePreview makes of the chosen message what the form asks for, by the
// function that incoming messages go through.
func (s *site) profilePreview(r *http.Request, v *visit, f *handlers.Form) (pages.ProfilePreview, error) {
	p := pages.ProfilePreview{In: v.in()}
	list, err := s.DB.Messages(r.Context(), db.MessageFilter{ProjectKey: v.project.Key, Type: iot.User, Limit: previewMessages})
	if err != nil {
		return p, err
	}
	id := chosenMessage(f, list.Items)
	p.Messages = s.messageOptions(list.Items, id)
	profile := &iot.Profile{}
	profile.ContentType, profile.Transformer = readTransformer(f)
	at := s.now().Time()
	p.Came = samplePayload(profile.ContentType)
	for i := range list.Items {
		if list.Items[i].ID.String() == id {
			p.Came, at = list.Items[i].Payload, list.Items[i].ReceivedAt.Time()
			if p.Treated, err = s.isTreated(r, v, list.Items[i].Device); err != nil {
				return p, err
			}
		}
	}
	if err := (iot.ProfileUpdate{ContentType: &profile.ContentType, Transformer: &profile.Transformer}).Check(); err != nil {
		p.Invalid = true
		p.Faults, err = faultsOr(err)
		return p, err
	}
	made, err := ingest.Transform(profile, p.Came, false, at)
	if err != nil {
		p.Faults, err = faultsOr(err)
		return p, err
	}
	p.Made = made.Payload
	if !made.Time.IsZero() {
		p.Time = made.Time.Format(time.RFC3339Nano)
	}
	return p, nil
}

// isTreated reports whether a device's profile changes payloads.
func (s *site) isTreated(r *http.Request, v *visit, device string) (bool, error) {
	d, err := s.DB.Device(r.Context(), v.project.Key, device)
	if iot.CodeOf(err) == iot.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p, err := s.DB.Profile(r.Context(), v.project.Key, d.Profile)
	if err != nil {
		return false, err
	}
	return p.ContentType.SenML() || p.ContentType == iot.JSONObjects && !p.Transformer.IsZero(), nil
}

// faultsOr returns an error that is about what was typed or sent as lines, and
// any other as it is.
func faultsOr(err error) ([]string, error) {
	if e, ok := asError(err); ok {
		return faultLines(e), nil
	}
	return nil, err
}

// samplePayload stands for a message where there is none.
func samplePayload(c iot.ContentType) []byte {
	if c.SenML() {
		return []byte(`[{"bn":"greenhouse:","bt":1700000000,"n":"temperature","u":"Cel","v":21.5},{"n":"humidity","u":"%RH","v":40}]`)
	}
	return []byte(`{"time":1700000000,"data":{"temperature":21.5,"humidity":40}}`)
}
