package dispatch

import (
	"sync"

	"thingpost/internal/budget"
	"thingpost/internal/iot"
)

// smallPayload is what an empty lane takes even where no memory is left: so that
// webhooks with small messages go on beside those with large ones.
const smallPayload = 8 << 10

// payloads are the messages that deliveries in memory need, each once however many
// webhooks get it. It is safe for concurrent use.
type payloads struct {
	part *budget.Part

	mu   sync.Mutex
	held map[int64]*payload // by the message's key
	miss bool               // somebody found no room since it was last given back
}

type payload struct {
	message *iot.Message
	of      int64 // the webhook whose share it takes
	size    int64
	users   int
}

func payloadBytes(m *iot.Message) int64 { return int64(len(m.Payload)+len(m.Fields)) + itemBytes }

// take keeps a delivery's message for a webhook, and lets the delivery use the copy
// that is there already. It reports whether there is room; must asks for none.
func (p *payloads) take(q *iot.Queued, must bool) bool {
	key := q.Message.ID.Key()
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.held[key]; v != nil {
		v.users++
		q.Message = v.message
		return true
	}
	v := &payload{message: q.Message, of: q.Delivery.WebhookID, size: payloadBytes(q.Message), users: 1}
	if must {
		p.part.Force(v.of, v.size)
	} else if !p.part.Try(v.of, v.size) {
		p.miss = true
		return false
	}
	p.held[key] = v
	return true
}

// give lets go of a delivery's message. It reports whether somebody may find room
// now who found none before.
func (p *payloads) give(q *iot.Queued) bool {
	key := q.Message.ID.Key()
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.held[key]
	if v == nil {
		return false
	}
	if v.users--; v.users > 0 {
		return false
	}
	delete(p.held, key)
	p.part.Give(v.of, v.size)
	miss := p.miss
	p.miss = false
	return miss
}
