package iot

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

// Replay is a job that makes deliveries of many messages. Done are the deliveries
// made; About is what was chosen.
type Replay struct {
	Job
	WebhookID int64        `json:"-"`
	Source    ReplaySource `json:"source"`
	Webhook   string       `json:"webhook"` // slug of the one that gets them; "" for each its own
	Rate      int          `json:"rate"`    // deliveries a second; 0 for no limit
	Counted   bool         `json:"counted"` // false while there may be more than Count
}
