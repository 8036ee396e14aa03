package db

import (
	"context"
	"strings"

	"thingpost/internal/iot"
)

// The keys of devices. A generated one is everybody's only one (125 random bits);
// a client can set one of its own (iot.CheckDeviceKey), which another project may
// have too. So:
//
//   - In a project a key is one device's, and who asks for it again is told so.
//     What other projects have is never looked at for an answer.
//   - Where the project is named with the key (the native API), the device is
//     looked for in that project alone.
//   - Where none is named (Mainflux's doors), a key is that of the device which had
//     it first, for as long as that device has it. One that came later is stored
//     with the same answer and works where its project is named. It does not
//     inherit: were the first one deleted, the messages of hardware that still has
//     its key would come to a stranger.
//
// The other choices harm more. To refuse an equal key tells that somebody has it. To
// refuse a key that two have, at doors without a project, lets whoever guesses one
// disable a device. What is left: who sets a key that somebody else has guessed
// before sends there through doors without a project, which is why a key must be
// long, and why a generated one is the default.

// DeviceByKey returns the device that a device key belongs to where no project is
// named; not_found. No key opens a device of a deleted project.
func (d *DB) DeviceByKey(ctx context.Context, key iot.Secret) (*iot.Device, error) {
	return d.oneDevice(ctx, d.lookUps.byKey, hashOf(key))
}

// DeviceByKeyIn returns the device that a key belongs to in the project with a
// slug or UUID; not_found.
func (d *DB) DeviceByKeyIn(ctx context.Context, project string, key iot.Secret) (*iot.Device, error) {
	if iot.LooksLikeUUID(project) {
		return d.oneDevice(ctx, d.lookUps.byKeyInUUID, strings.ToLower(project), hashOf(key))
	}
	return d.oneDevice(ctx, d.lookUps.byKeyInSlug, project, hashOf(key))
}

var errKeyTaken = iot.NewError(iot.Conflict, "Another device of this project has this key. Choose another.")

// keyIsLaterQuery tells whether another device than that with an id has a key first.
const keyIsLaterQuery = `SELECT EXISTS (SELECT 1 FROM devices d JOIN projects p ON p.id = d.project_id
	WHERE d.key_hash = ? AND d.deleted_at = 0 AND d.key_later = 0 AND p.deleted_at = 0 AND d.id <> ?)`

// SetDeviceKey replaces a device's key; the old one opens nothing from now on.
// Conflict if another device of its project has it; not_found.
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
	t.commit.Devices = append(t.commit.Devices, iot.DeviceChange{ProjectID: v.ProjectID, Key: v.Key, Names: namesOf(v), OldKey: [32]byte(old)})
	return t.audit(v.ProjectID, actor, "device.rotate_key", v.ID, "")
}
