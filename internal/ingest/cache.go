package ingest

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/internal/webhook"
)

// settings is a project's settings with its webhooks ready to match.
type settings struct {
	*db.ProjectSettings
	hooks        []hook
	upstreams    map[int64]*iot.Webhook // by key
	transformers map[int64]*transformer // by the profile's key
}

type hook struct {
	*iot.Webhook
	compiled *webhook.Compiled
}

// Bounds of what is kept in memory, for each of the two maps of a kind: entries and
// approximate bytes. One map holds 50,000 devices of common sizes.
const (
	maxCached      = 1 << 16
	maxCachedBytes = 32 << 20
)

// cache keeps what each message needs: settings, devices and keys. A change drops only
// what it concerns: the settings of its project, a device under its names. A value is
// not kept if the count of changes rose while it was read.
type cache struct {
	mu         sync.RWMutex
	changes    uint64 // commits and drops so far
	settings   recent[int64, *settings]
	devices    recent[deviceName, *iot.Device] // nil: known not to exist
	deviceKeys recent[[32]byte, deviceName]
	apiKeys    recent[[32]byte, *keyEntry]
}

// deviceName is one of the names of a device, in lower case.
type deviceName struct {
	project int64
	name    string
}

func nameOf(project int64, name string) deviceName { return deviceName{project, strings.ToLower(name)} }

type keyEntry struct {
	key     *iot.APIKey
	version int64       // of the project's settings; each change of a key raises it
	noted   iot.Instant // when its use was last stored
}

func newCache() cache {
	return cache{
		settings:   newRecent[int64](maxCached, maxCachedBytes, func(s *settings) int { return 1024 + 4096*(len(s.Webhooks)+len(s.Profiles)) }),
		devices:    newRecent[deviceName](maxCached, maxCachedBytes, deviceCost),
		deviceKeys: newRecent[[32]byte](maxCached, maxCachedBytes, func(deviceName) int { return 160 }),
		apiKeys:    newRecent[[32]byte](maxCached, maxCachedBytes, func(*keyEntry) int { return 512 }),
	}
}

// deviceCost returns about how many bytes a device takes: fields, texts, a place in a
// map.
func deviceCost(d *iot.Device) int {
	if d == nil {
		return 128
	}
	return 440 + len(d.ID) + len(d.Name) + len(d.Kind) + len(d.Metadata)
}

// forgetSettings drops a project's settings unless they are newer than a version.
func (c *cache) forgetSettings(project, version int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, _, ok := c.settings.get(project); ok && s.Version <= version {
		c.changes++
		c.settings.drop(project)
	}
}

// forgetDevice drops a device unless it was read again since.
func (c *cache) forgetDevice(d *iot.Device) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range []string{d.ID, d.UUID, d.DevEUI} {
		key := nameOf(d.ProjectKey, name)
		if have, _, ok := c.devices.get(key); ok && (have == nil || have.AsOf <= d.AsOf) {
			c.changes++
			c.devices.drop(key)
		}
	}
}

// forgetKey drops the owner of a device key.
func (c *cache) forgetKey(hash [32]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, _, ok := c.deviceKeys.get(hash); ok {
		c.changes++
		c.deviceKeys.drop(hash)
	}
}

// Changed drops from memory what a commit has changed. It does not block.
func (i *Ingest) Changed(c iot.Commit) {
	if len(c.Projects)+len(c.Devices) > 0 {
		i.cache.changed(c)
	}
	if len(c.Intervals) > 0 {
		i.watch.reread(c.Intervals)
	}
}

func (c *cache) changed(by iot.Commit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	for _, project := range by.Projects {
		c.settings.drop(project)
	}
	for _, d := range by.Devices {
		for _, name := range d.Names {
			c.devices.drop(nameOf(d.ProjectKey, name))
		}
		c.deviceKeys.drop(d.OldKey)
	}
}

// known returns the value kept under a key, and the count of changes.
func known[K comparable, V any](c *cache, kept *recent[K, V], key K) (v V, changes uint64, ok bool) {
	c.mu.RLock()
	v, old, ok := kept.get(key)
	changes = c.changes
	c.mu.RUnlock()
	if old {
		c.mu.Lock()
		defer c.mu.Unlock()
		if v, old, ok = kept.get(key); old {
			kept.put(key, v)
		}
		changes = c.changes
	}
	return v, changes, ok
}

// remember keeps a value that was read, unless the count of changes rose since the read
// began.
func remember[K comparable, V any](c *cache, in *recent[K, V], key K, v V, changes uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes == changes {
		in.put(key, v)
	}
}

func (i *Ingest) settings(ctx context.Context, project int64) (*settings, error) {
	c := &i.cache
	s, changes, ok := known(c, &c.settings, project)
	if ok {
		return s, nil
	}
	s, err := i.readSettings(ctx, project)
	if err == nil {
		remember(c, &c.settings, project, s, changes)
	}
	return s, err
}

