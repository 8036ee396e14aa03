package tts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan/wire"
)

// access is the service ApplicationAccess: a project's API keys.
type access struct {
	wire.UnimplementedApplicationAccessServer
	*server
}

// maxKeyName bounds a key's name in characters, as in The Things Stack.
const maxKeyName = 50

// ListRights answers the rights of the caller's key.
func (s access) ListRights(ctx context.Context, q *wire.ApplicationIdentifiers) (*wire.Rights, error) {
	if e := checkApplicationIDs(q); e != nil {
		return nil, e
	}
	_, key, err := s.application(ctx, q.GetApplicationId(), 0)
	if err != nil {
		return nil, err
	}
	return &wire.Rights{Rights: rightsOf(key.Rights)}, nil
}

// CreateAPIKey creates a key. It cannot have a right that the caller's key lacks, and
// cannot outlive it. Only this answer has its text.
func (s access) CreateAPIKey(ctx context.Context, q *wire.CreateApplicationAPIKeyRequest) (*wire.APIKey, error) {
	const message = "CreateApplicationAPIKeyRequest"
	if e := checkApplicationIDs(q.GetApplicationIds()); e != nil {
		return nil, invalidField("application_ids", message, embedded, e)
	}
	if e := checkKey(message, q.GetName(), q.GetRights()); e != nil {
		return nil, e
	}
	if q.GetExpiresAt() != nil && !q.GetExpiresAt().AsTime().After(s.Now()) {
		return nil, invalidField("expires_at", message, "value must be greater than now", nil)
	}
	p, by, rights, err := s.grant(ctx, q.GetApplicationIds().GetApplicationId(), q.GetRights())
	if err != nil {
		return nil, err
	}
	id, secret, text := iot.NewAPIKey()
	// The Things Stack allows keys without a name; our pages show keys by name.
	k := &iot.APIKey{ID: id, ProjectKey: p.Key, Name: cmp.Or(strings.TrimSpace(q.GetName()), "Key "+id[:8]), Rights: rights}
	if q.GetExpiresAt() != nil {
		k.ExpiresAt = iot.At(q.GetExpiresAt().AsTime())
	}
	if err := s.DB.CreateAPIKeyBy(k, secret, by); err != nil {
		return nil, err
	}
	v := keyOf(k)
	v.Key = text.Reveal()
	return v, nil
}

func (s access) ListAPIKeys(ctx context.Context, q *wire.ListApplicationAPIKeysRequest) (*wire.APIKeys, error) {
	const message = "ListApplicationAPIKeysRequest"
	if e := checkApplicationIDs(q.GetApplicationIds()); e != nil {
		return nil, invalidField("application_ids", message, embedded, e)
	}
	if q.GetLimit() > 1000 {
		return nil, invalidField("limit", message, "value must be less than or equal to 1000", nil)
	}
	order, err := keyOrder(q.GetOrder())
	if err != nil {
		return nil, err
	}
	p, _, err := s.application(ctx, q.GetApplicationIds().GetApplicationId(), iot.ManageKeys)
	if err != nil {
		return nil, err
	}
	list, err := s.DB.APIKeys(ctx, p.Key)
	if err != nil {
		return nil, err
	}
	countTotal(ctx, len(list))
	slices.SortStableFunc(list, order)
	if limit := int(q.GetLimit()); limit > 0 {
		from := min(max(int(q.GetPage()), 1)-1, len(list)) * limit
		from = min(from, len(list))
		list = list[from:min(from+limit, len(list))]
	}
	all := &wire.APIKeys{}
	for i := range list {
		all.ApiKeys = append(all.ApiKeys, keyOf(&list[i]))
	}
	return all, nil
}

// keyOrder reads an order such as name or -created_at.
func keyOrder(order string) (func(a, b iot.APIKey) int, error) {
	name, down := strings.CutPrefix(order, "-")
	var less func(a, b iot.APIKey) int
	switch name {
	case "", "api_key_id":
		less = func(a, b iot.APIKey) int { return strings.Compare(a.ID, b.ID) }
	case "name":
		less = func(a, b iot.APIKey) int { return strings.Compare(a.Name, b.Name) }
	case "created_at":
		less = func(a, b iot.APIKey) int { return cmp.Compare(a.CreatedAt, b.CreatedAt) }
	case "expires_at":
		less = func(a, b iot.APIKey) int { return cmp.Compare(a.ExpiresAt, b.ExpiresAt) }
	default:
		return nil, invalidField("order", "ListApplicationAPIKeysRequest",
			"value must be in list [ api_key_id -api_key_id name -name created_at -created_at expires_at -expires_at]", nil)
	}
	if down {
		return func(a, b iot.APIKey) int { return less(b, a) }, nil
	}
	return less, nil
}

func (s access) GetAPIKey(ctx context.Context, q *wire.GetApplicationAPIKeyRequest) (*wire.APIKey, error) {
	k, _, err := s.key(ctx, q.GetApplicationIds().GetApplicationId(), q.GetKeyId())
	if err != nil {
		return nil, err
	}
	return keyOf(k), nil
}

