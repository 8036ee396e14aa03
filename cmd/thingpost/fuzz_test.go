package main

import (
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
)

// Options from a command line and an environment are within their bounds, or refused in
// words without secrets.
func FuzzOptions(f *testing.F) {
	f.Add("-retention\x0090m\x00-max-webhooks\x007", "10.0.0.0/8", "a metrics token of some length")
	f.Add("-retention-bytes=4GiB\x00--\x00x", "::/0", "")
	f.Add("-retention\x00-1h\x00-public-url\x00javascript:x", "300.0.0.0/8", "s")
	f.Fuzz(func(t *testing.T, line, networks, token string) {
		var c config
		env := map[string]string{"THINGPOST_ALLOW_NETWORKS": networks, "THINGPOST_METRICS_TOKEN": token}
		_, err := c.options().parse(withEnv(env), strings.Split(line, "\x00"), 0, 0)
		if err != nil {
			if len(token) > 8 && !strings.Contains(line+networks, token) && strings.Contains(err.Error(), token) {
				t.Errorf("%q tells the token: %v", line, err)
			}
			return
		}
		if c.Store.Retention < 0 || c.Store.RetentionBytes < 0 || c.Webhooks.Limits.Webhooks < 1 || c.Webhooks.Limits.Webhooks > 1000 ||
			c.Webhooks.Limits.Headers < 1 || c.Webhooks.Limits.Headers > iot.MaxTemplateHeaders || c.Store.Retention > 0 &&
			c.Store.Retention < time.Second {
			t.Errorf("%q gives %+v", line, c)
		}
		if u := c.HTTP.PublicURL; u != "" && !strings.HasPrefix(u, "http://") && !strings.HasPrefix(u, "https://") {
			t.Errorf("%q is the public address", u)
		}
	})
}
