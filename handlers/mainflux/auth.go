package mainflux

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// caller is the person who calls.
type caller struct{ account *iot.Account }

// actor is the caller's name in the audit log.
func (c *caller) actor() string { return c.account.Email }

// authorize identifies the caller, and checks the content type.
func (s *server) authorize(c *caller, r *http.Request, rt route) error {
	if rt.access == person {
		scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		text = strings.TrimSpace(text)
		if !strings.EqualFold(scheme, "Bearer") || text == "" {
			return &fault{status: http.StatusUnauthorized, text: textBearer}
		}
		var err error
		if c.account, err = s.DB.TokenAccount(r.Context(), iot.Secret(text)); err != nil {
			if iot.CodeOf(err) == iot.NotFound {
				return &fault{status: http.StatusUnauthorized, text: textToken}
			}
			return err
		}
	}
	if rt.takesJSON && !strings.Contains(strings.ToLower(r.Header.Get("Content-Type")), "application/json") {
		return &fault{status: http.StatusUnsupportedMediaType, text: textContentType}
	}
	return nil
}

// may returns a 403 unless the role has a right.
func may(role iot.Role, need iot.Rights) error {
	if role.Rights().Has(need) {
		return nil
	}
	least := iot.Owner
	for _, r := range iot.Roles() {
		if r.Rights().Has(need) {
			least = r
			break
		}
	}
	return forbidden("This needs the role " + string(least) + ". Your role is " + string(role) + ".")
}

type prefixKey struct{}

// withPrefix returns a context with the path's prefix.
func withPrefix(ctx context.Context, prefix string) context.Context {
	return context.WithValue(ctx, prefixKey{}, prefix)
}

func prefixOf(ctx context.Context) string {
	prefix, _ := ctx.Value(prefixKey{}).(string)
	return prefix
}

// decode reads a JSON body. It ignores unknown names, as clients send fields that only
// answers have.
func decode(r *http.Request, into any) error {
	body, err := handlers.ReadBody(r, handlers.MaxJSONBytes)
	if err != nil {
		return err
	}
	if body, err = iot.ReadJSON(body); err != nil {
		return malformed(handlers.ErrorOf(err).Message)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return malformed("")
	}
	return nil
}

// decodeList reads a JSON array of at least one and at most maxList items.
func decodeList[T any](r *http.Request) ([]T, error) {
	var list []T
	if err := decode(r, &list); err != nil {
		return nil, err
	}
	return list, checkCount(len(list))
}

// maxList is how many items one request can create or remove.
const maxList = 1000

func checkCount(n int) error {
	if n == 0 {
		return badRequest(textEmptyList)
	}
	if n > maxList {
		return malformed("A request can have at most 1,000.")
	}
	return nil
}

// decodeIDs reads the ids of a request that removes several; name is the member's.
func decodeIDs(r *http.Request, name, missing string) ([]string, error) {
	body := map[string]json.RawMessage{}
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	var ids []string
	if raw, ok := body[name]; ok {
		if err := json.Unmarshal(raw, &ids); err != nil {
			return nil, malformed("")
		}
	}
	if err := checkCount(len(ids)); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	kept := ids[:0]
	for _, id := range ids {
		if id == "" {
			return nil, badRequest(missing)
		}
		if id = strings.ToLower(id); !seen[id] {
			seen[id] = true
			kept = append(kept, id)
		}
	}
	return kept, nil
}

// optional is a value of a request that can be absent or null. Null is set, with the
// zero value.
type optional[T any] struct {
	set   bool
	value T
}

// UnmarshalJSON records that the value is set.
func (g *optional[T]) UnmarshalJSON(b []byte) error {
	g.set = true
	return json.Unmarshal(b, &g.value)
}

// pointer returns the value; nil if it is absent.
func (g optional[T]) pointer() *T {
	if !g.set {
		return nil
	}
	return &g.value
}

// object is a JSON object as text, the stored form of metadata; "" for none.
type object string

// UnmarshalJSON accepts an object or null.
func (o *object) UnmarshalJSON(b []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		return err
	}
	*o = ""
	if len(members) > 0 {
		*o = object(b)
	}
	return nil
}

// textOf returns the value in the form of a store's update.
func textOf(g optional[object]) *string {
	if !g.set {
		return nil
	}
	s := string(g.value)
	return &s
}

// rawOf returns metadata in the form of an answer.
func rawOf(metadata string) json.RawMessage {
	if metadata == "" {
		return nil
	}
	return iot.MendText([]byte(metadata))
}

// checkName returns an error for a name that is empty or exceeds most bytes.
func checkName(name string, most int) error {
	if name == "" || len(name) > most {
		return badRequest(textNameSize)
	}
	return nil
}
