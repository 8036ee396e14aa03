package dashboard

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
)

// commandRoutes are the list of commands to all devices, and the stop of one.
func (s *site) commandRoutes() []route {
	const all = "/projects/{project}/commands"
	return []route{
		{get, all, inProject, iot.ReadTraffic, s.listCommands},
		{post, all + "/{command}/stop", inProject, iot.SendDownlinks, s.stopCommand},
	}
}

// listCommands shows the commands, or the section of them that refreshes itself.
func (s *site) listCommands(w http.ResponseWriter, r *http.Request, v *visit) error {
	p := pages.CommandsPage{Project: v.in(), Now: s.now(), CanStop: v.may(iot.SendDownlinks)}
	before, ok := iot.ParseID(r.URL.Query().Get(pages.ParamBefore))
	if ok {
		p.Before = before.String()
	}
	list, err := s.DB.Commands(r.Context(), v.project.Key, before, perPage+1)
	if err != nil {
		return err
	}
	page := handlers.First(list, perPage, func(c iot.Command) string { return c.ID.String() })
	p.Commands, p.Next = page.Items, page.Next
	if handlers.IsFragment(r, pages.CommandListID) {
		return handlers.Render(w, r, http.StatusOK, pages.CommandList(p))
	}
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Commands", here: v.in().Devices(), live: p.Before == ""}); err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.Commands(p))
}

// stopCommand ends a command where it is.
func (s *site) stopCommand(w http.ResponseWriter, r *http.Request, v *visit) error {
	id, ok := iot.ParseID(r.PathValue("command"))
	if !ok {
		return iot.NewError(iot.NotFound, "There is no such command in this project.")
	}
	if _, err := s.DB.StopCommand(r.Context(), v.project.Key, id, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, v.in().Commands(), "The command was stopped.")
}
