package db

import (
	"context"
	"crypto/subtle"
	"strings"

	"thingpost/internal/iot"
)

const keyColumns = `id, project_id, name, rights, created_at, created_by, expires_at, used_at`

func scanKey(row interface{ Scan(...any) error }, more ...any) (*iot.APIKey, error) {
	var k iot.APIKey
	var rights string
	into := append([]any{&k.ID, &k.ProjectKey, &k.Name, &rights, &k.CreatedAt, &k.CreatedBy, &k.ExpiresAt, &k.UsedAt}, more...)
	if err := row.Scan(into...); err != nil {
		return nil, err
	}
	var err error
	k.Rights, err = iot.ParseRights(strings.Split(rights, ","))
	k.Names = k.Rights.Names()
	return &k, err
}

// APIKeys returns a project's keys, the newest first.
func (d *DB) APIKeys(ctx context.Context, projectKey int64) ([]iot.APIKey, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE project_id = $1 AND deleted_at = 0 ORDER BY `+
		`created_at DESC, id`, projectKey)
	if err != nil {
		return nil, translate("list keys", err)
	}
	defer func() { _ = rows.Close() }()
	list := []iot.APIKey{}
	for rows.Next() {
		k, err := scanKey(rows)
		if err != nil {
			return nil, translate("list keys", err)
		}
		list = append(list, *k)
	}
	return list, translate("list keys", rows.Err())
}

// CreateAPIKey stores a key of its project (ProjectKey) under its ID; secret is its last
// part, stored as a hash. It is for people; a key creates another by CreateAPIKeyBy.
func (d *DB) CreateAPIKey(k *iot.APIKey, secret iot.Secret, actor string) error {
	if err := d.checkKey(k); err != nil {
		return err
	}
	return d.write("create key", func(t *Tx) error { return t.createKey(k, secret, actor) })
}

// CreateAPIKeyBy is CreateAPIKey by another key, within the rights that it has when the new
// key is written: forbidden; unauthorized if it was revoked or has expired.
func (d *DB) CreateAPIKeyBy(k *iot.APIKey, secret iot.Secret, by *iot.APIKey) error {
	if err := d.checkKey(k); err != nil {
		return err
	}
	return d.write("create key", func(t *Tx) error {
		maker, err := t.maker(by)
		if err == nil {
			err = maker.MayMake(k)
		}
		if err != nil {
			return err
		}
		return t.createKey(k, secret, maker.Name)
	})
}

// UpdateAPIKeyBy is UpdateAPIKey by another key, or by the key itself, within its rights:
// forbidden; unauthorized if it was revoked or has expired.
func (d *DB) UpdateAPIKeyBy(k, by *iot.APIKey) error {
	if err := d.checkKey(k); err != nil {
		return err
	}
	return d.write("update key", func(t *Tx) error {
		maker, err := t.maker(by)
		if err != nil {
			return err
		}
		was, err := scanKey(t.row(`SELECT `+keyColumns+` FROM api_keys WHERE id = $1 AND project_id = $2 AND deleted_at = 0`, k.ID, k.ProjectKey))
		if err != nil {
			return orNotFound("key", err)
		}
		if err := maker.MayChange(was, k); err != nil {
			return err
		}
		return t.updateKey(k, maker.Name)
	})
}

// maker reads the present state of the key that makes a change. It may have fewer rights
// than when its request began.
func (t *Tx) maker(by *iot.APIKey) (*iot.APIKey, error) {
	k, err := scanKey(t.row(`SELECT `+keyColumns+` FROM api_keys WHERE id = $1 AND project_id = $2 AND deleted_at = 0`, by.ID, by.ProjectKey))
	if isNoRow(err) || err == nil && k.ExpiresAt != 0 && k.ExpiresAt <= iot.At(t.db.now()) {
		return nil, iot.NewError(iot.Unauthorized, "This API key was revoked or has expired.")
	}
	return k, err
}

// UpdateAPIKey changes a key's name, rights and expiry; not_found. It is for people; a key
// changes another by UpdateAPIKeyBy.
func (d *DB) UpdateAPIKey(k *iot.APIKey, actor string) error {
	if err := d.checkKey(k); err != nil {
		return err
	}
	return d.write("update key", func(t *Tx) error { return t.updateKey(k, actor) })
}

func (t *Tx) updateKey(k *iot.APIKey, actor string) error {
	if err := t.execOne("key", `UPDATE api_keys SET name = $1, rights = $2,
		expires_at = $3 WHERE project_id = $4 AND id = $5 AND deleted_at = 0`,
		k.Name, k.Rights.String(), int64(k.ExpiresAt), k.ProjectKey, k.ID); err != nil {
		return err
	}
	k.Names = k.Rights.Names()
	t.changed(k.ProjectKey, iot.SettingsChanged)
	t.raise(k.ProjectKey) // keys in memory are stale
	return t.audit(k.ProjectKey, actor, "key.update", k.Name, strings.Join(k.Names, ", "))
}

func (d *DB) checkKey(k *iot.APIKey) error {
	var f iot.Faults
	f.Check(iot.TextLength(k.Name) >= 1 && iot.TextLength(k.Name) <= iot.MaxName, "name", "must have 1 to 254 characters.")
	f.Check(k.Rights != 0, "rights", "Choose at least one right.")
	f.Check(k.ExpiresAt == 0 || k.ExpiresAt > iot.At(d.now()), "expires_at", "must be in the future.")
	return f.Err()
}

func (t *Tx) createKey(k *iot.APIKey, secret iot.Secret, actor string) error {
	k.CreatedAt, k.CreatedBy, k.Names = iot.At(t.db.now()), actor, k.Rights.Names()
	if _, err := t.exec(`INSERT INTO api_keys (id, project_id, name, rights, hash, created_at, created_by, expires_at) VALUES ($1, $2, $3,
		$4, $5, $6, $7, $8)`,
		k.ID, k.ProjectKey, k.Name, k.Rights.String(), hashOf(secret), int64(k.CreatedAt), k.CreatedBy, int64(k.ExpiresAt)); err != nil {
		return err
	}
	t.changed(k.ProjectKey, iot.SettingsChanged)
	return t.audit(k.ProjectKey, actor, "key.create", k.Name, strings.Join(k.Names, ", "))
}

// APIKey returns the key with an id if the secret is the key's and the key has not expired;
// not_found otherwise.
func (d *DB) APIKey(ctx context.Context, id string, secret iot.Secret) (*iot.APIKey, error) {
	var hash []byte
	k, err := scanKey(d.reader.QueryRowContext(ctx, `SELECT `+keyColumns+`, hash FROM api_keys WHERE id = $1 AND deleted_at = 0`, id), &hash)
	if err != nil {
		return nil, orNotFound("key", err)
	}
	if subtle.ConstantTimeCompare(hash, hashOf(secret)) != 1 || k.ExpiresAt != 0 && k.ExpiresAt <= iot.At(d.now()) {
		return nil, notFound("key")
	}
	return k, nil
}

// NoteKeyUsed records when a key was last used. Callers need not wait for it: it is written
// along with other work, and lost in a crash.
func (d *DB) NoteKeyUsed(id string, at iot.Instant) {
	d.submit(item{fn: func(t *Tx) error {
		_, err := t.exec(`UPDATE api_keys SET used_at = $1 WHERE id = $2 AND used_at < $1`, int64(at), id)
		return err
	}, done: func(error) {}})
}

// DeleteAPIKey revokes a key of a project; not_found.
func (d *DB) DeleteAPIKey(projectKey int64, id, actor string) error {
	return d.write("delete key", func(t *Tx) error { return t.deleteKey(projectKey, id, actor) })
}

func (t *Tx) deleteKey(projectKey int64, id, actor string) error {
	var name string
	if err := t.row(`UPDATE api_keys SET deleted_at = $1 WHERE project_id = $2 AND id = $3 AND deleted_at = 0 RETURNING name`,
		int64(iot.At(t.db.now())), projectKey, id).Scan(&name); err != nil {
		return orNotFound("key", err)
	}
	t.changed(projectKey, iot.SettingsChanged)
	t.raise(projectKey) // keys in memory are stale
	return t.audit(projectKey, actor, "key.delete", name, "")
}
