package webhook

import (
	"cmp"
	"slices"
	"strings"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan"
)

// Compiled is a webhook with everything worked out that does not depend on the
// message. It is never changed, and safe for concurrent use.
type Compiled struct {
	filter      filter
	format      iot.Format
	mask        *lorawan.Mask // nil for the whole message
	payloadOnly bool
	upstream    bool // it carries downlinks on to another system
	routes      []route
	headers     []ownHeader
	secrets     []string // texts that no log may show

	ownContentType, ownUserAgent bool

	id          string // slug
	downlinkKey iot.Secret
	signers     []*signer
	oldUntil    iot.Instant // when all signers but the first stop
}

type route struct {
	kind   iot.MessageType
	target target
}

// Compile works out a webhook. It returns an Invalid error if the settings
// cannot make a request; those that passed Check can, but for a signed webhook
// without a good secret.
func Compile(w *iot.Webhook) (*Compiled, error) {
	c := &Compiled{
		filter:      filterOf(w),
		format:      w.Format,
		payloadOnly: w.PayloadOnly,
		upstream:    w.Kind == iot.KindUpstream,
		id:          w.ID,
		downlinkKey: w.DownlinkKey,
		oldUntil:    w.OldSecretUntil,
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
		return nil, iot.NewError(iot.Invalid, "The webhook signs its requests, but has no signing secret. Make one.")
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
		return iot.FieldError("url", "must not hold a user name or password; they belong into an Authorization header.")
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
	c.keepHidden(w)
	return nil
}

// keepHidden notes what a template put into the URL and paths, and the values
// themselves, so that no answer that quotes them is shown. In the URL they are
// masked by their place, however short they are.
func (c *Compiled) keepHidden(w *iot.Webhook) {
	const short = 4
	keep := func(s iot.Secret) {
		if text := s.Reveal(); len(text) >= short && !slices.Contains(c.secrets, text) {
			c.secrets = append(c.secrets, text)
		}
	}
	for _, secrets := range w.Hidden {
		for _, s := range secrets {
			keep(s)
		}
	}
	for _, v := range w.TemplateFields {
		if v.Secret {
			keep(v.Value)
		}
	}
	// Of two that hold one another the longer goes first.
	slices.SortFunc(c.secrets, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
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
		if h.Secret {
			c.keepSecret(h.Value)
		}
		c.headers = append(c.headers, own)
	}
	if len(c.headers) > iot.MaxTemplateHeaders {
		return iot.FieldError("headers", "can be at most 50.")
	}
	c.keepSecret(w.DownlinkKey)
	return nil
}

// keepSecret notes a text that a URL must not show, unless it is so short that
// it stands everywhere. Of "Bearer abc" that is "abc", if that is long enough.
func (c *Compiled) keepSecret(s iot.Secret) {
	const short = 8
	text := s.Reveal()
	if word := text[strings.LastIndexByte(text, ' ')+1:]; len(word) >= short {
		text = word
	}
	if len(text) >= short {
		c.secrets = append(c.secrets, text)
	}
}

// target returns where messages of a type go, or nil.
func (c *Compiled) target(kind iot.MessageType) *target {
	for i := range c.routes {
		if c.routes[i].kind == kind {
			return &c.routes[i].target
		}
	}
	return nil
}

// MaskPaths returns every path that a field mask can be made of, in alphabetical
// order. Each call makes a new list.
func MaskPaths() []string { return lorawan.MaskPaths() }
