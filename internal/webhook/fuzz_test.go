package webhook

import (
	"reflect"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

// Checked settings compile, are the same when checked again, and render, or not,
// without leaving their host.
func FuzzCheck(f *testing.F) {
	f.Add("https://h/in/{devID}?k=1", "/a{?channel}", "X-Key", "v {devEUI}", "up.uplink_message.f_port", "s3cr3t")
	f.Add("https://me:•••@h:8443/•••", "•••", "x y", "\r\n", ".", "a/b")
	f.Add("http://[::1]:80{/a}", "..", "Host", "•••", "up", "")
	f.Fuzz(func(t *testing.T, url, path, name, value, mask, secret string) {
		w := sampleWebhook()
		w.URL, w.MessageTypes = url, iot.Routes{iot.User: {Path: path}}
		w.Headers = []iot.Header{{Name: name, Value: iot.Secret(value), Secret: len(secret)%2 == 0}}
		w.Format, w.FieldMask, w.Hidden = iot.JSON, []string{mask}, map[string][]iot.Secret{iot.HiddenURL: {iot.Secret(secret)}}
		if Check(w, iot.Limits{Headers: 5}, true) != nil {
			return
		}
		again := w.Clone()
		if err := Check(again, iot.Limits{Headers: 5}, true); err != nil || !reflect.DeepEqual(again, w) {
			t.Errorf("checked again it is %+v, %v", again, err)
		}
		same := w.Clone()
		same.MaskSecrets()
		if err := CheckChange(same, w, iot.Limits{Headers: 5}, true); err != nil || !reflect.DeepEqual(same, w) {
			t.Errorf("unchanged it is %+v, %v", same, err)
		}
		c, err := Compile(w)
		if err != nil {
			t.Fatalf("%q %q: %v", url, path, err)
		}
		full, _ := w.FullURL()
		if r, err := c.Render(sampleInput(sampleMessage())); err == nil && !iot.SameHost(r.URL, full) {
			t.Errorf("%q %q is sent to %s", url, path, r.URL)
		}
		moved := w.Clone()
		moved.MaskSecrets()
		moved.URL = "https://elsewhere.example" + strings.Repeat("/"+iot.Mask, len(w.Hidden[iot.HiddenURL]))
		if err := CheckChange(moved, w, iot.Limits{Headers: 5}, true); err == nil && len(moved.Hidden) > 0 && !iot.SameHost(moved.URL, full) {
			t.Errorf("the secrets of %q go to another host", url)
		}
	})
}
