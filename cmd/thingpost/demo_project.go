package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"thingpost/internal/iot"
)

// demoProject is the example: a greenhouse with soil probes, smoke alarms and gateways,
// and four webhooks to a receiver that sometimes fails.
type demoProject struct {
	app      *app
	receiver string // its URL
	now      func() time.Time
	project  *iot.Project
	devices  []demoDevice
}

type demoDevice struct {
	*iot.Device
	key    iot.Secret
	kind   demoKind
	online bool
	turn   int
}

type demoKind string

const (
	soilProbe  demoKind = "soil-probe"
	smokeAlarm demoKind = "smoke-alarm"
	gateway    demoKind = "gateway"
)

// demoActor created the example, in the audit log.
const demoActor = "thingpost demo"

// furnish creates the example in a new store.
func (d *demoProject) furnish(ctx context.Context) error {
	account, err := d.app.db.AccountByEmail(ctx, d.app.config.First.Email)
	if err != nil {
		return err
	}
	orgs, err := d.app.db.Organizations(ctx, account.Key)
	if err != nil {
		return err
	}
	d.project = &iot.Project{Name: "Greenhouse North", OrganizationKey: orgs[0].Key, AutoRegister: true}
	if err := d.app.db.CreateProject(d.project, demoActor); err != nil {
		return err
	}
	for kind, n := range map[demoKind]int{soilProbe: 12, smokeAlarm: 3, gateway: 2} {
		for i := range n {
			v := demoDevice{Device: &iot.Device{ProjectKey: d.project.Key, ID: fmt.Sprintf("%s-%02d", kind, i+1),
				ExpectedIntervalMS: demoExpected.Milliseconds()}, key: iot.NewDeviceKey(), kind: kind}
			if err := d.app.db.CreateDevice(v.Device, v.key, demoActor); err != nil {
				return err
			}
			d.devices = append(d.devices, v)
		}
	}
	for _, w := range d.webhooks() {
		w.ProjectKey, w.Format = d.project.Key, iot.Envelope
		if err := d.app.db.CreateWebhook(w, demoActor); err != nil {
			return err
		}
	}
	last, err := d.app.db.Webhook(ctx, d.project.Key, "node-red-flows")
	if err != nil {
		return err
	}
	return d.app.db.PauseWebhook(last, account.Name, "the flows move to another machine", demoActor)
}

func (d *demoProject) webhooks() []*iot.Webhook {
	user, agent := iot.Routes{iot.User: {}}, iot.Routes{iot.Iottly: {}}
	settings := iot.DefaultSettings()
	return []*iot.Webhook{
		{Description: "Climate dashboard", URL: d.receiver + "/climate?site={projectID}", MessageTypes: user, Settings: settings},
		{Description: "Alarm desk", URL: d.receiver + "/alarms/{devID}", MessageTypes: user, Channel: "alarms", PayloadOnly: true,
			Settings: settings,
			Headers: []iot.Header{{Name: "Authorization", Value: "Bearer example-token-of-the-alarm-desk", Secret: true},
				{Name: "X-Site", Value: "{projectID}/{devID}"}}},
		{Description: "Fleet watch", URL: d.receiver + "/fleet", MessageTypes: agent, Settings: settings},
		{Description: "Node-RED flows", URL: d.receiver + "/flows", MessageTypes: user, PayloadOnly: true, Settings: settings},
	}
}

// live makes the devices send until ctx ends. It starts with a burst, so that there is
// something to see at once.
func (d *demoProject) live(ctx context.Context, pace int) error {
	client := &http.Client{Timeout: 10 * time.Second}
	for range 40 {
		if err := d.sendOne(ctx, client); err != nil {
			return err
		}
	}
	tick := time.NewTicker(time.Second / time.Duration(pace))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := d.sendOne(ctx, client); err != nil {
			return err
		}
	}
}

// demoExpected is how often the devices are expected. One of them is quiet for two
// minutes of three, to show a silence.
const (
	demoExpected = time.Minute
	demoQuiet    = "smoke-alarm-03"
)

// sendOne sends one device's message over HTTP, with its key.
func (d *demoProject) sendOne(ctx context.Context, client *http.Client) error {
	v := &d.devices[rand.IntN(len(d.devices))]
	if v.ID == demoQuiet && v.turn > 0 && d.now().Minute()%3 != 0 {
		return nil
	}
	url := d.app.url() + "/api/v1/projects/" + d.project.ID + "/devices/" + v.ID + "/messages"
	err := post(ctx, client, url, v.key.Reveal(), d.message(v))
	if err == nil || ctx.Err() != nil {
		return nil //nolint:nilerr // it failed because the demo is stopping
	}
	return fmt.Errorf("a simulated device could not send: %w", err)
}

// message is the next message of a device of its kind, in iottly's form.
func (d *demoProject) message(v *demoDevice) []byte {
	v.turn++
	at := d.now().UTC().Format("2006-01-02T15:04:05")
	kind, payload := "userdefined", ""
	number := func(from, to float64) string {
		return strconv.FormatFloat(from+(to-from)*rand.Float64(), 'f', 2, 64)
	}
	switch {
	case !v.online || v.turn%40 == 0:
		v.online = !v.online
		kind, payload = "iottlyagent", `{"connectionstatus":"`+map[bool]string{true: "connected", false: "disconnected"}[v.online]+`"}`
	case v.kind == smokeAlarm && v.turn%4 == 0:
		payload = `{"webhook_channel":"alarms","webhook_payload":{"sensor":"` + v.ID + `","level":"high","value":` + number(700, 900) + `}}`
	case v.kind == smokeAlarm:
		payload = `{"smoke":{"ppm":` + number(5, 30) + `,"battery_v":` + number(2.9, 3.3) + `}}`
	case v.kind == gateway:
		payload = `{"CSQ":{"bit_error_rate":0,"signal":` + strconv.Itoa(8+rand.IntN(20)) + `}}`
	default:
		payload = `{"probe":` + strconv.Itoa(v.turn) + `,"vwc":` + number(9, 14) + `,"soil_c":` + number(12, 18) + `,"battery_v":` +
			number(3.1, 3.4) + `}`
	}
	return fmt.Appendf(nil, `{"from":%q,"to":%q,"timestamp":"%s.000","devicetimestamp":%q,"type":%q,"payload":%s}`, v.UUID, d.project.UUID, at,
		at, kind, payload)
}

// newDemoReceiver accepts messages as other services do, with failures: the alarm desk
// is down for a minute in four, the fleet watch fails now and then, and the climate
// dashboard is sometimes slow.
func newDemoReceiver(now func() time.Time) *benchServer {
	var count atomic.Int64
	began := now()
	return serveBench(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		n := count.Add(1)
		down := int(now().Sub(began).Minutes())%4 == 1
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		switch {
		case len(r.URL.Path) > 7 && r.URL.Path[:7] == "/alarms" && down:
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "The alarm desk is being updated.\n")
		case r.URL.Path == "/fleet" && n%5 == 0:
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "upstream connect error or disconnect/reset before headers\n")
		case r.URL.Path == "/climate" && n%25 == 0:
			select {
			case <-time.After(1500 * time.Millisecond):
			case <-r.Context().Done():
			}
			fallthrough
		default:
			_, _ = io.WriteString(w, "taken\n")
		}
	}))
}
