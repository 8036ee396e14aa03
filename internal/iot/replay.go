package iot

// ReplayState is the state of a replay.
type ReplayState string

// The states. Only a running one changes.
const (
	ReplayRunning ReplayState = "running"
	ReplayDone    ReplayState = "done"
	ReplayStopped ReplayState = "stopped" // by a person
	ReplayFailed  ReplayState = "failed"  // it could not go on; Error says why
)

// ReplayStates returns all states.
func ReplayStates() []ReplayState {
	return []ReplayState{ReplayRunning, ReplayDone, ReplayStopped, ReplayFailed}
}

// ReplaySource says what a replay's filter chooses.
type ReplaySource string

// The sources.
const (
	FromDeliveries ReplaySource = "deliveries" // each goes to its own webhook again
	FromMessages   ReplaySource = "messages"   // each goes to one webhook
)

// MaxReplayRate bounds the rate that a replay can be set to, in deliveries a
// second.
const MaxReplayRate = 10_000

// Replay is a job that makes deliveries of many messages, a step at a time.
type Replay struct {
	ID        ID           `json:"id"`
	ProjectID int64        `json:"-"`
	WebhookID int64        `json:"-"`
	Source    ReplaySource `json:"source"`
	Webhook   string       `json:"webhook"` // slug of the one that gets them; "" for each its own
	About     string       `json:"about"`   // what was chosen, in words
	State     ReplayState  `json:"state"`
	Rate      int          `json:"rate"`    // deliveries a second; 0 for no limit
	Count     int64        `json:"count"`   // how many there were at the start
	Counted   bool         `json:"counted"` // false while there may be more than Count
	Done      int64        `json:"done"`    // deliveries made
	// PassedOver are those that could not be sent: the message is no longer kept, or
	// the webhook was deleted.
	PassedOver int64   `json:"passed_over"`
	Error      string  `json:"error"`
	CreatedBy  string  `json:"created_by"`
	CreatedAt  Instant `json:"created_at"`
	ChangedAt  Instant `json:"changed_at"` // of the last step
	EndedAt    Instant `json:"ended_at"`
}

// Running reports whether it goes on.
func (r *Replay) Running() bool { return r.State == ReplayRunning }
