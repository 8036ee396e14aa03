package pages

import (
	"github.com/a-h/templ"

	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/ui"
)

// CommandListID is the id of the section with the commands.
const CommandListID = "commands"

// CommandsPage lists the commands to all devices of a project.
type CommandsPage struct {
	Shell    layout.Props
	Project  In
	Now      iot.Instant
	CanStop  bool
	Commands []iot.Command
	Before   string // the page's cursor
	Next     string // cursor of the next page
}

func (p CommandsPage) attrs() templ.Attributes {
	if p.Before != "" {
		return nil
	}
	return ui.Live(CommandListID, p.Project.Commands(), string(iot.DownlinksChanged))
}

func (p CommandsPage) older() string {
	if p.Next == "" {
		return ""
	}
	return p.Project.CommandsBefore(p.Next)
}

func (p CommandsPage) newest() string {
	if p.Before == "" {
		return ""
	}
	return p.Project.Commands()
}

// stoppable reports whether the reader can stop a command.
func (p CommandsPage) stoppable(c *iot.Command) bool { return p.CanStop && c.Running() }

func commandStatus(c *iot.Command) ui.StatusProps { return jobStatus(&c.Job) }

// commandProgress is "1,200 of 5,000 devices, 3 with a full queue".
func commandProgress(c *iot.Command) string {
	text := ui.Count(c.Done) + " of " + ui.Plural(max(c.Count, c.Done), "device", "devices")
	if c.PassedOver > 0 {
		text += ", " + ui.Count(c.PassedOver) + " with a full queue"
	}
	if c.Error != "" {
		text += ". " + c.Error
	}
	return text
}
