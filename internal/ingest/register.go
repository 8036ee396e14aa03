package ingest

import (
	"context"

	"github.com/tidwall/gjson"

	"thingpost/internal/iot"
)

// registerStep is how many new devices one transaction creates. It is small, so that no
// other sender waits long.
const registerStep = readAtOnce / 2

// registerAll registers the unknown devices that the messages of an array name, many in
// a transaction. Accept handles any device left out here with its own message, and
// reports why. The error is one that concerns all messages.
func (i *Ingest) registerAll(ctx context.Context, s Sender, bodies [][]byte) error {
	if len(bodies) < 2 || !s.Register || !s.Project.AutoRegister || s.Device != nil || s.Name != "" {
		return nil
	}
	asked := map[deviceName]bool{}
	var list []*iot.Device
	var keys []iot.Secret
	flush := func() error {
		err := i.db.CreateDevices(list, keys, s.Actor)
		list, keys = list[:0], keys[:0]
		if err != nil && isShared(err) {
			return err
		}
		return nil
	}
	for _, body := range bodies {
		from := gjson.GetBytes(body, "from").String()
		name := nameOf(s.Project.Key, from)
		if from == "" || len(body) > iot.MaxMessageBytes || asked[name] {
			continue
		}
		asked[name] = true
		if _, err := i.device(ctx, s.Project, from); iot.CodeOf(err) != iot.NotFound {
			continue
		}
		if r, err := decode(body); err != nil || r.from != from {
			asked[name] = false // a bad message registers no device
			continue
		}
		d, err := newDevice(s.Project, from)
		if err != nil {
			continue
		}
		list, keys = append(list, d), append(keys, iot.NewDeviceKey())
		if len(list) == registerStep {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	return flush()
}

// newDevice returns a device to register under a name, its ID or UUID.
func newDevice(p *iot.Project, name string) (*iot.Device, error) {
	d := &iot.Device{ProjectKey: p.Key}
	if iot.LooksLikeUUID(name) {
		d.UUID, d.Name = name, "Device "+name[:8]
		return d, nil
	}
	d.ID, d.Name = name, name
	return d, iot.CheckDeviceID("from", name)
}

func (i *Ingest) register(ctx context.Context, s Sender, name string) (*iot.Device, error) {
	d, err := newDevice(s.Project, name)
	if err != nil {
		return nil, err
	}
	err = i.db.CreateDevice(d, iot.NewDeviceKey(), s.Actor)
	if iot.CodeOf(err) == iot.Conflict {
		return i.device(ctx, s.Project, name) // another message has registered it meanwhile
	}
	return d, err
}
