package dashboard

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// devicesPerPage is how many devices a page of the list shows.
const devicesPerPage = 50

// listDevices lists devices by their ids, and those that a search finds.
func (s *site) listDevices(w http.ResponseWriter, r *http.Request, v *visit) error {
	q := r.URL.Query()
	search, after := strings.TrimSpace(q.Get("q")), q.Get("after")
	f := db.DeviceFilter{ProjectKey: v.project.Key, Search: search, Silent: q.Get("silent") != "", After: after, Limit: devicesPerPage + 1}
	var err error
	if search != "" {
		if f.Until, err = s.DB.DeviceBound(r.Context(), v.project.Key, after); err != nil {
			return err
		}
	}
	list, err := s.DB.Devices(r.Context(), f)
	if err != nil {
		return err
	}
	p := pages.DeviceList{In: v.in(), Search: search, Silent: f.Silent, Until: f.Until, After: after, Now: s.now(),
		MayChange: v.may(iot.WriteDevices)}
	if err := s.deviceCounts(r, v, &p); err != nil {
		return err
	}
	if len(list) > devicesPerPage {
		list = list[:devicesPerPage]
		p.Next, p.Until = list[devicesPerPage-1].ID, ""
	} else if p.Until != "" {
		p.Next = p.Until
	}
	p.Devices = list
	if handlers.IsFragment(r, pages.DeviceListID) {
		return handlers.Render(w, r, http.StatusOK, pages.DeviceTable(p))
	}
	shell, err := s.shell(w, r, v, shellFor{title: "Devices", here: v.in().Devices(), live: true})
	if err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.Devices(pages.DevicesPage{Shell: shell, List: p}))
}

