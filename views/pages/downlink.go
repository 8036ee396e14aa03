package pages

import (
	"github.com/tidwall/gjson"

	"thingpost/internal/iot"
	"thingpost/views/ui"
)

// The forms that a downlink's payload can be typed in.
const (
	PayloadJSON    = "json"    // any JSON value
	PayloadDecoded = "decoded" // a JSON object, for a LoRaWAN device
	PayloadBase64  = "base64"
	PayloadHex     = "hex"
)

func payloadForms() []ui.Option {
	return []ui.Option{{Value: PayloadJSON, Label: "JSON, as it is"}, {Value: PayloadHex, Label: "LoRaWAN bytes in hex"},
		{Value: PayloadBase64, Label: "LoRaWAN bytes in base64"}, {Value: PayloadDecoded, Label: "LoRaWAN decoded payload"}}
}

// priorities are a downlink's, by The Things Stack's names.
func priorities() []ui.Option {
	return []ui.Option{{Value: "LOWEST", Label: "Lowest"}, {Value: "LOW", Label: "Low"}, {Value: "BELOW_NORMAL", Label: "Below normal"},
		{Value: "NORMAL", Label: "Normal"},
		{Value: "ABOVE_NORMAL", Label: "Above normal"}, {Value: "HIGH", Label: "High"}, {Value: "HIGHEST", Label: "Highest"}}
}

// QueueProps are a device's queue: what it has taken but not answered yet, and
// what waits for it.
type QueueProps struct {
	In      In
	Device  *iot.Device
	Sent    []*iot.Downlink
	Queued  []*iot.Downlink
	Count   int // of all that are queued
	Now     iot.Instant
	MayPush bool
}

func (p QueueProps) all() []*iot.Downlink {
	return append(append([]*iot.Downlink(nil), p.Sent...), p.Queued...)
}

func (p QueueProps) stat() ui.Stat {
	s := ui.Stat{Label: "Downlinks queued", Value: ui.Count(int64(p.Count)), Small: true, Note: "none waiting"}
	if len(p.Queued) > 0 {
		s.More = say(words("oldest "), ui.Ago(p.Queued[0].CreatedAt, p.Now))
	}
	return s
}

// more says how many are queued beyond those that are shown.
func (p QueueProps) more() string {
	if n := p.Count - len(p.Queued); n > 0 {
		return "and " + ui.Plural(int64(n), "more downlink", "more downlinks")
	}
	return ""
}

func downlinkStatus(v *iot.Downlink) ui.StatusProps {
	switch v.Status {
	case iot.DownlinkIsQueued:
		if v.Attempt > 0 {
			return ui.StatusProps{Label: "Rejected, waiting again", Tone: ui.Warning, Shape: ui.Ring}
		}
		return ui.StatusProps{Label: "Waiting", Shape: ui.Ring}
	case iot.DownlinkIsSent, iot.DownlinkIsForwarded:
		return ui.StatusProps{Label: "Sent", Tone: ui.Info}
	case iot.DownlinkIsAcked:
		return ui.StatusProps{Label: "Received", Tone: ui.Success}
	case iot.DownlinkIsFailed:
		return ui.StatusProps{Label: "Failed", Tone: ui.Danger, Shape: ui.Square}
	case iot.DownlinkIsCancelled:
		return ui.StatusProps{Label: "Removed", Shape: ui.Dash}
	}
	return ui.StatusProps{Label: string(v.Status)}
}

// downlinkPayload is what a downlink holds, on one line.
func downlinkPayload(v *iot.Downlink) string {
	if len(v.Payload) > 0 {
		return snippet(v.Payload)
	}
	if decoded := gjson.GetBytes(v.Body, "decoded_payload"); decoded.Exists() {
		return snippet([]byte(decoded.Raw))
	}
	if bytes := gjson.GetBytes(v.Body, "frm_payload").Str; bytes != "" {
		return bytes
	}
	return "no payload"
}

func downlinkPort(v *iot.Downlink) string { return gjson.GetBytes(v.Body, "f_port").Raw }

// downlinkPriority is the priority in words.
func downlinkPriority(v *iot.Downlink) string {
	name := gjson.GetBytes(v.Body, "priority").Str
	for _, o := range priorities() {
		if o.Value == name {
			return o.Label
		}
	}
	return priorities()[0].Label
}
