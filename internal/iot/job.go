package iot

// JobState is the state of a job.
type JobState string

// The states. Only a running one changes.
const (
	JobRunning JobState = "running"
	JobDone    JobState = "done"
	JobStopped JobState = "stopped" // by a person
	JobFailed  JobState = "failed"  // it could not go on; Error says why
)

// JobStates returns all states.
func JobStates() []JobState { return []JobState{JobRunning, JobDone, JobStopped, JobFailed} }

// Job is what all jobs have: long work that is a row, goes on a step at a time, and
// after a restart.
type Job struct {
	ID        ID       `json:"id"`
	ProjectID int64    `json:"-"`
	About     string   `json:"about"` // what it works on, in words
	State     JobState `json:"state"`
	Count     int64    `json:"count"` // how many there were at the start
	Done      int64    `json:"done"`
	// PassedOver are those for which nothing could be done: a message that is no
	// longer kept, a deleted webhook, a queue that is full.
	PassedOver int64   `json:"passed_over"`
	Error      string  `json:"error"`
	CreatedBy  string  `json:"created_by"`
	CreatedAt  Instant `json:"created_at"`
	ChangedAt  Instant `json:"changed_at"` // of the last step
	EndedAt    Instant `json:"ended_at"`
}

// Running reports whether it goes on.
func (j *Job) Running() bool { return j.State == JobRunning }