// UpdateAPIKey changes name, rights and expiry, as named by the mask; no mask names
// all. A key left without rights is deleted, as in The Things Stack. A key with a right
// that the caller's key lacks can be deleted but not changed: a longer life for it
// would exceed the caller's rights.
func (s access) UpdateAPIKey(ctx context.Context, q *wire.UpdateApplicationAPIKeyRequest) (*wire.APIKey, error) {
	const message = "UpdateApplicationAPIKeyRequest"
	mask := q.GetFieldMask().GetPaths()
	if err := checkMask(map[string]bool{"name": true, "rights": true, "expires_at": true}, mask); err != nil {
		return nil, err
	}
	named := func(path string) bool { return len(mask) == 0 || slices.Contains(mask, path) }
	k, by, err := s.key(ctx, q.GetApplicationIds().GetApplicationId(), q.GetApiKey().GetId())
	if err != nil {
		return nil, err
	}
	if named("rights") {
		if len(q.GetApiKey().GetRights()) == 0 {
			return &wire.APIKey{}, s.DB.DeleteAPIKey(k.ProjectKey, k.ID, by.Name)
		}
		if e := checkKey(message, "", q.GetApiKey().GetRights()); e != nil {
			return nil, e
		}
	}
	if more := k.Rights &^ by.Rights; more != 0 {
		return nil, fewRights(q.GetApplicationIds().GetApplicationId(), more)
	}
	if named("rights") {
		if _, _, k.Rights, err = s.grant(ctx, q.GetApplicationIds().GetApplicationId(), q.GetApiKey().GetRights()); err != nil {
			return nil, err
		}
	}
	if named("name") {
		if e := checkKey(message, q.GetApiKey().GetName(), q.GetApiKey().GetRights()); e != nil && named("rights") {
			return nil, e
		}
		k.Name = cmp.Or(strings.TrimSpace(q.GetApiKey().GetName()), k.Name)
	}
	if named("expires_at") {
		k.ExpiresAt = 0
		if at := q.GetApiKey().GetExpiresAt(); at != nil {
			k.ExpiresAt = iot.At(at.AsTime())
		}
	}
	if err := s.DB.UpdateAPIKeyBy(k, by); err != nil {
		return nil, err
	}
	return keyOf(k), nil
}

func (s access) DeleteAPIKey(ctx context.Context, q *wire.DeleteApplicationAPIKeyRequest) (*emptypb.Empty, error) {
	k, by, err := s.key(ctx, q.GetApplicationIds().GetApplicationId(), q.GetKeyId())
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, s.DB.DeleteAPIKey(k.ProjectKey, k.ID, by.Name)
}

// key returns a key of an application, and the caller's own.
func (s access) key(ctx context.Context, application, id string) (k, by *iot.APIKey, err error) {
	p, by, err := s.application(ctx, application, iot.ManageKeys)
	if err != nil {
		return nil, nil, err
	}
	list, err := s.DB.APIKeys(ctx, p.Key)
	if err != nil {
		return nil, nil, err
	}
	for i := range list {
		if list[i].ID == id {
			return &list[i], by, nil
		}
	}
	return nil, nil, errKeyMissing
}

// grant returns the rights for a key of an application. The caller must have all of
// them.
func (s access) grant(ctx context.Context, application string, rights []wire.Right) (*iot.Project, *iot.APIKey, iot.Rights, error) {
	names := make([]string, len(rights))
	for i, r := range rights {
		names[i] = r.String()
	}
	p, by, err := s.application(ctx, application, iot.ManageKeys)
	if err != nil {
		return nil, nil, 0, err
	}
	granted, err := iot.ParseRights(names)
	if err != nil {
		return nil, nil, 0, errRightMissing.with("rights", names)
	}
	if missing := granted &^ by.Rights; missing != 0 {
		return nil, nil, 0, fewRights(application, missing)
	}
	return p, by, granted, nil
}

func checkKey(message, name string, rights []wire.Right) *Error {
	if iot.TextLength(name) > maxKeyName {
		return invalidField("name", message, tooLong(maxKeyName), nil)
	}
	if len(rights) == 0 {
		return invalidField("rights", message, "value must contain at least 1 item(s)", nil)
	}
	seen := map[int32]bool{}
	for i, r := range rights {
		if seen[int32(r)] {
			return invalidField(fmt.Sprintf("rights[%d]", i), message, "repeated value must contain unique items", nil)
		}
		seen[int32(r)] = true
	}
	return nil
}

func keyOf(k *iot.APIKey) *wire.APIKey {
	v := &wire.APIKey{Id: k.ID, Name: k.Name, Rights: rightsOf(k.Rights), CreatedAt: timestamppb.New(k.CreatedAt.Time()),
		UpdatedAt: timestamppb.New(k.CreatedAt.Time())}
	if k.ExpiresAt != 0 {
		v.ExpiresAt = timestamppb.New(k.ExpiresAt.Time())
	}
	return v
}

func rightsOf(rights iot.Rights) []wire.Right {
	var list []wire.Right
	for _, name := range rights.Names() {
		list = append(list, wire.Right(wire.Right_value[name]))
	}
	slices.Sort(list)
	return list
}
