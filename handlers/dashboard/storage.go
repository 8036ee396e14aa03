package dashboard

import (
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// instanceRoutes are the pages about this host as a whole.
func (s *site) instanceRoutes() []route {
	const storage, one = "/settings/storage", "/settings/storage/backups/{backup}"
	list := []route{
		{get, storage, administrator, 0, s.showStorage},
		{post, storage + "/backups", administrator, 0, s.createBackup},
		{get, one, administrator, 0, s.downloadBackup},
		{get, one + "/delete", administrator, 0, s.confirmDeleteBackup},
		{post, one + "/delete", administrator, 0, s.deleteBackup},
		{get, storage + "/prune", administrator, 0, s.confirmPrune},
		{post, storage + "/prune", administrator, 0, s.prune},
		{get, "/settings/system", administrator, 0, s.showSystem},
		{get, "/settings/audit", administrator, 0, s.listInstanceAudit},
	}
	if s.StylePage {
		list = append(list, route{get, pages.StylePath, person, 0, s.showStyle})
	}
	return list
}

const (
	// growthOver is how far back the present growth is measured, and growthLeast
	// the least time that tells anything.
	growthOver  = 7 * 24 * time.Hour
	growthLeast = 2 * time.Hour
	// storageDays is how many days the page shows.
	storageDays = 14
	// lowBytes and lowDays are when the disk counts as low.
	lowBytes = 1 << 30
	lowDays  = 7
)

// showStorage shows how large the database is and its backups, or the section of
// the backups, which asks again while one is being made.
func (s *site) showStorage(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := s.storagePage(r, v)
	if err != nil {
		return err
	}
	if handlers.IsFragment(r, pages.BackupsID) {
		return handlers.Render(w, r, http.StatusOK, pages.Backups(p))
	}
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Storage", here: instanceOf(v).Storage()}); err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.Storage(p))
}

func (s *site) storagePage(r *http.Request, v *visit) (pages.StoragePage, error) {
	p := pages.StoragePage{At: instanceOf(v), Now: s.now(), Retention: s.Host.Retention, RetentionBytes: s.Host.RetentionBytes}
	size, err := s.DB.Size(r.Context())
	if err != nil {
		return p, err
	}
	p.File, p.WAL, p.FreeInside = size.File, size.WAL, size.Free
	if t := s.DB.Outage(); t != nil {
		p.Outage = outageText(t, p.Now) + " Senders are told to try again. Nothing that was accepted is lost. The data folder is " +
			filepath.Dir(s.DB.Path()) + "."
	}
	if h := s.DB.WALHold(); h != nil {
		p.HeldBy, p.HeldSince = h.By, h.Since
	}
	disk := s.DB.Disk()
	p.DiskFree, p.DiskTotal, p.DiskKnown = disk.Free, disk.Total, disk.Known
	if p.Oldest, err = s.DB.OldestMessage(r.Context()); err != nil {
		return p, err
	}
	hours, err := s.DB.StorageHours(r.Context(), p.Now.Add(-storageDays*24*time.Hour))
	if err != nil {
		return p, err
	}
	p.Days = storageByDay(hours)
	p.PerDay, p.GrowthKnown = growth(hours, size, p.Now)
	p.DaysLeft, p.LimitFirst = daysLeft(p)
	p.Low = p.DiskKnown && (p.DiskFree < lowBytes || p.DaysLeft >= 0 && p.DaysLeft < lowDays && !p.LimitFirst)
	return p, s.fillBackups(&p)
}

func (s *site) fillBackups(p *pages.StoragePage) error {
	if s.Backups == nil {
		return nil
	}
	files, err := s.Backups.List()
	for _, f := range files {
		p.Backups = append(p.Backups, pages.BackupRow{Name: f.Name, At: f.At, Bytes: f.Bytes})
	}
	state := s.Backups.State()
	p.CanBackUp, p.BackupSince, p.BackupError = true, state.Since, state.Error
	return err
}

// storageByDay sums hours up to days (UTC), the newest first.
func storageByDay(hours []db.StorageHour) []pages.StorageDay {
	const day = 24 * time.Hour
	var days []pages.StorageDay
	for _, h := range slices.Backward(hours) {
		at := iot.At(h.At.Time().Truncate(day))
		if len(days) == 0 || days[len(days)-1].At != at {
			days = append(days, pages.StorageDay{At: at, Bytes: h.Used + h.WAL})
		}
		d := &days[len(days)-1]
		d.Messages += h.Removed.Messages
		d.Deliveries += h.Removed.Deliveries
		d.Attempts += h.Removed.Attempts
	}
	return days
}

// growth returns how many bytes the database grows by a day, from what it was
// within the last week; known is false while that is too short a time.
func growth(hours []db.StorageHour, size db.Size, now iot.Instant) (perDay int64, known bool) {
	for _, h := range hours {
		if h.At < now.Add(-growthOver) {
			continue
		}
		// The hour's figure is of its end.
		passed := now.Sub(h.At.Add(time.Hour))
		if passed < growthLeast {
			return 0, false
		}
		more := size.File - size.Free + size.WAL - h.Used - h.WAL
		return int64(float64(more) * float64(24*time.Hour) / float64(passed)), true
	}
	return 0, false
}

// daysLeft returns for how many days there is room at the present growth, -1 if
// for ever or not known. limitFirst says that the limit of the database's size
// is reached before the disk is full: then the oldest goes, and nothing stops.
func daysLeft(p pages.StoragePage) (days int64, limitFirst bool) {
	room, known := p.DiskFree+p.FreeInside, p.DiskKnown
	if p.RetentionBytes > 0 {
		used := p.File - p.FreeInside
		if p.HeldBy == "" {
			used += p.WAL
		}
		limit := max(p.RetentionBytes-used, 0)
		if !known || limit < room {
			room, known, limitFirst = limit, true, true
		}
	}
	if !known || !p.GrowthKnown || p.PerDay <= 0 {
		return -1, limitFirst
	}
	return room / p.PerDay, limitFirst
}

// createBackup begins a backup.
func (s *site) createBackup(w http.ResponseWriter, r *http.Request, v *visit) error {
	if s.Backups == nil {
		return iot.NewError(iot.Unavailable, "This server cannot create backups. Use: thingpost backup -data DIR FILE.")
	}
	if err := s.Backups.Start(r.Context(), v.actor()); err != nil {
		return err
	}
	return s.done(w, r, instanceOf(v).Storage(), "The backup was started.")
}

// downloadBackup sends a backup.
func (s *site) downloadBackup(w http.ResponseWriter, r *http.Request, v *visit) error {
	if s.Backups == nil {
		return iot.NewError(iot.NotFound, "There is no such backup.")
	}
	name := r.PathValue("backup")
	f, err := s.Backups.Open(name, v.actor())
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/vnd.sqlite3")
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", info.ModTime(), f)
	return nil
}

// confirmDeleteBackup asks before a backup is deleted.
func (s *site) confirmDeleteBackup(w http.ResponseWriter, r *http.Request, v *visit) error {
	i, name := instanceOf(v), r.PathValue("backup")
	return s.confirm(w, r, v, shellFor{title: "Delete a backup", here: i.Storage()}, http.StatusOK, ui.ConfirmProps{
		Title: "Delete " + name + "?", Lead: "This deletes the copy permanently. The database does not change.",
		Action: i.DeleteBackup(name), Confirm: "Delete the backup", Icon: ui.IconTrash, Danger: true, Keep: "Keep it", Back: i.Storage(),
	})
}

// deleteBackup deletes a backup.
func (s *site) deleteBackup(w http.ResponseWriter, r *http.Request, v *visit) error {
	if s.Backups == nil {
		return iot.NewError(iot.NotFound, "There is no such backup.")
	}
	name := r.PathValue("backup")
	if err := s.Backups.Remove(name, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, instanceOf(v).Storage(), name+" was deleted.")
}

// confirmPrune asks before retention runs at once.
func (s *site) confirmPrune(w http.ResponseWriter, r *http.Request, v *visit) error {
	i := instanceOf(v)
	return s.confirm(w, r, v, shellFor{title: "Prune now", here: i.Storage()}, http.StatusOK, ui.ConfirmProps{
		Title: "Prune now?", Lead: "Everything that is " + pages.RetentionText(s.Host.Retention, s.Host.RetentionBytes) +
			" is removed now instead of within five minutes, and the disk gets the free space back. Pending deliveries and their messages stay.",
		Action: i.Prune(), Confirm: "Prune now", Icon: ui.IconTrash, Danger: true, Keep: "Cancel", Back: i.Storage(),
	}, pages.PruneChoice(s.Host.Retention))
}

// prune lets retention run at once.
func (s *site) prune(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	older, err := pages.PruneAge(f.Value("older"))
	if err != nil {
		return err
	}
	if err := s.DB.PruneSoon(v.actor(), older); err != nil {
		return err
	}
	return s.done(w, r, instanceOf(v).Storage(), "Pruning was started. The removed rows are counted below.")
}
