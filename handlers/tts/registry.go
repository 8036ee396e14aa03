package tts

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan/wire"
	"thingpost/internal/settings"
)

// registry is the service ApplicationWebhookRegistry: a project's webhooks in The
// Things Stack's form.
type registry struct {
	wire.UnimplementedApplicationWebhookRegistryServer
	*server
}

// settingRights are the rights for Set and Delete.
const settingRights = iot.ChangeSettings | iot.ReadTraffic | iot.SendDownlinks

// impliedFields are answered whatever the field mask is.
func impliedFields() []string {
	return []string{"ids", "created_at", "updated_at", "base_url", "format"}
}

func (registry) GetFormats(context.Context, *emptypb.Empty) (*wire.ApplicationWebhookFormats, error) {
	return &wire.ApplicationWebhookFormats{Formats: map[string]string{string(iot.JSON): "JSON", string(iot.Protobuf): "Protocol Buffers"}}, nil
}

func (s registry) Get(ctx context.Context, q *wire.GetApplicationWebhookRequest) (*wire.ApplicationWebhook, error) {
	if err := checkMask(webhookPaths, q.GetFieldMask().GetPaths()); err != nil {
		return nil, err
	}
	if e := checkWebhookIDs(q.GetIds()); e != nil {
		return nil, invalidField("ids", "GetApplicationWebhookRequest", embedded, e)
	}
	application := q.GetIds().GetApplicationIds().GetApplicationId()
	p, _, err := s.application(ctx, application, iot.ReadTraffic)
	if err != nil {
		return nil, err
	}
	w, err := s.DB.Webhook(ctx, p.Key, q.GetIds().GetWebhookId())
	if err != nil {
		return nil, err
	}
	return answered(application, w, q.GetFieldMask().GetPaths()), nil
}

func (s registry) List(ctx context.Context, q *wire.ListApplicationWebhooksRequest) (*wire.ApplicationWebhooks, error) {
	if err := checkMask(webhookPaths, q.GetFieldMask().GetPaths()); err != nil {
		return nil, err
	}
	application := q.GetApplicationIds().GetApplicationId()
	if e := checkApplicationIDs(q.GetApplicationIds()); e != nil {
		return nil, invalidField("application_ids", "ListApplicationWebhooksRequest", embedded, e)
	}
	p, _, err := s.application(ctx, application, iot.ReadTraffic)
	if err != nil {
		return nil, err
	}
	list, err := s.DB.Webhooks(ctx, p.Key)
	if err != nil {
		return nil, err
	}
	all := &wire.ApplicationWebhooks{}
	for _, w := range list {
		all.Webhooks = append(all.Webhooks, answered(application, w, q.GetFieldMask().GetPaths()))
	}
	countTotal(ctx, len(list))
	return all, nil
}

// setTries bounds how often Set starts again because the webhook changed between its
// read and its write.
const setTries = 3

// Set creates a webhook or changes the fields in the mask. It keeps what this dialect
// cannot express.
func (s registry) Set(ctx context.Context, q *wire.SetApplicationWebhookRequest) (*wire.ApplicationWebhook, error) {
	mask := q.GetFieldMask().GetPaths()
	if err := checkMask(webhookPaths, mask); err != nil {
		return nil, err
	}
	if e := checkSet(q.GetWebhook(), newPaths(mask)); e != nil {
		return nil, invalidField("webhook", "SetApplicationWebhookRequest", embedded, e)
	}
	ids := q.GetWebhook().GetIds()
	application := ids.GetApplicationIds().GetApplicationId()
	p, key, err := s.application(ctx, application, settingRights)
	if err != nil {
		return nil, err
	}
	var w *iot.Webhook
	for try := 0; ; try++ {
		if w, err = s.set(ctx, p, key, q); iot.CodeOf(err) != iot.Conflict || try+1 == setTries {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return answered(application, w, mask), nil
}

func (s registry) set(ctx context.Context, p *iot.Project, key *iot.APIKey, q *wire.SetApplicationWebhookRequest) (*iot.Webhook, error) {
	id := q.GetWebhook().GetIds().GetWebhookId()
	w, err := s.DB.Webhook(ctx, p.Key, id)
	fresh := iot.CodeOf(err) == iot.NotFound
	switch {
	case fresh:
		w = &iot.Webhook{ProjectKey: p.Key, ID: id, Description: id, MessageTypes: iot.Routes{}, Settings: iot.DefaultSettings()}
	case err != nil:
		return nil, err
	}
	c := change{in: q.GetWebhook(), by: key.Name, at: iot.At(s.Now())}
	draft := settings.Draft{Webhook: w, Apply: func(w *iot.Webhook, _ *iot.Faults) error {
		c.w = w
		if err := c.apply(newPaths(q.GetFieldMask().GetPaths())); err != nil {
			return err
		}
		s.hideFields(w)
		if fresh {
			if e := checkWhole(w); e != nil {
				return e
			}
		}
		return nil
	}}
	store := s.Webhooks.Change
	if fresh {
		store = s.Webhooks.Create
	}
	r, err := store(draft, key.Name)
	if err != nil {
		return nil, faultsOf(err)
	}
	if !c.reset {
		return r.Webhook, nil
	}
	had := r.Health.Status
	r.Health = iot.Health{Status: iot.HealthUnknown}
	if fresh || had == iot.HealthUnknown {
		return r.Webhook, nil
	}
	return r.Webhook, s.DB.ForgetHealth(r.Webhook, key.Name)
}

// hideFields makes values secret that the webhook's template declares secret.
func (s registry) hideFields(w *iot.Webhook) {
	t, err := s.Templates.Template(w.Template)
	if err != nil {
		return // not of a template of ours: nothing is declared secret
	}
	for _, f := range t.Fields {
		if v, ok := w.TemplateFields[f.ID]; ok && f.Secret {
			v.Secret = true
			w.TemplateFields[f.ID] = v
		}
	}
}

// Delete removes a webhook. A missing one is not an error.
func (s registry) Delete(ctx context.Context, q *wire.ApplicationWebhookIdentifiers) (*emptypb.Empty, error) {
	if e := checkWebhookIDs(q); e != nil {
		return nil, e
	}
	p, key, err := s.application(ctx, q.GetApplicationIds().GetApplicationId(), settingRights)
	if err != nil {
		return nil, err
	}
	w, err := s.DB.Webhook(ctx, p.Key, q.GetWebhookId())
	if err == nil {
		err = s.DB.DeleteWebhook(w, key.Name)
	}
	if err != nil && iot.CodeOf(err) != iot.NotFound {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// webhookPaths are the paths that masks of webhooks can have. It never changes.
var webhookPaths = allowedPaths(&wire.ApplicationWebhook{})

// answered is a webhook in an answer: the implied fields, and those in the mask.
func answered(application string, w *iot.Webhook, mask []string) *wire.ApplicationWebhook {
	whole, out := webhookOf(application, w), &wire.ApplicationWebhook{}
	p := newPaths(mask)
	for _, path := range impliedFields() {
		p.add(path)
	}
	p.pick(out.ProtoReflect(), whole.ProtoReflect())
	return out
}
