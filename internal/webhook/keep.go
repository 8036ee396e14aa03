package webhook

import (
	"thingpost/internal/iot"
)

// keepSecrets replaces a changed webhook's masks by the stored secrets. Secrets that
// would go to another host are faults: a person who changes a webhook, or a page left
// open, must not send its secrets elsewhere.
func keepSecrets(f *iot.Faults, w, was *iot.Webhook) {
	dropHidden(w)
	same := goesToSameHost(w, was)
	for i := range w.Headers {
		h := &w.Headers[i]
		if h.Value != iot.Mask {
			continue
		}
		for _, old := range was.Headers {
			if old.Secret && canonical(old.Name) == canonical(h.Name) {
				f.Check(same || old.Value == "", headerField(i, "value"), "Enter the value again"+iot.OtherHost)
				h.Value = old.Value
			}
		}
	}
	if w.DownlinkKey == iot.Mask && was.DownlinkKey != "" {
		f.Check(same, "downlink_key", "Enter the key again"+iot.OtherHost)
		w.DownlinkKey = was.DownlinkKey
	}
	for place := range w.Hidden {
		f.Check(same, place, "Enter what is masked again"+iot.OtherHost)
	}
}

// goesToSameHost compares hosts as dialled: a template can have put a secret into the
// host, and a mask there stands for it. A URL with another number of masks is a
// separate fault.
func goesToSameHost(w, was *iot.Webhook) bool {
	now, ok := w.FullURL()
	if !ok {
		return true
	}
	before, ok := was.FullURL()
	return ok && iot.SameHost(now, before)
}
