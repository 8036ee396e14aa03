package iot

// ReplaySource is what a replay's filter selects.
type ReplaySource string

// The sources.
const (
	FromDeliveries ReplaySource = "deliveries" // each goes to its own webhook again
	FromMessages   ReplaySource = "messages"   // each goes to one webhook
)

// MaxReplayRate bounds the rate of a replay in deliveries per second.
const MaxReplayRate = 10_000

// Replay is a job that creates deliveries of many messages. Done counts the deliveries
// created. About is the selection in words.
type Replay struct {
	Job
	WebhookKey int64        `json:"-"`
	Source     ReplaySource `json:"source"`
	Webhook    string       `json:"webhook"` // slug of the receiving webhook; "": each delivery's own
	Rate       int          `json:"rate"`    // deliveries per second; 0 for no limit
	Counted    bool         `json:"counted"` // false while there can be more than Count
}
