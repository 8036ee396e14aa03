package iot

// Commit is what one committed transaction changed. Subscribers get commits in order.
type Commit struct {
	// Queued are new pending deliveries, ready to send.
	Queued []Queued
	// Webhooks are keys of webhooks whose settings changed, or whose pending deliveries
	// changed by other means than an Outcome. What is in memory about them is stale.
	Webhooks []int64
	// Due are webhooks and devices with new pending deliveries that are only on disk.
	// The settings of the webhooks did not change. No repeats.
	Due []Due
	// Replays are keys of replays that were created or stopped.
	Replays []int64
	// Commands are keys of commands that were created or ended.
	Commands []int64
	// Projects are keys of projects whose own settings, webhooks, profiles or keys
	// changed.
	Projects []int64
	// Devices are devices that were created, changed or deleted.
	Devices []DeviceChange
	// Downlinks are keys of devices that have new queued downlinks.
	Downlinks []int64
	// Intervals are keys of projects whose devices have changed expected intervals.
	Intervals []int64
	// Events name what changed, for open pages. No repeats.
	Events []Event
}

// Empty reports whether a transaction changed nothing that anybody needs to know.
func (c *Commit) Empty() bool {
	return len(c.Queued)+len(c.Webhooks)+len(c.Due)+len(c.Replays)+len(c.Commands)+len(c.Projects)+len(c.Devices)+len(c.Downlinks)+
		len(c.Intervals)+len(c.Events) == 0
}

// DeviceChange means that what is in memory about a device, or about a name without a
// device, is stale.
type DeviceChange struct {
	ProjectKey int64
	Key        int64    // 0 if it is new
	Names      []string // its present and its previous names
	OldKey     [32]byte // SHA-256 of the key that was replaced; zero if none was
}

// Due is the pending deliveries of a device to a webhook, and when the first of them is
// due.
type Due struct {
	WebhookKey, DeviceKey int64
	At                    Instant
}

// Event names a section of a project's pages that changed.
type Event struct {
	ProjectKey int64
	Name       EventName
}

// EventName is the name under which pages subscribe to a change.
type EventName string

// The events.
const (
	MessagesChanged   EventName = "messages"
	DeliveriesChanged EventName = "deliveries"
	WebhooksChanged   EventName = "webhooks"
	DevicesChanged    EventName = "devices"
	SettingsChanged   EventName = "settings"
	DownlinksChanged  EventName = "downlinks"
	InspectorChanged  EventName = "inspector"
	ReplaysChanged    EventName = "replays"
)
