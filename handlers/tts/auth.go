package tts

import (
	"context"
	"strconv"
	"strings"

	"thingpost/internal/iot"
)

// call is what a method knows of its caller beside the request, by HTTP or gRPC.
type call struct {
	authorization string
	// header sets a header of the answer.
	header func(name, value string)
	body   []byte // of a POST or PUT by HTTP, as received
}

type callKey struct{}

func withCall(ctx context.Context, c call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

func callOf(ctx context.Context) call {
	c, _ := ctx.Value(callKey{}).(call)
	return c
}

// countTotal reports the length of a list of which only a part may be answered.
func countTotal(ctx context.Context, n int) {
	if c := callOf(ctx); c.header != nil {
		c.header("X-Total-Count", strconv.Itoa(n))
	}
}

// application returns the project of a caller's key. It must be the named project, and
// the key must have the rights. Without a key, or with one of another application, the
// caller has no rights for it.
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