// deviceCounts reads what the list says of all devices.
func (s *site) deviceCounts(r *http.Request, v *visit, p *pages.DeviceList) error {
	all, err := s.DB.CountDevices(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	silent, err := s.DB.CountSilent(r.Context(), v.project.Key, maxCounted)
	if err != nil {
		return err
	}
	p.CountAll, p.CountNone = ui.Count(int64(all)), ui.CountCapped(int64(silent), maxCounted)
	profiles, err := s.DB.Profiles(r.Context(), v.project.Key)
	p.Expected = map[int64]time.Duration{}
	for i := range profiles {
		p.Expected[profiles[i].Key] = (&iot.Device{}).ExpectedInterval(&profiles[i])
	}
	return err
}

// newDevice shows the empty form.
func (s *site) newDevice(w http.ResponseWriter, r *http.Request, v *visit) error {
	return s.deviceForm(w, r, v, http.StatusOK, handlers.NewForm("profile", iot.DefaultProfile), nil)
}

// deviceForm shows the form of a device, or of a new one (nil).
func (s *site) deviceForm(w http.ResponseWriter, r *http.Request, v *visit, status int, f *handlers.Form, d *iot.Device) error {
	profiles, err := s.DB.Profiles(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	title := "Add a device"
	if d != nil {
		title = "Edit " + d.ID
	}
	shell, err := s.shell(w, r, v, shellFor{title: title, here: v.in().Devices()})
	if err != nil {
		return err
	}
	return handlers.Render(w, r, status,
		pages.DeviceForm(pages.DeviceFormPage{Shell: shell, In: v.in(), Title: title, Form: f, Device: d, Profiles: profiles}))
}

// createDevice adds a device; its page shows the key.
func (s *site) createDevice(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	d := &iot.Device{ProjectKey: v.project.Key, ID: f.Value("id"), UUID: f.Value("uuid"), Name: f.Value("name"), Profile: f.Value("profile"),
		DevEUI: strings.ToUpper(f.Value("dev_eui")), JoinEUI: strings.ToUpper(f.Value("join_eui")), DevAddr: strings.ToUpper(f.Value("dev_addr"))}
	if err = checkDevice(d, f); err == nil {
		err = s.DB.CreateDevice(d, iot.NewDeviceKey(), v.actor())
	}
	if err != nil {
		if f.Fail(err, "name", "id", "uuid", "profile", pages.FieldInterval, "dev_eui", "join_eui", "dev_addr") {
			return s.deviceForm(w, r, v, http.StatusUnprocessableEntity, f, nil)
		}
		return err
	}
	return s.showDeviceKey(w, r, v, d, d.ID+" was added.")
}

// checkDevice names all faults of a new device at once, and reads its interval.
func checkDevice(d *iot.Device, form *handlers.Form) error {
	var f iot.Faults
	d.ExpectedIntervalMS = formInterval(form, &f)
	f.Check(d.Name != "" || d.ID != "", "name", "must not be empty if there is no id.")
	if d.ID != "" {
		if e, ok := asError(iot.CheckDeviceID("id", d.ID)); ok {
			f.Add("id", e.Fields["id"])
		}
	}
	f.Check(d.UUID == "" || iot.LooksLikeUUID(d.UUID), "uuid", "must be a UUID.")
	err := iot.DeviceUpdate{Name: &d.Name, DevEUI: &d.DevEUI, JoinEUI: &d.JoinEUI, DevAddr: &d.DevAddr}.Check()
	if e, ok := errors.AsType[*iot.Error](err); ok {
		for field, text := range e.Fields {
			f.Add(field, text)
		}
	}
	return f.Err()
}

// device reads the device of the address.
func (s *site) device(r *http.Request, v *visit) (*iot.Device, error) {
	return s.DB.Device(r.Context(), v.project.Key, r.PathValue("device"))
}

// editDevice shows the form of a device.
func (s *site) editDevice(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.device(r, v)
	if err != nil {
		return err
	}
	f := handlers.NewForm("name", d.Name, "profile", d.Profile, "dev_eui", d.DevEUI, "join_eui", d.JoinEUI, "dev_addr", d.DevAddr)
	setInterval(f, d.ExpectedIntervalMS)
	return s.deviceForm(w, r, v, http.StatusOK, f, d)
}

// updateDevice saves a device.
func (s *site) updateDevice(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.device(r, v)
	if err != nil {
		return err
	}
	f, err := form(w, r)
	if err != nil {
		return err
	}
	text := func(field string) *string { t := f.Value(field); return &t }
	u := iot.DeviceUpdate{Name: text("name"), Profile: text("profile"), DevEUI: text("dev_eui"), JoinEUI: text("join_eui"),
		DevAddr: text("dev_addr")}
	var faults iot.Faults
	interval := formInterval(f, &faults)
	u.ExpectedIntervalMS = &interval
	if err = faults.Err(); err == nil {
		err = s.DB.UpdateDevice(d, u, v.actor())
	}
	if err != nil {
		if f.Fail(err, "name", "profile", pages.FieldInterval, "dev_eui", "join_eui", "dev_addr") {
			return s.deviceForm(w, r, v, http.StatusUnprocessableEntity, f, d)
		}
		return err
	}
	return s.done(w, r, v.in().Device(d.ID), "Saved.")
}

// recentRows is how many messages and deliveries a device's page shows.
const recentRows = 8

// deviceDays is how many days a device's chart shows.
const deviceDays = 14

// maxCounted bounds the counts of a device's page.
const maxCounted = 1000

// showDevice shows a device with what it sent of late.
func (s *site) showDevice(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.device(r, v)
	if err != nil {
		return err
	}
	traffic, err := s.deviceTraffic(r, v, d)
	if err != nil {
		return err
	}
	if handlers.IsFragment(r, pages.DeviceTrafficID) {
		return handlers.Render(w, r, http.StatusOK, pages.DeviceTraffic(traffic))
	}
	if handlers.IsFragment(r, pages.DeviceNowID) {
		return handlers.Render(w, r, http.StatusOK, pages.DeviceNow(traffic))
	}
	shell, err := s.shell(w, r, v, shellFor{title: d.ID, here: v.in().Devices(), live: true})
	if err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.Device(pages.DevicePage{
		Shell: shell, In: v.in(), Device: d, URL: s.publicURL(r), Key: s.shown.take(v.account.Key, deviceKeySubject(d)).Reveal(),
		Traffic: traffic, Now: traffic.Now,
		MayChange: v.may(iot.WriteDevices), MaySend: v.may(iot.SendMessages), MayProfiles: v.may(iot.ChangeSettings),
	}))
}

// deviceTraffic reads what a device sent and what became of it.
func (s *site) deviceTraffic(r *http.Request, v *visit, d *iot.Device) (pages.DeviceTrafficProps, error) {
	ctx, project := r.Context(), v.project.Key
	p := pages.DeviceTrafficProps{In: v.in(), Device: d, Now: s.now(), Limit: maxCounted}
	yesterday := p.Now.Add(-24 * time.Hour)
	count := func(f db.DeliveryFilter, into *int64) error {
		f.ProjectKey, f.DeviceKey = project, d.Key
		n, _, err := s.DB.CountRoughly(ctx, f, maxCounted)
		*into = int64(n)
		return err
	}
	profile, err := s.DB.Profile(ctx, project, d.Profile)
	if err != nil {
		return p, err
	}
	p.Expected, p.ByProfile = d.ExpectedInterval(profile), d.ExpectedIntervalMS == 0
	days, err := s.DB.DeviceDays(ctx, d.Key, deviceDays)
	if err != nil {
		return p, err
	}
	for _, day := range days {
		p.Days = append(p.Days, pages.DeviceDay{At: day.At, Messages: day.Messages})
	}
	if err := count(db.DeliveryFilter{Statuses: []iot.Status{iot.Failed}, Since: yesterday}, &p.Failed); err != nil {
		return p, err
	}
	if err := count(db.DeliveryFilter{Statuses: []iot.Status{iot.Pending}}, &p.Pending); err != nil {
		return p, err
	}
	messages, err := s.DB.Messages(ctx, db.MessageFilter{ProjectKey: project, DeviceKey: d.Key, Limit: recentRows})
	if err != nil {
		return p, err
	}
	for _, m := range messages.Items {
		made, err := s.DB.DeliveriesOf(ctx, project, m.ID)
		if err != nil {
			return p, err
		}
		hooks := map[int64]bool{}
		for _, x := range made {
			hooks[x.WebhookKey] = true
		}
		p.Messages = append(p.Messages, pages.DeviceMessage{Message: m, Webhooks: len(hooks)})
	}
	deliveries, err := s.DB.Deliveries(ctx, db.DeliveryFilter{ProjectKey: project, DeviceKey: d.Key, Limit: recentRows})
	p.Deliveries = deliveries.Items
	if err != nil {
		return p, err
	}
	p.Queue, err = s.downlinkQueue(r, v, d)
	return p, err
}

func deviceKeySubject(d *iot.Device) string { return "device-key " + d.UUID }

// showDeviceKey leads to the device's page, which shows its key this once.
func (s *site) showDeviceKey(w http.ResponseWriter, r *http.Request, v *visit, d *iot.Device, notice string) error {
	key, err := s.DB.DeviceKey(r.Context(), d)
	if err != nil {
		return err
	}
	s.shown.keep(v.account.Key, deviceKeySubject(d), key)
	if notice == "" {
		return handlers.Redirect(w, r, v.in().Device(d.ID))
	}
	return s.done(w, r, v.in().Device(d.ID), notice)
}

// confirmRotateKey asks before a device's key is replaced.
func (s *site) confirmRotateKey(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.device(r, v)
	if err != nil {
		return err
	}
	return s.confirm(w, r, v, shellFor{title: "Replace the key", here: v.in().Devices()}, http.StatusOK, ui.ConfirmProps{
		Title: "Replace the key of " + d.ID + "?", Lead: "The old key stops working immediately. The device cannot send until it has " +
			"the new one.",
		Action: v.in().DeviceKey(d.ID), Confirm: "Replace the key", Icon: ui.IconRotate, Danger: true, Keep: "Keep the old one",
		Back: v.in().Device(d.ID),
	})
}

// deviceKey reveals a device's key, or replaces it.
func (s *site) deviceKey(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.device(r, v)
	if err != nil {
		return err
	}
	f, err := form(w, r)
	if err != nil {
		return err
	}
	if f.Value("do") == pages.RevealKey {
		if err := s.DB.NoteKeyRevealed(d, v.actor()); err != nil {
			return err
		}
		return s.showDeviceKey(w, r, v, d, "")
	}
	if err := s.DB.SetDeviceKey(d, iot.NewDeviceKey(), v.actor()); err != nil {
		return err
	}
	return s.showDeviceKey(w, r, v, d, "The key was replaced.")
}

// newTestMessage shows the form of a message to send as a device.
func (s *site) newTestMessage(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.device(r, v)
	if err != nil {
		return err
	}
	f := handlers.NewForm("type", string(iot.User), "payload", "{\n  \"temperature\": 21.5\n}")
	return s.testMessageForm(w, r, v, http.StatusOK, f, d)
}

func (s *site) testMessageForm(w http.ResponseWriter, r *http.Request, v *visit, status int, f *handlers.Form, d *iot.Device) error {
	p := pages.SendPage{In: v.in(), Device: d, Form: f}
	if handlers.IsFragment(r, ui.DialogID) {
		p.InDialog = true
		return handlers.Render(w, r, status, pages.SendForm(p))
	}
	shell, err := s.shell(w, r, v, shellFor{title: "Send a message", here: v.in().Devices()})
	if err != nil {
		return err
	}
	p.Shell = shell
	return handlers.Render(w, r, status, pages.Send(p))
}

// sendTestMessage sends a message as a device, by the way that all messages come.
func (s *site) sendTestMessage(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.device(r, v)
	if err != nil {
		return err
	}
	f, err := form(w, r)
	if err != nil {
		return err
	}
	id, err := s.acceptForm(r, v, d, f)
	if err != nil {
		if f.Fail(err, "payload", "type", "channel") {
			return s.testMessageForm(w, r, v, http.StatusUnprocessableEntity, f, d)
		}
		return err
	}
	return s.done(w, r, v.in().Message(id.String()), "The message was accepted and stored.")
}

func (s *site) acceptForm(r *http.Request, v *visit, d *iot.Device, f *handlers.Form) (iot.ID, error) {
	payload, err := iot.ReadJSON([]byte(strings.TrimSpace(f.Raw("payload"))))
	if err != nil {
		return iot.ID{}, iot.FieldError("payload", payloadSentence(err, `must be JSON, like {"temperature": 21.5}, "text" or 42.`))
	}
	beside := map[string]string{"type": f.Value("type")}
	if channel := f.Value("channel"); channel != "" {
		beside["channel"] = channel
	}
	head, err := json.Marshal(beside)
	if err != nil {
		return iot.ID{}, err
	}
	// The payload goes in as it was typed: encoding would change its bytes.
	body := append(append(append(head[:len(head)-1:len(head)-1], `,"payload":`...), payload...), '}')
	results, err := s.Ingest.Accept(r.Context(), ingest.Sender{Project: v.project, Device: d, Actor: v.actor()}, body)
	if err != nil {
		return iot.ID{}, err
	}
	return results[0].ID, results[0].Err
}

// confirmDeleteDevice asks before a device is deleted, and says what is lost.
func (s *site) confirmDeleteDevice(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.device(r, v)
	if err != nil {
		return err
	}
	n, capped, err := s.DB.CountDeliveries(r.Context(), db.DeliveryFilter{ProjectKey: v.project.Key, DeviceKey: d.Key,
		Statuses: []iot.Status{iot.Pending}}, maxCounted)
	if err != nil {
		return err
	}
	lead := "Its key stops working. Messages it has sent stay in the log"
	switch {
	case capped:
		lead += ", and its pending deliveries (more than " + ui.Count(maxCounted) + ") are still sent"
	case n > 0:
		lead += ", and its " + ui.Plural(int64(n), "pending delivery is", "pending deliveries are") + " still sent"
	}
	return s.confirm(w, r, v, shellFor{title: "Delete device", here: v.in().Devices()}, http.StatusOK, ui.ConfirmProps{
		Title: "Delete " + d.ID + "?", Lead: lead + ".",
		Action: v.in().DeleteDevice(d.ID), Confirm: "Delete the device", Icon: ui.IconTrash, Danger: true, Keep: "Keep it",
		Back: v.in().Device(d.ID),
	})
}

// deleteDevice deletes a device.
func (s *site) deleteDevice(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.device(r, v)
	if err != nil {
		return err
	}
	if err := s.DB.DeleteDevice(d, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, v.in().Devices(), d.ID+" was deleted.")
}
