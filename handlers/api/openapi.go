package api

import (
	_ "embed" // openapi.json
	"net/http"

	"thingpost/handlers"
)

//go:embed openapi.json
var openAPIText string

func (s *server) openAPI(w http.ResponseWriter, _ *http.Request, _ *caller) error {
	handlers.WriteJSONBytes(w, http.StatusOK, []byte(openAPIText))
	return nil
}
