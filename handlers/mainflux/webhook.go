package mainflux

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"encoding/json"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/internal/settings"
)

// webhookJSON is a webhook on the wire. scope is ours: whether the webhook gets the
// messages of its whole group or of one thing.
type webhookJSON struct {
	ID       string            `json:"id"`
	GroupID  string            `json:"group_id"`
	ThingID  string            `json:"thing_id"`
	Name     string            `json:"name"`
	URL      string            `json:"url"`
	Headers  map[string]string `json:"headers,omitempty"`
	Metadata json.RawMessage   `json:"metadata,omitempty"`
	Scope    string            `json:"scope"`
}

const (
	scopeGroup = "group"
	scopeThing = "thing"
)

// webhookBody has the given values of a webhook. Absent values stay; null empties a
// value.
type webhookBody struct {
	Name     optional[string]            `json:"name"`
	URL      optional[string]            `json:"url"`
	Headers  optional[map[string]string] `json:"headers"`
	Metadata optional[object]            `json:"metadata"`
	Scope    optional[string]            `json:"scope"`
}

func (s *server) createWebhooks(w http.ResponseWriter, r *http.Request, c *caller) error {
	list, err := decodeList[webhookBody](r)
	if err != nil {
		return err
	}
	d, p, err := s.DB.OwnedDevice(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := may(p.Role, iot.ChangeSettings); err != nil {
		return err
	}
	drafts := make([]settings.Draft, len(list))
	for i, body := range list {
		drafts[i] = body.draft(d.ID, &iot.Webhook{ProjectKey: p.Key, Settings: iot.DefaultSettings(), Origin: d.UUID, PayloadOnly: true,
			Format:       iot.Envelope,
			MessageTypes: iot.Routes{iot.User: {}}})
	}
	made, err := s.Webhooks.CreateAll(drafts, c.actor())
	if err != nil {
		return limitOf(faultsOf(err), p)
	}
	hooks := make([]*iot.Webhook, len(made))
	for i, m := range made {
		hooks[i] = m.Webhook
	}
	answers, err := s.webhooks(r, p, hooks)
	if err != nil {
		return err
	}
	if prefixOf(r.Context()) == "webhooks" {
		return handlers.WriteJSON(w, http.StatusCreated, answers)
	}
	return handlers.WriteJSON(w, http.StatusCreated, map[string]any{"webhooks": answers})
}

// limitOf is the error for a group with its maximum of webhooks, in this dialect's
// words.
func limitOf(err error, p *iot.Project) error {
	if iot.CodeOf(err) == iot.LimitReached {
		return &fault{http.StatusConflict, "webhook limit of the group reached", handlers.ErrorOf(err).Message + " The group is " + p.Name + "."}
	}
	return err
}

// draft returns the webhook that the body makes of h; thing is as in apply.
func (b *webhookBody) draft(thing string, h *iot.Webhook) settings.Draft {
	return settings.Draft{Webhook: h, Own: true, Apply: func(w *iot.Webhook, _ *iot.Faults) error { return b.apply(w, thing) }}
}

// apply changes a webhook by the body. thing is the device for scope thing.
func (b *webhookBody) apply(h *iot.Webhook, thing string) error {
	isNew := h.Key == 0
	if isNew || b.Name.set {
		if err := checkName(b.Name.value, iot.MaxName); err != nil {
			return err
		}
		h.Description = b.Name.value
	}
	if isNew || b.URL.set {
		h.URL = b.URL.value
	}
	if b.Headers.set {
		h.Headers = headersOf(b.Headers.value, h.Headers)
	}
	if b.Metadata.set {
		h.Metadata = string(b.Metadata.value)
	}
	switch scope := b.Scope.value; {
	case scope == scopeThing && thing != "":
		h.Device = thing
	case scope == scopeGroup:
		h.Device = ""
	case scope != "":
		return malformed("scope must be group or thing. It can be thing only for a webhook that was created for one.")
	}
	return nil
}

// headersOf returns a map as headers. Existing headers keep their place and their
// secrecy. New ones follow by name.
func headersOf(m map[string]string, stored []iot.Header) []iot.Header {
	list := make([]iot.Header, 0, len(m))
	canonical := func(name string) string { return textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)) }
	taken := map[string]bool{}
	for _, old := range stored {
		for name, value := range m {
			if taken[name] || canonical(name) != canonical(old.Name) {
				continue
			}
			taken[name] = true
			list = append(list, iot.Header{Name: name, Value: iot.Secret(value), Secret: old.Secret})
			break
		}
	}
	var names []string
	for name := range m {
		if !taken[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		list = append(list, iot.Header{Name: name, Value: iot.Secret(m[name])})
	}
	return list
}

