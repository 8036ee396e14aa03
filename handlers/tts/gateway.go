package tts

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"thingpost/internal/lorawan"
	"thingpost/internal/lorawan/wire"
)

// methodRoutes are the methods of the services by HTTP. A path's variables, a query's
// parameters and a body fill in the request; the answer is its JSON. A variable has the
// name of the field that it fills, with _ for each dot.
func methodRoutes(s *server) []route {
	const (
		hooks   = "/as/webhooks/{application_ids.application_id}"
		set     = "/as/webhooks/{webhook.ids.application_ids.application_id}"
		get     = "/as/webhooks/{ids.application_ids.application_id}/{ids.webhook_id}"
		keys    = "/applications/{application_ids.application_id}/api-keys"
		device  = "/as/applications/{end_device_ids.application_ids.application_id}/devices/{end_device_ids.device_id}"
		devices = "/as/applications/{application_ids.application_id}/devices/{device_id}"
	)
	r, a, q := registry{server: s}, access{server: s}, appAs{server: s}
	return []route{
		method(http.MethodGet, "/as/webhook-formats", r.GetFormats, func() *emptypb.Empty { return &emptypb.Empty{} }),
		method(http.MethodGet, "/as/webhook-templates", r.ListTemplates, fresh[wire.ListApplicationWebhookTemplatesRequest]),
		method(http.MethodGet, "/as/webhook-templates/{ids.template_id}", r.GetTemplate, fresh[wire.GetApplicationWebhookTemplateRequest]),
		method(http.MethodGet, hooks, r.List, fresh[wire.ListApplicationWebhooksRequest]),
		method(http.MethodGet, get, r.Get, fresh[wire.GetApplicationWebhookRequest]),
		method(http.MethodPost, set, r.Set, fresh[wire.SetApplicationWebhookRequest]),
		method(http.MethodPut, set+"/{webhook.ids.webhook_id}", r.Set, fresh[wire.SetApplicationWebhookRequest]),
		method(http.MethodDelete, hooks+"/{webhook_id}", r.Delete, fresh[wire.ApplicationWebhookIdentifiers]),
		method(http.MethodGet, "/applications/{application_id}/rights", a.ListRights, fresh[wire.ApplicationIdentifiers]),
		method(http.MethodGet, keys, a.ListAPIKeys, fresh[wire.ListApplicationAPIKeysRequest]),
		method(http.MethodPost, keys, a.CreateAPIKey, fresh[wire.CreateApplicationAPIKeyRequest]),
		method(http.MethodGet, keys+"/{key_id}", a.GetAPIKey, fresh[wire.GetApplicationAPIKeyRequest]),
		method(http.MethodPut, keys+"/{api_key.id}", a.UpdateAPIKey, fresh[wire.UpdateApplicationAPIKeyRequest]),
		method(http.MethodDelete, keys+"/{key_id}", a.DeleteAPIKey, fresh[wire.DeleteApplicationAPIKeyRequest]),
		method(http.MethodGet, "/as/configuration", configuration{server: s}.GetConfiguration, fresh[wire.GetAsConfigurationRequest]),
		method(http.MethodGet, devices+"/down", q.DownlinkQueueList, fresh[wire.EndDeviceIdentifiers]),
		method(http.MethodPost, device+"/down/push", q.DownlinkQueuePush, fresh[wire.DownlinkQueueRequest]),
		method(http.MethodPost, device+"/down/replace", q.DownlinkQueueReplace, fresh[wire.DownlinkQueueRequest]),
	}
}

func fresh[T any]() *T { return new(T) }

// method returns the route of a service's method. The pattern's variables are paths of
// the request's fields.
func method[Q, A proto.Message](verb, pattern string, do func(context.Context, Q) (A, error), request func() Q) route {
	pattern, variables := variablesOf(pattern)
	return route{method: verb, pattern: pattern, handle: func(_ *server, w http.ResponseWriter, r *http.Request) error {
		q, ctx := request(), r.Context()
		if verb == http.MethodPost || verb == http.MethodPut {
			body, err := readBody(r)
			if err != nil {
				return err
			}
			if err := parseJSON(body, q); err != nil {
				return err
			}
			c := callOf(ctx)
			c.body = body
			ctx = withCall(ctx, c)
		} else if err := readQuery(r, q); err != nil {
			return err
		}
		// Last, so that the body cannot override the path.
		for name, field := range variables {
			setText(q.ProtoReflect(), field, r.PathValue(name))
		}
		a, err := do(ctx, q)
		if err != nil {
			return err
		}
		body, err := lorawan.AppendJSON(nil, a)
		if err != nil {
			return err
		}
		w.Header().Set("Cache-Control", "no-store")
		writeJSON(w, body)
		return nil
	}}
}

// variablesOf replaces a pattern's variables by names that ServeMux accepts, and
// returns the field of each.
func variablesOf(pattern string) (string, map[string]string) {
	fields := map[string]string{}
	parts := strings.Split(pattern, "/")
	for i, part := range parts {
		if field, ok := strings.CutPrefix(part, "{"); ok {
			field = strings.TrimSuffix(field, "}")
			name := strings.ReplaceAll(field, ".", "_")
			fields[name] = field
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/"), fields
}

// setText sets a string field by its path.
func setText(m protoreflect.Message, path, value string) {
	for {
		name, rest, more := strings.Cut(path, ".")
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if !more {
			m.Set(fd, protoreflect.ValueOfString(value))
			return
		}
		m, path = m.Mutable(fd).Message(), rest
	}
}

// readQuery fills in a query's parameters: a field mask, strings and numbers. It
// ignores others, as The Things Stack does.
func readQuery(r *http.Request, q proto.Message) error {
	m := q.ProtoReflect()
	for name, values := range r.URL.Query() {
		field, _ := strings.CutSuffix(name, ".paths")
		fd := m.Descriptor().Fields().ByTextName(field)
		if fd == nil {
			fd = m.Descriptor().Fields().ByJSONName(field)
		}
		if fd == nil {
			continue
		}
		isMask := fd.Message() != nil && fd.Message().FullName() == (&fieldmaskpb.FieldMask{}).ProtoReflect().Descriptor().FullName()
		switch {
		case len(values) > 1 && field == name:
			return plain(codeInvalid, fmt.Sprintf("too many values for field %q: %s", fd.Name(), strings.Join(values, ", ")))
		case isMask:
			mask := &fieldmaskpb.FieldMask{}
			for _, value := range values {
				mask.Paths = append(mask.Paths, strings.Split(value, ",")...)
			}
			m.Set(fd, protoreflect.ValueOfMessage(mask.ProtoReflect()))
		case fd.Kind() == protoreflect.StringKind && field == name:
			m.Set(fd, protoreflect.ValueOfString(values[0]))
		case fd.Kind() == protoreflect.Uint32Kind && field == name:
			n, err := strconv.ParseUint(values[0], 10, 32)
			if err != nil {
				return plain(codeInvalid, fmt.Sprintf("parsing field %q: %s", fd.Name(), err))
			}
			m.Set(fd, protoreflect.ValueOfUint32(uint32(n)))
		}
	}
	return nil
}
