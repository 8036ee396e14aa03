package pages

import (
	"strings"

	"thingpost/views/ui"
)

// auditText writes an action as people say it: "webhook.create" is "Webhook
// added".
func auditText(action string) string {
	noun, verb, ok := strings.Cut(action, ".")
	if !ok || noun == "" {
		return action
	}
	if noun == "key" {
		noun = "API key"
	}
	done := map[string]string{
		"create": "added", "update": "changed", "delete": "deleted", "rotate_key": "got a new key", "rotate_secret": "got a new secret",
		"pause": "paused", "resume": "resumed", "replay": "replayed", "retry": "retried", "cancel": "cancelled", "send": "sent",
	}[verb]
	if done == "" {
		done = strings.ReplaceAll(verb, "_", " ")
	}
	return strings.ToUpper(noun[:1]) + noun[1:] + " " + done
}

// phoneIf gives a text a line of its own on phones, and nothing none.
func phoneIf(text string) ui.Phone {
	if text == "" {
		return ui.PhoneOff
	}
	return ui.PhoneFull
}

func (p AuditPage) pager() ui.PagerProps {
	var pager ui.PagerProps
	if !p.First {
		pager.Newest = p.In.Audit()
	}
	if p.Next != "" {
		pager.Older = p.In.AuditBefore(p.Next)
	}
	return pager
}
