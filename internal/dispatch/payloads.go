package dispatch

import (
	"sync"

	"thingpost/internal/budget"
	"thingpost/internal/iot"
)

// smallPayload is the size that an empty lane takes even if no memory is left, so that
// webhooks with small messages continue beside those with large ones.
const smallPayload = 8 << 10

// payloads are the messages that deliveries in memory need, each once however many
// webhooks get it. It is safe for concurrent use.
type payloads struct {
	part *budget.Part

	mu        sync.Mutex
	byMessage map[int64]*payload // the message's key
	miss      bool               // a delivery found no room since memory was last returned
}

type payload struct {
	message *iot.Message
	of      int64 // the webhook whose share of the budget it takes
	size    int64
	users   int
}

func payloadBytes(m *iot.Message) int64 { return int64(len(m.Payload)+len(m.Fields)) + itemBytes }

// take keeps a delivery's message; if a copy is in memory already, the delivery uses that
// one. It reports whether there is room. With must it takes memory in any case.
func (p *payloads) take(q *iot.Queued, must bool) bool {
	key := q.Message.ID.Key()
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.byMessage[key]; v != nil {
		v.users++
		q.Message = v.message
		return true
	}
	v := &payload{message: q.Message, of: q.Delivery.WebhookKey, size: payloadBytes(q.Message), users: 1}
	if must {
		p.part.Force(v.of, v.size)
	} else if !p.part.Try(v.of, v.size) {
		p.miss = true
		return false
	}
	p.byMessage[key] = v
	return true
}

// give releases a delivery's message. It reports whether a delivery that found no room
// before may find some now.
func (p *payloads) give(q *iot.Queued) bool {
	key := q.Message.ID.Key()
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.byMessage[key]
	if v == nil {
		return false
	}
	if v.users--; v.users > 0 {
		return false
	}
	delete(p.byMessage, key)
	p.part.Give(v.of, v.size)
	miss := p.miss
	p.miss = false
	return miss
}
