package iot

// JobState is the state of a job.
type JobState string

// The states. Only a running job changes.
const (
	JobRunning JobState = "running"
	JobDone    JobState = "done"
	JobStopped JobState = "stopped" // by a person
	JobFailed  JobState = "failed"  // it cannot continue; Error is why
)

// JobStates returns all states.
func JobStates() []JobState { return []JobState{JobRunning, JobDone, JobStopped, JobFailed} }

// Job has the fields common to all jobs. A job is long work stored as a row: it runs in
// steps and continues after a restart.
type Job struct {
	ID         ID       `json:"id"`
	ProjectKey int64    `json:"-"`
	About      string   `json:"about"` // its subject, in words
	State      JobState `json:"state"`
	Count      int64    `json:"count"` // of the work at the start
	Done       int64    `json:"done"`
	// PassedOver counts work that could not be done: the message is no longer stored,
	// the webhook is deleted, the queue is full.
	PassedOver int64   `json:"passed_over"`
	Error      string  `json:"error"`
	CreatedBy  string  `json:"created_by"`
	CreatedAt  Instant `json:"created_at"`
	ChangedAt  Instant `json:"changed_at"` // time of the last step
	EndedAt    Instant `json:"ended_at"`
}

// Running reports whether the job has not ended.
func (j *Job) Running() bool { return j.State == JobRunning }
