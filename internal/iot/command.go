package iot

// Command is a job that queues a downlink for each device of a project, a step at
// a time. Its states are a replay's.
type Command struct {
	ID         ID          `json:"id"`
	ProjectID  int64       `json:"-"`
	About      string      `json:"about"` // the beginning of what is sent
	State      ReplayState `json:"state"`
	Count      int64       `json:"count"`       // devices at the start
	Done       int64       `json:"done"`        // devices that have it queued
	PassedOver int64       `json:"passed_over"` // devices whose queue was full
	Error      string      `json:"error"`
	CreatedBy  string      `json:"created_by"`
	CreatedAt  Instant     `json:"created_at"`
	ChangedAt  Instant     `json:"changed_at"` // of the last step
	EndedAt    Instant     `json:"ended_at"`
}

// Running reports whether it goes on.
func (c *Command) Running() bool { return c.State == ReplayRunning }
