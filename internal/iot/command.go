package iot

// Command is a job that queues a downlink for each device of a project. Done are the
// devices that have it queued; About is the beginning of what is sent.
type Command struct{ Job }
