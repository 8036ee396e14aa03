package iot

// Commit tells what one committed transaction changed. It is handed on, in the
// order of the commits, to all who must know.
type Commit struct {
	// Queued are new pending deliveries, ready to send.
	Queued []Queued
	// Webhooks are keys of webhooks whose settings or pending deliveries were
	// changed by other means than an Outcome: what is known of them in memory is
	// out of date.
	Webhooks []int64
	// Due are webhooks and devices with new pending deliveries that are on disk
	// alone: the settings of the webhooks are as they were. Without repeats.
	Due []Due
	// Replays are keys of replays that were made or stopped.
	Replays []int64
	// Commands are keys of commands that were made or ended.
	Commands []int64
	// Projects are keys of projects whose own settings, webhooks, profiles or keys
	// changed.
	Projects []int64
	// Devices are devices that were made, changed or deleted.
	Devices []DeviceChange
	// Downlinks are keys of devices that have new queued downlinks.
	Downlinks []int64
	// Intervals are keys of projects whose devices are expected at other intervals
	// than before.
	Intervals []int64
	// Events name what changed, for open pages; without repeats.
	Events []Event
}

// DeviceChange says that what is known of a device, or of a name that no device
// had, is out of date.
type DeviceChange struct {
	ProjectID int64
	Key       int64    // 0 if it is new
	Names     []string // that it is found by, or was until now
	OldKey    [32]byte // the SHA-256 of the key that opens nothing any more; zero if there is none
}

// Due names pending deliveries of a device to a webhook, and when the first of
// them is due.
type Due struct {
	WebhookID, DeviceID int64
	At                  Instant
}

// Event names a section of a project's pages that has changed.
type Event struct {
	ProjectID int64
	Name      EventName
}

// EventName is the name under which pages hear of a change.
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
