package tts

import (
	"context"
	"strconv"
	"strings"

	"thingpost/internal/iot"
)

// call is what a method knows of its caller beside the request, however it came.
type call struct {
	authorization string
	// header sets a header of the answer.
	header func(name, value string)
	body   []byte // of a POST or PUT by HTTP, as it came
}

type callKey struct{}

func withCall(ctx context.Context, c call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

func callOf(ctx context.Context) call {
	c, _ := ctx.Value(callKey{}).(call)
	return c
}

// countTotal tells how long a list is of which perhaps a part is answered.
func countTotal(ctx context.Context, n int) {
	if c := callOf(ctx); c.header != nil {
		c.header("X-Total-Count", strconv.Itoa(n))
	}
}

// application returns the project that a caller's key belongs to, which must be
// the one that is named and hold the rights. A key of another application and no
// key at all have no rights for it.
func (s *server) application(ctx context.Context, name string, need iot.Rights) (*iot.Project, *iot.APIKey, error) {
	header := callOf(ctx).authorization
	if header == "" {
		return nil, nil, errNoRights.with("uid", name)
	}
	scheme, text, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, nil, errUnsupported
	}
	text = strings.TrimSpace(text)
	if _, _, ok := iot.ParseAPIKey(text); !ok {
		return nil, nil, errMalformedKey
	}
	key, project, err := s.Ingest.APIKey(ctx, iot.Secret(text))
	if iot.CodeOf(err) == iot.Unauthorized {
		return nil, nil, errKeyNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	if name != project.ID && !strings.EqualFold(name, project.UUID) {
		return nil, nil, errNoRights.with("uid", name)
	}
	if missing := need &^ key.Rights; missing != 0 {
		return nil, nil, fewRights(name, missing)
	}
	return project, key, nil
}
