package db

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"thingpost/internal/iot"
)

// BackupsFolder is the folder inside the data folder for backups that the running server
// makes.
const BackupsFolder = "backups"

// backupRoom is how much more than the database's size must be free before a backup
// begins, so that it never takes the last room from messages.
const backupRoom = 64 << 20

// backupName matches the names of backups; no other file is ever opened.
var backupName = regexp.MustCompile(`^thingpost-\d{8}-\d{6}\.db$`)

// Backups makes and keeps copies of the database while the server runs. Its
// methods are safe for concurrent use.
type Backups struct {
	d      *DB
	folder string
	wanted chan string // the actor who asked

	mu    sync.Mutex
	state BackupState
}

// BackupState is the state of the backup that was last asked for.
type BackupState struct {
	Since iot.Instant // when the backup in progress began; 0 if there is none
	Error string      // why the last one failed, for people
}

// BackupFile is a backup that was made.
type BackupFile struct {
	Name  string
	At    iot.Instant
	Bytes int64
}

// NewBackups returns the backups of a store, which are in its data folder. Run makes them.
func (d *DB) NewBackups() *Backups {
	return &Backups{d: d, folder: filepath.Join(filepath.Dir(d.path), BackupsFolder), wanted: make(chan string, 1)}
}

// Start begins a backup. Conflict while one is in progress, storage_full if the disk has
// no room for it.
func (b *Backups) Start(ctx context.Context, actor string) error {
	size, err := b.d.Size(ctx)
	if err != nil {
		return err
	}
	if disk := b.d.Disk(); disk.Known && disk.Free < size.File+size.WAL+backupRoom {
		return iot.NewError(iot.StorageFull, "The disk has no room for a backup. Free some, or copy to another disk with: thingpost backup "+
			"-data DIR FILE.")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state.Since != 0 {
		return iot.NewError(iot.Conflict, "A backup is being made already.")
	}
	b.state = BackupState{Since: iot.At(b.d.now())}
	b.wanted <- actor // never blocks: one backup at a time
	return nil
}

// State returns the state of the backup that was last asked for.
func (b *Backups) State() BackupState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// Run makes the backups that Start asks for, until ctx ends. A backup in progress is then
// abandoned and leaves no file. Run first removes unfinished files that a kill has left.
func (b *Backups) Run(ctx context.Context) error {
	b.tidy()
	for {
		select {
		case <-ctx.Done():
			return nil
		case actor := <-b.wanted:
			b.d.backing(iot.At(b.d.now()))
			err := b.make(ctx, actor)
			b.d.backing(0)
			b.mu.Lock()
			b.state = BackupState{}
			if err != nil {
				b.state.Error = messageFor(err)
			}
			b.mu.Unlock()
			if err != nil && ctx.Err() == nil {
				b.d.log.Error("backup", slog.Any("error", err))
			}
		}
	}
}

// tidy removes files that were being written when the program was killed.
func (b *Backups) tidy() {
	data := filepath.Dir(b.d.path)
	for pattern, folder := range map[string]string{partialOf("thingpost-*.db"): b.folder, partialOf(FileName): data,
		partialOf(KeyFileName): data, partialOf(probeName): data} {
		entries, _ := os.ReadDir(folder) // a folder that cannot be read has nothing to remove
		for _, e := range entries {
			if ours, _ := filepath.Match(pattern, e.Name()); !ours {
				continue
			}
			if err := os.Remove(filepath.Join(folder, e.Name())); err != nil {
				b.d.log.Warn("remove an unfinished file", slog.String("file", e.Name()), slog.Any("error", err))
			}
		}
	}
}

// messageFor returns an error in words for people.
func messageFor(err error) string {
	if e, ok := errors.AsType[*iot.Error](err); ok {
		return e.Message
	}
	return "The backup could not be made. The log of the server says why."
}

func (b *Backups) make(ctx context.Context, actor string) error {
	if err := os.MkdirAll(b.folder, 0o700); err != nil {
		return unavailable("The folder "+b.folder+" cannot be created. Check the data folder's owner and the disk.", err)
	}
	name := "thingpost-" + b.d.now().UTC().Format("20060102-150405") + ".db"
	if err := Backup(ctx, filepath.Dir(b.d.path), filepath.Join(b.folder, name)); err != nil {
		return err
	}
	return b.d.write("note backup", func(t *Tx) error { return t.audit(0, actor, "backup.create", name, "") })
}

// List returns the existing backups, the newest first.
func (b *Backups) List() ([]BackupFile, error) {
	entries, err := os.ReadDir(b.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable("The folder "+b.folder+" cannot be read.", err)
	}
	var list []BackupFile
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && backupName.MatchString(e.Name()) && info.Mode().IsRegular() {
			list = append(list, BackupFile{Name: e.Name(), At: iot.At(info.ModTime()), Bytes: info.Size()})
		}
	}
	slices.SortFunc(list, func(x, y BackupFile) int { return cmp.Compare(y.Name, x.Name) })
	return list, nil
}

// Open opens a backup for reading, and records who downloads it; not_found.
func (b *Backups) Open(name, actor string) (*os.File, error) {
	if !backupName.MatchString(name) {
		return nil, notFound("backup")
	}
	f, err := os.Open(filepath.Join(b.folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound("backup")
	}
	if err != nil {
		return nil, unavailable("The backup cannot be read.", err)
	}
	if err := b.d.write("note backup", func(t *Tx) error { return t.audit(0, actor, "backup.download", name, "") }); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Remove deletes a backup; not_found.
func (b *Backups) Remove(name, actor string) error {
	if !backupName.MatchString(name) {
		return notFound("backup")
	}
	err := os.Remove(filepath.Join(b.folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return notFound("backup")
	}
	if err != nil {
		return unavailable("The backup cannot be removed.", err)
	}
	return b.d.write("note backup", func(t *Tx) error { return t.audit(0, actor, "backup.delete", name, "") })
}