func (i *Ingest) readSettings(ctx context.Context, project int64) (*settings, error) {
	p, err := i.db.ProjectSettings(ctx, project)
	if err != nil {
		return nil, err
	}
	s := &settings{ProjectSettings: p, upstreams: map[int64]*iot.Webhook{}, transformers: map[int64]*transformer{}}
	for key, profile := range p.Profiles {
		if t := compileTransformer(profile); t != nil {
			s.transformers[key] = t
		}
	}
	for _, w := range p.Webhooks {
		if w.Kind == iot.KindUpstream {
			s.upstreams[w.Key] = w // takes downlinks queued here, no messages about them
			continue
		}
		c, err := webhook.Compile(w)
		if err != nil {
			return nil, err
		}
		s.hooks = append(s.hooks, hook{w, c})
	}
	return s, nil
}

// device returns a device of a project by its ID, UUID or DevEUI; not_found.
func (i *Ingest) device(ctx context.Context, p *iot.Project, name string) (*iot.Device, error) {
	c, key := &i.cache, nameOf(p.Key, name)
	d, changes, ok := known(c, &c.devices, key)
	if ok && d == nil {
		return nil, errNoDevice
	}
	if ok {
		return d, nil
	}
	d, err := i.findDevice(ctx, p.Key, name)
	if err == nil {
		remember(c, &c.devices, key, d, changes)
	}
	return d, err
}

// findDevice reads a device by its id together with those that others look for, else by
// its UUID or DevEUI.
func (i *Ingest) findDevice(ctx context.Context, project int64, name string) (*iot.Device, error) {
	if !iot.LooksLikeUUID(name) {
		d, err := i.byID.load(ctx, deviceName{project, name})
		if d != nil || err != nil {
			return d, err
		}
		if !iot.LooksLikeEUI(name) {
			return nil, errNoDevice
		}
	}
	return i.db.Device(ctx, project, name)
}

// readDevices reads devices by their ids; nil where there is none.
func (i *Ingest) readDevices(ctx context.Context, names []deviceName) ([]*iot.Device, error) {
	list := make([]*iot.Device, len(names))
	c := &i.cache
	near, changes := c.cold(len(names))
	missing := map[int64][]string{} // ids by project
	for n, name := range names {
		// The read before this one may have brought it.
		if list[n], _, _ = known(c, &c.devices, nameOf(name.project, name.name)); list[n] == nil {
			missing[name.project] = append(missing[name.project], name.name)
		}
	}
	for project, ids := range missing {
		found, err := i.db.DevicesByID(ctx, project, ids, near)
		if err != nil {
			return nil, err
		}
		read := make(map[deviceName]*iot.Device, len(found))
		for _, d := range found {
			read[nameOf(project, d.ID)] = d
		}
		for n, name := range names {
			if name.project == project && list[n] == nil {
				list[n] = read[nameOf(project, name.name)]
			}
		}
		if near {
			rememberNew(c, &c.devices, read, changes)
		}
	}
	return list, nil
}

// readOwners reads devices by their keys; nil where there is none.
func (i *Ingest) readOwners(ctx context.Context, keys []iot.Secret) ([]*iot.Device, error) {
	list := make([]*iot.Device, len(keys))
	c := &i.cache
	near, changes := c.cold(len(keys))
	var missing []iot.Secret
	for n, key := range keys {
		if owner, _, ok := known(c, &c.deviceKeys, hashOf(key)); ok {
			list[n], _, _ = known(c, &c.devices, owner)
		}
		if list[n] == nil {
			missing = append(missing, key)
		}
	}
	if len(missing) == 0 {
		return list, nil
	}
	found, err := i.db.DevicesByKey(ctx, missing, near)
	if err != nil {
		return nil, err
	}
	for n, key := range keys {
		if list[n] == nil {
			list[n] = found[hashOf(key)]
		}
	}
	if near {
		owners, devices := make(map[[32]byte]deviceName, len(found)), make(map[deviceName]*iot.Device, len(found))
		for hash, d := range found {
			owners[hash] = deviceName{d.ProjectKey, d.UUID}
			devices[owners[hash]] = d
		}
		rememberNew(c, &c.devices, devices, changes)
		rememberNew(c, &c.deviceKeys, owners, changes)
	}
	return list, nil
}

// cold reports whether devices beside those that are wanted should be read too, since their
// messages probably come next: several are missing at once, and memory has room for all so
// far. It returns the count of changes as well.
func (c *cache) cold(missing int) (near bool, changes uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return missing > 1 && c.devices.old == nil, c.changes
}

// rememberNew keeps the values of a read that are not kept yet, unless the count of changes
// rose since the read began.
func rememberNew[K comparable, V any](c *cache, in *recent[K, V], values map[K]V, changes uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes != changes {
		return
	}
	for key, v := range values {
		if _, _, ok := in.get(key); !ok {
			in.put(key, v)
		}
	}
}

var errNoDevice = iot.NewError(iot.NotFound, "There is no such device.")

