package webhook

import (
	"thingpost/internal/iot"
	"thingpost/internal/lorawan"
)

// Compiled is a webhook with everything prepared that does not depend on the message.
// It is immutable and safe for concurrent use.
type Compiled struct {
	filter      filter
	format      iot.Format
	mask        *lorawan.Mask // nil for the whole message
	payloadOnly bool
	upstream    bool // it forwards downlinks to another system
	routes      []route
	headers     []ownHeader
	masker      *iot.Masker // of everything that logs must not show

	ownContentType, ownUserAgent bool

	id          string // slug
	downlinkKey iot.Secret
	signers     []*signer
	oldUntil    iot.Instant // when all signers except the first stop
}

type route struct {
	kind   iot.MessageType
	target target
}

// Compile prepares a webhook. It returns an Invalid error if the settings cannot make a
// request. Settings that passed Check can, except of a signed webhook without a valid
// secret.
func Compile(w *iot.Webhook) (*Compiled, error) {
	c := &Compiled{
		filter:      filterOf(w),
		format:      w.Format,
		payloadOnly: w.PayloadOnly,
		upstream:    w.Kind == iot.KindUpstream,
		id:          w.ID,
		downlinkKey: w.DownlinkKey,
		oldUntil:    w.OldSecretUntil,
		masker:      maskerOf(w),
	}
	var err error
	if c.mask, err = lorawan.CompileMask(w.FieldMask); err != nil {
		return nil, err
	}
	if err := c.compileRoutes(w); err != nil {
		return nil, err
	}
	if err := c.compileHeaders(w); err != nil {
		return nil, err
	}
	if !w.Signed {
		return c, nil
	}
	if len(w.SigningSecrets) == 0 {
		return nil, iot.NewError(iot.Invalid, "The webhook signs its requests, but has no signing secret. Create one.")
	}
	for _, secret := range w.SigningSecrets {
		s, err := newSigner(secret)
		if err != nil {
			return nil, err
		}
		c.signers = append(c.signers, s)
	}
	return c, nil
}

func (c *Compiled) compileRoutes(w *iot.Webhook) error {
	address, ok := w.FullURL()
	if !ok {
		return iot.FieldError("url", maskProblem)
	}
	o, raw, problem := parseOrigin(address)
	if problem != "" {
		return iot.FieldError("url", problem)
	}
	if o.user != nil {
		return iot.FieldError("url", "must not contain a user name or password. Put them into an Authorization header.")
	}
	rest, problem := parseURIText(raw)
	if problem != "" {
		return iot.FieldError("url", problem)
	}
	for _, kind := range w.MessageTypes.Types() {
		field := pathField(kind)
		path, ok := w.FullPath(kind)
		if !ok {
			return iot.FieldError(field, maskProblem)
		}
		if problem := pathProblem(path); problem != "" {
			return iot.FieldError(field, problem)
		}
		text, problem := parseURIText(path)
		if problem != "" {
			return iot.FieldError(field, problem)
		}
		t, err := newTarget(o, rest, text)
		if err != nil {
			return err
		}
		if len(w.Hidden[iot.HiddenURL])+len(w.Hidden[iot.HiddenPath(kind)]) > 0 {
			t.shown = newShown(w.URL, w.MessageTypes[kind].Path)
		}
		c.routes = append(c.routes, route{kind: kind, target: t})
	}
	return nil
}

func (c *Compiled) compileHeaders(w *iot.Webhook) error {
	for i, h := range w.Headers {
		if problem := nameProblem(h.Name); problem != "" {
			return iot.FieldError(headerField(i, "name"), problem)
		}
		name := canonical(h.Name)
		if overruled(name, w) {
			continue
		}
		own := ownHeader{name: name, value: parseHeaderText(h.Value.Reveal()), secret: h.Secret}
		if err := checkExpanded(name, h.Value.Reveal()); err != nil {
			return err
		}
		c.ownContentType = c.ownContentType || name == headerContentType
		c.ownUserAgent = c.ownUserAgent || name == headerUserAgent
		c.headers = append(c.headers, own)
	}
	if len(c.headers) > iot.MaxTemplateHeaders {
		return iot.FieldError("headers", "can be at most 50.")
	}
	return nil
}

// maskerOf returns the masker of a webhook's secrets: those of its requests, and the
// values of its template. Template values in the URL are masked by their place, even
// short ones.
func maskerOf(w *iot.Webhook) *iot.Masker {
	secrets := append([]iot.Secret{w.DownlinkKey}, w.SigningSecrets...)
	for _, h := range w.Headers {
		if h.Secret {
			secrets = append(secrets, h.Value)
		}
	}
	for _, hidden := range w.Hidden {
		secrets = append(secrets, hidden...)
	}
	for _, v := range w.TemplateFields {
		if v.Secret {
			secrets = append(secrets, v.Value)
		}
	}
	return iot.NewMasker(secrets...)
}

// target returns the destination of messages of a type, or nil.
func (c *Compiled) target(kind iot.MessageType) *target {
	for i := range c.routes {
		if c.routes[i].kind == kind {
			return &c.routes[i].target
		}
	}
	return nil
}
