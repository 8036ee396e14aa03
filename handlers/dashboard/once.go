package dashboard

import (
	"sync"
	"time"

	"thingpost/internal/iot"
)

// once keeps new secrets from the answer to the form that made them to the page
// that the browser is sent to, which shows each of them one time.
type once struct {
	now func() time.Time
	mu  sync.Mutex
	// kept is bounded by maxOnce.
	kept map[onceKey]onceEntry
}

type onceKey struct {
	account int64
	subject string
}

type onceEntry struct {
	secret iot.Secret
	until  time.Time
}

const (
	maxOnce      = 1000
	onceLifetime = 2 * time.Minute
)

func newOnce(now func() time.Time) *once {
	return &once{now: now, kept: map[onceKey]onceEntry{}}
}

// keep holds a secret for the next page of an account about a subject, for two
// minutes at most.
func (o *once) keep(account int64, subject string, secret iot.Secret) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	for k, e := range o.kept {
		if !now.Before(e.until) || len(o.kept) >= maxOnce {
			delete(o.kept, k)
		}
	}
	o.kept[onceKey{account, subject}] = onceEntry{secret, now.Add(onceLifetime)}
}

// take returns the secret and forgets it; "" if there is none.
func (o *once) take(account int64, subject string) iot.Secret {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := onceKey{account, subject}
	e, ok := o.kept[k]
	delete(o.kept, k)
	if !ok || !o.now().Before(e.until) {
		return ""
	}
	return e.secret
}