// Device returns the device that a device key belongs to, and its project, for paths
// that name no project. The error is unauthorized if there is none. The result is
// shared and must not be changed.
func (i *Ingest) Device(ctx context.Context, key iot.Secret) (*iot.Device, *iot.Project, error) {
	d, err := i.deviceByKey(ctx, key)
	if err == nil {
		var s *settings
		if s, err = i.settings(ctx, d.ProjectKey); err == nil {
			return d, s.Project, nil
		}
	}
	if iot.CodeOf(err) == iot.NotFound {
		i.cache.forgetKey(hashOf(key)) // its device or project was deleted; another device may have the key now
		err = iot.NewError(iot.Unauthorized, "This key does not belong to any device.")
	}
	return nil, nil, err
}

// DeviceIn is Device for paths that name a project by its slug or UUID. A device of
// that project which has the key takes precedence over all others.
func (i *Ingest) DeviceIn(ctx context.Context, project string, key iot.Secret) (*iot.Device, *iot.Project, error) {
	d, p, err := i.Device(ctx, key)
	if err == nil && (p.ID == project || strings.EqualFold(p.UUID, project)) || err != nil && iot.CodeOf(err) != iot.Unauthorized {
		return d, p, err
	}
	there, thereErr := i.db.DeviceByKeyIn(ctx, project, key)
	if iot.CodeOf(thereErr) == iot.NotFound {
		return d, p, err
	}
	if thereErr != nil {
		return nil, nil, thereErr
	}
	s, err := i.settings(ctx, there.ProjectKey)
	if err != nil {
		return nil, nil, err
	}
	return there, s.Project, nil
}

func hashOf(key iot.Secret) [32]byte { return sha256.Sum256([]byte(key.Reveal())) }

// deviceByKey returns the device of a key; not_found.
func (i *Ingest) deviceByKey(ctx context.Context, key iot.Secret) (*iot.Device, error) {
	c, hash := &i.cache, hashOf(key)
	name, changes, ok := known(c, &c.deviceKeys, hash)
	if ok {
		return i.device(ctx, &iot.Project{Key: name.project}, name.name)
	}
	d, err := i.byKey.load(ctx, key)
	if d == nil && err == nil {
		err = errNoDevice
	}
	if err == nil {
		name = deviceName{d.ProjectKey, d.UUID}
		remember(c, &c.devices, name, d, changes)
		remember(c, &c.deviceKeys, hash, name, changes)
	}
	return d, err
}

// APIKey returns the API key of a text in The Things Stack's form, and its project. The
// error is unauthorized if there is none or it has expired. The result is shared and
// must not be changed.
func (i *Ingest) APIKey(ctx context.Context, text iot.Secret) (*iot.APIKey, *iot.Project, error) {
	refused := iot.NewError(iot.Unauthorized, "This API key is unknown, revoked or expired.")
	e, p, err := i.apiKey(ctx, text)
	if iot.CodeOf(err) == iot.NotFound {
		return nil, nil, refused
	}
	if err != nil {
		return nil, nil, err
	}
	now := iot.At(i.now())
	if e.key.ExpiresAt != 0 && e.key.ExpiresAt <= now {
		return nil, nil, refused
	}
	i.noteUse(e, now)
	return e.key, p, nil
}

// apiKey returns the cached or stored entry of a key; not_found.
func (i *Ingest) apiKey(ctx context.Context, text iot.Secret) (*keyEntry, *iot.Project, error) {
	id, secret, ok := iot.ParseAPIKey(text.Reveal())
	if !ok {
		return nil, nil, iot.NewError(iot.NotFound, "This is not an API key.")
	}
	c, hash := &i.cache, sha256.Sum256([]byte(text.Reveal()))
	e, changes, ok := known(c, &c.apiKeys, hash)
	if !ok {
		k, err := i.db.APIKey(ctx, id, secret)
		if err != nil {
			return nil, nil, err
		}
		e = &keyEntry{key: k}
	}
	s, err := i.settings(ctx, e.key.ProjectKey)
	if err != nil {
		return nil, nil, err
	}
	if e.version == s.Version {
		return e, s.Project, nil
	}
	// The key is read after the settings, so that a key which changes later is read
	// again.
	k, err := i.db.APIKey(ctx, id, secret)
	if err != nil {
		return nil, nil, err
	}
	c.mu.RLock()
	noted := e.noted
	c.mu.RUnlock()
	e = &keyEntry{key: k, version: s.Version, noted: noted}
	remember(c, &c.apiKeys, hash, e, changes)
	return e, s.Project, nil
}

// noteEvery is how often the use of a key is stored.
const noteEvery = time.Minute

func (i *Ingest) noteUse(e *keyEntry, now iot.Instant) {
	i.cache.mu.RLock()
	due := now.Sub(e.noted) >= noteEvery
	i.cache.mu.RUnlock()
	if !due {
		return
	}
	i.cache.mu.Lock()
	due = now.Sub(e.noted) >= noteEvery
	e.noted = now
	i.cache.mu.Unlock()
	if due {
		i.db.NoteKeyUsed(e.key.ID, now)
	}
}

// printable quotes and shortens a name from outside for use in a sentence.
func printable(name string) string {
	if len(name) > 40 {
		name = name[:40] + "…"
	}
	return `"` + strings.ToValidUTF8(name, "?") + `"`
}
