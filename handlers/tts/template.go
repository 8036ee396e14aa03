package tts

import (
	"context"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan/wire"
)

// templatePaths are the paths that masks of templates can have. It never changes.
var templatePaths = allowedPaths(&wire.ApplicationWebhookTemplate{})

func (s registry) GetTemplate(_ context.Context, q *wire.GetApplicationWebhookTemplateRequest) (*wire.ApplicationWebhookTemplate, error) {
	if err := checkMask(templatePaths, q.GetFieldMask().GetPaths()); err != nil {
		return nil, err
	}
	id := q.GetIds().GetTemplateId()
	t, err := s.Templates.Template(id)
	if iot.CodeOf(err) == iot.NotFound {
		return nil, templateMissing(id)
	}
	if err != nil {
		return nil, err
	}
	return answeredTemplate(t, q.GetFieldMask().GetPaths()), nil
}

func (s registry) ListTemplates(_ context.Context, q *wire.ListApplicationWebhookTemplatesRequest) (*wire.ApplicationWebhookTemplates,
	error) {
	if err := checkMask(templatePaths, q.GetFieldMask().GetPaths()); err != nil {
		return nil, err
	}
	all := &wire.ApplicationWebhookTemplates{}
	for _, t := range s.Templates.Templates() {
		all.Templates = append(all.Templates, answeredTemplate(t, q.GetFieldMask().GetPaths()))
	}
	return all, nil
}

// answeredTemplate is a template in an answer: id, name, and the fields in the mask.
func answeredTemplate(t *iot.Template, mask []string) *wire.ApplicationWebhookTemplate {
	out, p := &wire.ApplicationWebhookTemplate{}, newPaths(mask)
	p.add("ids")
	p.add("name")
	p.pick(out.ProtoReflect(), templateOf(t).ProtoReflect())
	return out
}

func templateOf(t *iot.Template) *wire.ApplicationWebhookTemplate {
	v := &wire.ApplicationWebhookTemplate{
		Ids:                  &wire.ApplicationWebhookTemplateIdentifiers{TemplateId: t.ID},
		Name:                 t.Name,
		Description:          t.Description,
		LogoUrl:              t.LogoURL,
		InfoUrl:              t.InfoURL,
		DocumentationUrl:     t.DocumentationURL,
		BaseUrl:              t.URL,
		Headers:              map[string]string{},
		Format:               string(t.Format),
		CreateDownlinkApiKey: t.CreateDownlinkKey,
	}
	for _, h := range t.Headers {
		v.Headers[h.Name] = h.Value
	}
	for _, f := range t.Fields {
		v.Fields = append(v.Fields, &wire.ApplicationWebhookTemplateField{Id: f.ID, Name: f.Name, Description: f.Description,
			Secret: f.Secret, DefaultValue: f.DefaultValue, Optional: f.Optional})
	}
	if len(t.FieldMask) > 0 {
		v.FieldMask = &fieldmaskpb.FieldMask{Paths: t.FieldMask}
	}
	for kind, route := range t.MessageTypes {
		if fd := messageField(v, kind); fd != nil {
			v.ProtoReflect().Set(fd, protoreflect.ValueOfMessage((&wire.ApplicationWebhookTemplate_Message{Path: route.Path}).ProtoReflect()))
		}
	}
	return v
}
