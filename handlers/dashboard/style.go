package dashboard

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/views/pages"
)

// showStyle shows every component in every state, for those who work on the
// dashboard.
func (s *site) showStyle(w http.ResponseWriter, r *http.Request, v *visit) error {
	shell, err := s.shell(w, r, v, shellFor{title: "Style", here: pages.StylePath})
	if err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.Style(shell))
}
