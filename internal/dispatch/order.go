package dispatch

import "thingpost/internal/iot"

// order keeps a webhook's deliveries in order per device: only a device's first pending
// delivery may be in a lane or in flight. The device's other deliveries wait on disk, also
// while the first waits for a retry. The queue's mutex guards it.
type order struct {
	// busy are devices with pending deliveries. The value is true if more may have
	// been stored since the device's first delivery was last read from disk.
	busy map[int64]bool
	// ask are devices whose first delivery must be read from disk, in this order.
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

// offered reports whether a fresh delivery is its device's first and may be sent. Others
// are read from disk in their turn.
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

// ended records that a device's first delivery has ended, or that it waits until due.
func (o *order) ended(device int64, due iot.Instant) {
	if due != 0 {
		o.waiting[device] = due
		return
	}
	o.ask = append(o.ask, device)
}

// begin returns the devices to ask for. From then on a device whose delivery is stored is
// busy.
func (o *order) begin() []int64 {
	list := o.ask
	o.ask = nil
	for _, device := range list {
		o.busy[device] = false
	}
	return list
}

// moveDue moves devices whose wait is over from waiting to ask. It returns when the next
// wait is over, 0 if no device waits.
func (o *order) moveDue(now iot.Instant) (next iot.Instant) {
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
