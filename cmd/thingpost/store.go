package main

import (
	"context"
	"os"
	"path/filepath"

	"thingpost/db"
)

const backupAbout = `Copy the database into a new FILE. The server can run meanwhile. The copy is of one moment.

Secrets stay encrypted in the copy, and their key (secret.key in the data folder) is
NOT in it: keep that key too, in another place.`

func backupCommand(ctx context.Context, p *program, args []string) error {
	o := newOptions("backup", "FILE", backupAbout)
	var data string
	o.text(&data, "data", "DIR", "./data", "folder of the database")
	rest, err := o.parse(p, args, 1, 1)
	if err != nil {
		return err
	}
	if err := db.Backup(ctx, data, rest[0]); err != nil {
		return err
	}
	info, err := os.Stat(rest[0])
	if err != nil {
		return err
	}
	p.say("%s is a copy of the database (%d bytes).", rest[0], info.Size())
	p.say("The key file is not in it. Without secret.key its secrets cannot be read: keep that file too, in another place.")
	return nil
}

const restoreAbout = `Check a backup FILE and restore the data folder's database from it.
No server may be running on the folder. Before or after, put the key file (secret.key)
of the backup's server into the folder.`

func restoreCommand(ctx context.Context, p *program, args []string) error {
	o := newOptions("restore", "FILE", restoreAbout)
	var data string
	var force bool
	o.text(&data, "data", "DIR", "./data", "folder of the database")
	o.flag(&force, "force", "replace the existing database")
	rest, err := o.parse(p, args, 1, 1)
	if err != nil {
		return err
	}
	unlock, err := lockFolder(data)
	if err != nil {
		return err
	}
	defer unlock()
	if err := db.Restore(ctx, data, rest[0], force); err != nil {
		return err
	}
	p.say("The database in %s was restored from %s.", data, rest[0])
	if _, err := os.Stat(filepath.Join(data, db.KeyFileName)); err != nil {
		p.say("The key file is missing. Put it at %s, or name it with THINGPOST_SECRET_KEY_FILE, before you start the server.",
			filepath.Join(data, db.KeyFileName))
	}
	return nil
}

const checkAbout = `Check that the database is intact and consistent. The server can run meanwhile.
Exit status 0 without faults, 1 with.`

func checkCommand(ctx context.Context, p *program, args []string) (err error) {
	o := newOptions("check", "", checkAbout)
	var c storeConfig
	o.dataOptions(&c.Data, &c.KeyFile)
	if _, err := o.parse(p, args, 0, 0); err != nil {
		return err
	}
	d, err := db.Open(ctx, db.Options{Folder: c.Data, KeyFile: c.KeyFile, ReadOnly: true, Now: p.now})
	if err != nil {
		return err
	}
	defer func() {
		if cerr := d.Close(); err == nil {
			err = cerr
		}
	}()
	findings, err := d.Check(ctx)
	wrong := false
	for _, f := range findings {
		p.say("%s", f)
		wrong = wrong || !f.OK()
	}
	if err != nil {
		return err
	}
	if wrong {
		p.say("The data folder has faults. Copy it before you restore a backup.")
		return errReported
	}
	p.say("No faults found.")
	return nil
}
