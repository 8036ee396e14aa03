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

// settings are a project's settings with its webhooks ready to match.
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

// maxCached bounds each of the caches of devices and keys; a full one is emptied.
const maxCached = 20_000

// cache keeps what each message needs: settings, devices and keys. A change
// empties what it may concern; what was being read at that moment is not kept,
// by the generation.
type cache struct {
	mu         sync.RWMutex
	generation uint64
	settings   map[int64]*settings
	devices    map[deviceName]*iot.Device
	deviceKeys map[[32]byte]deviceEntry
	apiKeys    map[[32]byte]*keyEntry
}

type deviceName struct {
	project int64
	name    string
}

type deviceEntry struct {
	device  *iot.Device
	project *iot.Project
}

type keyEntry struct {
	key     *iot.APIKey
	project *iot.Project
	noted   iot.Instant // when its use was last written
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.settings = map[int64]*settings{}
	c.devices = map[deviceName]*iot.Device{}
	c.deviceKeys = map[[32]byte]deviceEntry{}
	c.apiKeys = map[[32]byte]*keyEntry{}
}

// Changed hears of a commit: what is kept in memory of changed projects is
// dropped. It does not block.
func (i *Ingest) Changed(c iot.Commit) {
	if len(c.Projects) > 0 {
		i.cache.clear()
	}
	if len(c.Intervals) > 0 {
		i.watch.reread(c.Intervals)
	}
}

// lookUp returns what a map of the cache holds, or reads and keeps it.
func lookUp[K comparable, V any](c *cache, of func(*cache) map[K]V, key K, read func() (V, error)) (V, error) {
	c.mu.RLock()
	v, ok := of(c)[key]
	generation := c.generation
	c.mu.RUnlock()
	if ok {
		return v, nil
	}
	v, err := read()
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation == generation {
		m := of(c)
		if len(m) >= maxCached {
			clear(m)
		}
		m[key] = v
	}
	return v, nil
}

func (i *Ingest) settings(ctx context.Context, project int64) (*settings, error) {
	return lookUp(&i.cache, func(c *cache) map[int64]*settings { return c.settings }, project, func() (*settings, error) {
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
				s.upstreams[w.Key] = w // what is queued here goes there, what others tell of does not
				continue
			}
			c, err := webhook.Compile(w)
			if err != nil {
				return nil, err
			}
			s.hooks = append(s.hooks, hook{w, c})
		}
		return s, nil
	})
}

// device returns a device of a project by slug or UUID; not_found.
func (i *Ingest) device(ctx context.Context, p *iot.Project, name string) (*iot.Device, error) {
	return lookUp(&i.cache, func(c *cache) map[deviceName]*iot.Device { return c.devices }, deviceName{p.Key, name}, func() (*iot.Device, error) {
		return i.db.Device(ctx, p.Key, name)
	})
}

// Device returns the device that a device key belongs to and its project;
// unauthorized if there is none. What it returns is shared and must not be
// changed.
func (i *Ingest) Device(ctx context.Context, key iot.Secret) (*iot.Device, *iot.Project, error) {
	e, err := lookUp(&i.cache, func(c *cache) map[[32]byte]deviceEntry { return c.deviceKeys }, sha256.Sum256([]byte(key.Reveal())), func() (deviceEntry, error) {
		d, p, err := i.db.DeviceByKey(ctx, key)
		return deviceEntry{d, p}, err
	})
	if iot.CodeOf(err) == iot.NotFound {
		err = iot.NewError(iot.Unauthorized, "This key is not, or no longer, the key of a device.")
	}
	return e.device, e.project, err
}

// noteEvery is how often a key's use is written.
const noteEvery = time.Minute

// APIKey returns the key of a text of The Things Stack's form and its project;
// unauthorized if there is none or it has expired. What it returns is shared and
// must not be changed.
func (i *Ingest) APIKey(ctx context.Context, text iot.Secret) (*iot.APIKey, *iot.Project, error) {
	refused := iot.NewError(iot.Unauthorized, "This API key is unknown, revoked or expired.")
	id, secret, ok := iot.ParseAPIKey(text.Reveal())
	if !ok {
		return nil, nil, refused
	}
	e, err := lookUp(&i.cache, func(c *cache) map[[32]byte]*keyEntry { return c.apiKeys }, sha256.Sum256([]byte(text.Reveal())), func() (*keyEntry, error) {
		k, err := i.db.APIKey(ctx, id, secret)
		if err != nil {
			return nil, err
		}
		s, err := i.settings(ctx, k.ProjectID)
		if err != nil {
			return nil, err
		}
		return &keyEntry{key: k, project: s.Project}, nil
	})
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
	return e.key, e.project, nil
}

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

func sameUUID(a, b string) bool { return iot.LooksLikeUUID(a) && strings.EqualFold(a, b) }

// printable shortens a name that somebody sent for a sentence.
func printable(name string) string {
	if len(name) > 40 {
		name = name[:40] + "…"
	}
	return `"` + strings.ToValidUTF8(name, "?") + `"`
}
