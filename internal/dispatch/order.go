package dispatch

import "thingpost/internal/iot"

// order keeps a webhook in order per device: of each device only its first
// pending delivery may be in a lane or in flight. Everything else of the device
// waits on disk, also while the first waits for its next try. Guarded by the
// queue's mutex.
type order struct {
	// busy are devices with something pending. The value is true if more may have
	// come since the device's first delivery was last read from disk.
	busy map[int64]bool
	// ask are devices whose first delivery must be read from disk, in their turn.
	ask []int64
	// waiting are devices whose first delivery is due later.
	waiting map[int64]iot.Instant
	// loaded: all devices with pending deliveries are known.
	loaded bool
	after  int64 // the greatest device that was read at the start
}

func newOrder() *order {
	return &order{busy: map[int64]bool{}, waiting: map[int64]iot.Instant{}}
}

// offered reports whether a fresh delivery is its device's first and may be
// sent. If not, it is read from disk when its turn comes.
func (o *order) offered(device int64, room bool) bool {
	if _, busy := o.busy[device]; busy || !o.loaded {
		o.busy[device] = true
		if !busy {
			o.ask = append(o.ask, device)
		}
		return false
	}
	o.busy[device] = false
	if !room {
		o.busy[device] = true
		o.ask = append(o.ask, device)
		return false
	}
	return true
}

// ended notes that a device's first delivery has ended, or waits until due.
func (o *order) ended(device int64, due iot.Instant) {
	if due != 0 {
		o.waiting[device] = due
		return
	}
	o.ask = append(o.ask, device)
}

// ripe moves devices whose wait is over to those that are asked for, and
// returns when the next one's is.
func (o *order) ripe(now iot.Instant) (next iot.Instant) {
	for device, due := range o.waiting {
		if due <= now {
			delete(o.waiting, device)
			o.ask = append(o.ask, device)
		} else if next == 0 || due < next {
			next = due
		}
	}
	return next
}
