package iot

// Command is a job that queues a downlink for each device of a project. Done counts the
// devices that have it queued. About is the beginning of the downlink.
type Command struct{ Job }
