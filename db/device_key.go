package db

import (
	"context"
	"strings"

	"thingpost/internal/iot"
)

// The keys of devices. A generated key is unique everywhere (125 random bits). A client
// can set its own (iot.CheckDeviceKey), which a device of another project may have too.
// So:
//
//   - In a project a key belongs to one device, and setting it for a second one is
//     refused. Keys of other projects never change an answer.
//   - If a request names the project with the key (the native API), the device is
//     searched in that project only.
//   - If a request names no project (Mainflux's doors), the key belongs to the device
//     that had it first, as long as that device has it. A later device gets the same
//     answer when it sets the key, but can use it only where its project is named. It
//     does not inherit the key: after the first device was deleted, the messages of
//     hardware that still uses the key would reach a stranger.
//
// The alternatives harm more. Refusing an equal key reveals that it exists. Refusing, at
// doors without a project, a key that two devices have, allows anyone who guesses a key to
// disable a device. One risk remains: if somebody has guessed a key and set it before its
// owner did, the owner's messages through doors without a project reach that person. So
// a key must be long, and a generated one is the default.

// DeviceByKey returns the device of a device key, for requests that name no project;
// not_found. It finds no device of a deleted project.
func (d *DB) DeviceByKey(ctx context.Context, key iot.Secret) (*iot.Device, error) {
	return d.oneDevice(ctx, d.lookUps.byKey, hashOf(key))
}

// DeviceByKeyIn returns the device of a key in the project with a slug or UUID; not_found.
func (d *DB) DeviceByKeyIn(ctx context.Context, project string, key iot.Secret) (*iot.Device, error) {
	if iot.LooksLikeUUID(project) {
		return d.oneDevice(ctx, d.lookUps.byKeyInUUID, strings.ToLower(project), hashOf(key))
	}
	return d.oneDevice(ctx, d.lookUps.byKeyInSlug, project, hashOf(key))
}

var errKeyTaken = iot.NewError(iot.Conflict, "Another device of this project has this key. Choose another.")

// keyIsLaterQuery reports whether a device other than the one with an id had a key first.
const keyIsLaterQuery = `SELECT EXISTS (SELECT 1 FROM devices d JOIN projects p ON p.id = d.project_id
	WHERE d.key_hash = ? AND d.deleted_at = 0 AND d.key_later = 0 AND p.deleted_at = 0 AND d.id <> ?)`

// SetDeviceKey replaces a device's key; the old one becomes invalid. Conflict if another
// device of its project has the key; not_found.
func (d *DB) SetDeviceKey(v *iot.Device, key iot.Secret, actor string) error {
	return d.write("set device key", func(t *Tx) error { return t.setDeviceKey(v, key, actor) })
}

func (t *Tx) setDeviceKey(v *iot.Device, key iot.Secret, actor string) error {
	var old []byte
	if err := t.row(`SELECT key_hash FROM devices WHERE id = $1 AND deleted_at = 0`, v.Key).Scan(&old); err != nil {
		return orNotFound("device", err)
	}
	var later bool
	if err := t.db.writer.stmts.keyIsLater.QueryRowContext(t.ctx, hashOf(key), v.Key).Scan(&later); err != nil {
		return err
	}
	if err := t.execOne("device", `UPDATE devices SET key_hash = $1, key_sealed = $2, key_later = $3,
		updated_at = $4 WHERE id = $5 AND deleted_at = 0`,
		hashOf(key), t.db.sealer.seal([]byte(key.Reveal())), later, int64(iot.At(t.db.now())), v.Key); isTaken(err) {
		return errKeyTaken
	} else if err != nil {
		return err
	}
	change := iot.DeviceChange{ProjectKey: v.ProjectKey, Key: v.Key, Names: namesOf(v), OldKey: [32]byte(old)}
	t.commit.Devices = append(t.commit.Devices, change)
	return t.audit(v.ProjectKey, actor, "device.rotate_key", v.ID, "")
}