// faultsOf returns the faults of a webhook in the words that clients know.
func faultsOf(err error) error {
	if err == nil {
		return nil
	}
	e := handlers.ErrorOf(err)
	switch {
	case e.Code != iot.Invalid:
		return err
	case e.Fields["description"] != "":
		return &fault{http.StatusBadRequest, textNameSize, "name: " + e.Fields["description"]}
	case e.Fields["url"] != "":
		return &fault{http.StatusBadRequest, textURL, "url: " + e.Fields["url"]}
	}
	return err
}

// listThingWebhooks lists the webhooks that get a thing's messages.
func (s *server) listThingWebhooks(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, p, err := s.DB.OwnedDevice(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.listWebhooks(w, r, p, func(h *iot.Webhook) bool { return h.Device == "" && h.DeviceKey == 0 || h.DeviceKey == d.Key })
}

func (s *server) listGroupWebhooks(w http.ResponseWriter, r *http.Request, c *caller) error {
	p, err := s.DB.OwnedProject(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.listWebhooks(w, r, p, func(*iot.Webhook) bool { return true })
}

func (s *server) listWebhooks(w http.ResponseWriter, r *http.Request, p *iot.Project, gets func(*iot.Webhook) bool) error {
	if err := may(p.Role, iot.ReadTraffic); err != nil {
		return err
	}
	q, err := readQuery(r)
	if err != nil {
		return err
	}
	all, err := s.DB.Webhooks(r.Context(), p.Key)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(h *iot.Webhook) bool {
		return !gets(h) || !q.keeps(h.Description, h.Metadata) || !containsFold(h.URL, q.URL)
	})
	page, total := cut(&q, all, func(h *iot.Webhook) (string, string) { return h.UUID, h.Description })
	answers, err := s.webhooks(r, p, page)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, struct {
		pageHead
		Webhooks []webhookJSON `json:"webhooks"`
	}{q.head(total), answers})
}

// webhooks returns webhooks in the wire form.
func (s *server) webhooks(r *http.Request, p *iot.Project, list []*iot.Webhook) ([]webhookJSON, error) {
	answers := make([]webhookJSON, len(list))
	for i, h := range list {
		v := webhookJSON{ID: h.UUID, GroupID: p.UUID, ThingID: h.Origin, Name: h.Description, URL: h.URL, Metadata: rawOf(h.Metadata),
			Scope: scopeGroup}
		if h.Device != "" {
			v.Scope = scopeThing
			if d, err := s.DB.Device(r.Context(), p.Key, h.Device); err == nil {
				v.ThingID = d.UUID
			} else if iot.CodeOf(err) != iot.NotFound {
				return nil, err
			}
		}
		if len(h.Headers) > 0 {
			v.Headers = make(map[string]string, len(h.Headers))
		}
		for _, header := range h.Headers {
			v.Headers[header.Name] = header.Value.Reveal()
			if header.Secret {
				v.Headers[header.Name] = iot.Mask
			}
		}
		answers[i] = v
	}
	return answers, nil
}

func (s *server) showWebhook(w http.ResponseWriter, r *http.Request, c *caller) error {
	h, p, err := s.DB.OwnedWebhook(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := may(p.Role, iot.ReadTraffic); err != nil {
		return err
	}
	answers, err := s.webhooks(r, p, []*iot.Webhook{h})
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, answers[0])
}

func (s *server) updateWebhook(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body webhookBody
	if err := decode(r, &body); err != nil {
		return err
	}
	h, p, err := s.DB.OwnedWebhook(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := may(p.Role, iot.ChangeSettings); err != nil {
		return err
	}
	thing := h.Device
	if h.Origin != "" {
		thing = h.Origin
	}
	if _, err := s.Webhooks.Change(body.draft(thing, h), c.actor()); err != nil {
		return faultsOf(err)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *server) removeWebhooks(w http.ResponseWriter, r *http.Request, c *caller) error {
	ids, err := decodeIDs(r, "webhook_ids", "missing webhook id")
	if err != nil {
		return err
	}
	list := make([]*iot.Webhook, len(ids))
	for i, id := range ids {
		h, p, err := s.DB.OwnedWebhook(r.Context(), c.account.Key, id)
		if err != nil {
			return err
		}
		if err := may(p.Role, iot.ChangeSettings); err != nil {
			return err
		}
		list[i] = h
	}
	if err := s.DB.DeleteWebhooks(list, c.actor()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
