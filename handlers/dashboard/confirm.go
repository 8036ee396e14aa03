package dashboard

import (
	"net/http"

	"github.com/a-h/templ"

	"thingpost/handlers"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// confirm asks before something is lost: in the dialog if that is what asks,
// else on a page. The status is 200 but for a question that is asked again with
// its Error; inside is what else it asks for.
func (s *site) confirm(w http.ResponseWriter, r *http.Request, v *visit, f shellFor, status int, c ui.ConfirmProps,
	inside ...templ.Component) error {
	if handlers.IsFragment(r, ui.DialogID) {
		c.InDialog = true
		return handlers.Render(w, r, status, pages.ConfirmInDialog(c, inside...))
	}
	shell, err := s.shell(w, r, v, f)
	if err != nil {
		return err
	}
	return handlers.Render(w, r, status, pages.Confirm(shell, c, inside...))
}
